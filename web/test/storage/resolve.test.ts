import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { pathToFileURL } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { absoluteChoice, resolveModel } from "../../src/storage/index.js";
import { serve } from "./fixture.js";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const HASH = "ab".repeat(32);
const server = await serve({});
const base = server.address;
const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ name: "RerankError", code, message: expect.stringMatching(message) });

/** Lets the server answer as the hub does for `owner/name`. */
function list(siblings: object[], repo = "owner/name", revision = "main") {
  server.files[`/api/models/${repo}/revision/${revision}`] = JSON.stringify({ sha: COMMIT, siblings });
}
const small = ["config.json", "tokenizer.json"].map((rfilename) => ({ rfilename, size: 10, blobId: "c0ffee" }));
const lfs = (rfilename: string, size = 1000) => ({ rfilename, size, lfs: { sha256: HASH, size, pointerSize: 134 } });

beforeEach(() => {
  server.reset();
  for (const path of Object.keys(server.files)) delete server.files[path];
});
afterAll(() => server.close());

describe("a Hugging Face repository", () => {
  test("is pinned to a commit, with the hashes of its large files, in one request", async () => {
    list([...small, lfs("model.safetensors"), lfs("onnx/model.onnx"), { rfilename: "README.md" }]);
    const at = (name: string) => `${base}/owner/name/resolve/${COMMIT}/${name}`;
    expect(await resolveModel("owner/name", { baseUrl: `${base}/` })).toEqual({
      name: "owner/name",
      files: {
        "config.json": { source: at("config.json"), bytes: 10 },
        "tokenizer.json": { source: at("tokenizer.json"), bytes: 10 },
        "model.safetensors": { source: at("model.safetensors"), bytes: 1000, sha256: HASH },
      },
    });
    expect(server.requests.map(({ url }) => url)).toEqual(["/api/models/owner/name/revision/main?blobs=true"]);
  });

  test("may name its revision", async () => {
    list([...small, lfs("model.safetensors")], "owner/name", "refs/pr/2");
    const { files } = await resolveModel("owner/name@refs/pr/2", { baseUrl: base });
    expect(files["config.json"]?.source).toBe(`${base}/owner/name/resolve/${COMMIT}/config.json`);
    expect(server.requests[0]?.url).toBe("/api/models/owner/name/revision/refs%2Fpr%2F2?blobs=true");
  });

  test("may have its weights in shards, as its index says", async () => {
    const index = { weight_map: { b: "model-2-of-2.safetensors", a: "model-1-of-2.safetensors", c: "model-2-of-2.safetensors" } };
    const shards = ["model-1-of-2.safetensors", "model-2-of-2.safetensors"];
    list([...small, ...shards.map((name) => lfs(name)), { rfilename: "model.safetensors.index.json" }]);
    server.files[`/owner/name/resolve/${COMMIT}/model.safetensors.index.json`] = JSON.stringify(index);
    const { files } = await resolveModel("owner/name", { baseUrl: base });
    expect(Object.keys(files)).toEqual(["config.json", "tokenizer.json", ...shards]);
  });

  test("of GGUF files says which there are", async () => {
    list([lfs("m-Q8_0.gguf"), lfs("m-Q4_0.gguf")]);
    const error = await resolveModel("owner/name", { baseUrl: base }).catch((error) => error);
    expect(error).toEqual(failure("model_not_found", /no weights in safetensors/));
    expect(error.hint).toContain(`${base}/owner/name/resolve/${COMMIT}/m-Q8_0.gguf`);
  });

  test("gives one GGUF file by its address, with its hash", async () => {
    list([lfs("sub/m-Q8_0.gguf"), lfs("m-Q4_0.gguf")]);
    for (const kind of ["resolve", "blob"]) {
      expect(await resolveModel(`${base}/owner/name/${kind}/main/sub/m-Q8_0.gguf`, { baseUrl: base })).toEqual({
        name: "m-Q8_0",
        files: {
          "m-Q8_0.gguf": { source: `${base}/owner/name/resolve/${COMMIT}/sub/m-Q8_0.gguf`, bytes: 1000, sha256: HASH },
        },
      });
    }
  });

  test("on a mirror that lists nothing is looked into", async () => {
    server.files["/owner/name/resolve/main/model.safetensors"] = "x";
    const { name, files } = await resolveModel("owner/name", { baseUrl: base });
    expect(name).toBe("owner/name");
    expect(files["model.safetensors"]).toEqual({ source: `${base}/owner/name/resolve/main/model.safetensors` });
  });

  test("that there is none of is not found", async () => {
    await expect(resolveModel("owner/name", { baseUrl: base })).rejects.toEqual(
      failure("model_not_found", /neither model\.safetensors nor/),
    );
  });

  test("without a tokenizer says so", async () => {
    list([small[0]!, lfs("model.safetensors")]);
    await expect(resolveModel("owner/name", { baseUrl: base })).rejects.toEqual(
      failure("model_not_found", /owner\/name has no tokenizer\.json/),
    );
  });

  test("behind a server out of reach is a network error", async () => {
    const gone = await serve({});
    await gone.close();
    await expect(resolveModel("owner/name", { baseUrl: gone.address })).rejects.toEqual(failure("network", /reach/));
  }, 10_000);
});

describe("a name of models.json", () => {
  test("needs no network where size and hash of every file are listed", async () => {
    const model = await resolveModel("BAAI/BGE-reranker-v2-m3");
    expect(model).toMatchObject({ name: "bge-v2-m3", maxTokens: 8192, window: "cohere", languages: "multilingual" });
    expect(model.files["model.safetensors"]).toEqual({
      source:
        "https://huggingface.co/BAAI/bge-reranker-v2-m3/resolve/953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e/model.safetensors",
      bytes: 2271071852,
      sha256: "d9e3e081faff1eefb84019509b2f5558fd74c1a05a2c7db22f74174fcedb5286",
    });
  });

  const REPO = "jinaai/jina-reranker-v2-base-multilingual";
  const REVISION = "9cfeff2df7d40d1b78e75e5e9cebec92a99813c9";

  test("gets from the hub the hash that is not listed, and keeps those that are", async () => {
    list([...small.map(({ rfilename }) => ({ rfilename })), lfs("model.safetensors", 556892306)], REPO, REVISION);
    const { name, window, files } = await resolveModel("jina-v2", { baseUrl: base });
    expect([name, window]).toEqual(["jina-v2", "jina"]);
    expect(files["model.safetensors"]).toMatchObject({ bytes: 556892306, sha256: HASH });
    expect(files["config.json"]?.sha256).toMatch(/^af16fe07/);
  });

  test("is refused before the download if the hub has another file", async () => {
    list([...small, lfs("model.safetensors", 5)], REPO, REVISION);
    await expect(resolveModel("jina-v2", { baseUrl: base })).rejects.toEqual(
      failure("integrity_mismatch", /config\.json has bytes 10 .* 1102/),
    );
  });

  test("goes by its list alone where the hub lists nothing", async () => {
    const { files } = await resolveModel("jina-v2", { baseUrl: base });
    expect(files["model.safetensors"]).toEqual({
      source: `${base}/${REPO}/resolve/${REVISION}/model.safetensors`,
      bytes: 556892306,
    });
  });

  test.each(["jina-v3", "a/b/c", "owner/", "a b/c", "a/b@../c", ".../name"])("%s is none, and near ones are told", async (name) => {
    const error = await resolveModel(name, { baseUrl: base }).catch((error) => error);
    if (name === "owner/") return expect(error).toEqual(failure("invalid_input", /not an address/));
    expect(error).toEqual(failure("model_not_found", /there is no model/));
    expect(error.hint).toContain("jina-v2");
    if (name === "jina-v3") expect(error.hint).toMatch(/^known are jina-v2,/);
  });
});

describe("a folder's address", () => {
  test("is one weight file if that is there", async () => {
    server.files["/models/tiny/model.safetensors"] = "x";
    for (const address of [`${base}/models/tiny`, `${base}/models/tiny/`, new URL(`${base}/models/tiny`)]) {
      const { name, files } = await resolveModel(address);
      expect(name).toBe("tiny");
      expect(Object.values(files).map(({ source }) => source)).toEqual(
        ["config.json", "tokenizer.json", "model.safetensors"].map((file) => `${base}/models/tiny/${file}`),
      );
    }
    expect(new Set(server.requests.map(({ method }) => method))).toEqual(new Set(["HEAD"]));
  });

  test("keeps its query", async () => {
    server.files["/m/model.safetensors"] = "x";
    const { files } = await resolveModel(`${base}/m/?token=t`);
    expect(files["config.json"]?.source).toBe(`${base}/m/config.json?token=t`);
  });

  test("is shards if it has an index of them", async () => {
    server.files["/m/model.safetensors.index.json"] = '{"weight_map":{"x":"b.safetensors","y":"a.safetensors"}}';
    const { files } = await resolveModel(`${base}/m`);
    expect(Object.keys(files)).toEqual(["config.json", "tokenizer.json", "a.safetensors", "b.safetensors"]);
  });

  test.each(["{}", '{"weight_map":{}}', '{"weight_map":{"x":"../a.safetensors"}}', '{"weight_map":{"x":1}}', "[", "null"])(
    "with the index %s is unreadable",
    async (index) => {
      server.files["/m/model.safetensors.index.json"] = index;
      await expect(resolveModel(`${base}/m`)).rejects.toEqual(failure("model_unreadable", /index\.json/));
    },
  );

  test("where every answer is a page is unreadable", async () => {
    for (const file of ["model.safetensors", "model.safetensors.index.json"]) {
      server.set(`/m/${file}`, { body: "<html>", headers: { "content-type": "text/html" } });
    }
    await expect(resolveModel(`${base}/m`)).rejects.toEqual(failure("model_unreadable", /web page/));
  });

  test("may be on the disk in Node", async () => {
    const folder = pathToFileURL(`${mkdtempSync(`${tmpdir()}/crossrank-`)}/`);
    writeFileSync(new URL("model.safetensors", folder), "x");
    const { files } = await resolveModel(folder);
    expect(files["model.safetensors"]?.source).toBe(new URL("model.safetensors", folder).href);
  });

  test("must be whole where there is no page", async () => {
    await expect(resolveModel("./models/tiny")).rejects.toEqual(failure("invalid_input", /not an address/));
  });
});

test("an address of a GGUF file is that file, unasked", async () => {
  const source = `${base}/any/where/m-Q8_0.gguf?x=1`;
  expect(await resolveModel(source)).toEqual({ name: "m-Q8_0", files: { "m-Q8_0.gguf": { source } } });
  expect(server.requests).toEqual([]);
});

describe("picked files", () => {
  const pick = (...names: string[]) => names.map((name) => new File([name], name));

  test("are a GGUF file", async () => {
    const [file] = pick("m.gguf");
    expect(await resolveModel([file!])).toEqual({ name: "m", files: { "m.gguf": { source: file, bytes: 6 } } });
  });

  test("are a folder's, whatever else lies there", async () => {
    const names = ["README.md", "tokenizer.json", "model.safetensors", "config.json", "other.safetensors"];
    const { files } = await resolveModel(pick(...names));
    expect(Object.keys(files).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
  });

  test("are the shards of their index", async () => {
    const index = new File(['{"weight_map":{"x":"b.safetensors"}}'], "model.safetensors.index.json");
    const { files } = await resolveModel([index, ...pick("config.json", "tokenizer.json", "b.safetensors", "c.safetensors")]);
    expect(Object.keys(files).sort()).toEqual(["b.safetensors", "config.json", "tokenizer.json"]);
  });

  test.each([
    [["config.json", "model.safetensors"], /tokenizer\.json/],
    [["config.json", "tokenizer.json"], /safetensors/],
    [["a.gguf", "b.gguf"], /2 GGUF files/],
    [[], /config\.json/],
  ])("must be all that a model needs: %s", async (names, message) => {
    await expect(resolveModel(pick(...names))).rejects.toEqual(failure("invalid_input", message));
  });
});

test("a definition stays as it is", async () => {
  const definition = { name: "x", files: {} };
  expect(await resolveModel(definition)).toBe(definition);
});

test("a signal that is aborted already lets nothing begin", async () => {
  await expect(resolveModel("owner/name", { baseUrl: base, signal: AbortSignal.abort("no") })).rejects.toBe("no");
  expect(server.requests).toEqual([]);
});

test("a signal stops looking", async () => {
  server.set("/api/models/owner/name/revision/main", { body: "x".repeat(100_000), stallsAfter: 10 });
  const signal = AbortSignal.timeout(200);
  await expect(resolveModel("owner/name", { baseUrl: base, signal })).rejects.toBe(
    await new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason))),
  );
});

test("a choice for a worker can be cloned", () => {
  const file = new File([], "x.gguf");
  const choices = ["jina-v2", "owner/name", new URL("https://a.example/b"), [file], { name: "x", files: {} }];
  expect(choices.map(absoluteChoice)).toEqual(["jina-v2", "owner/name", "https://a.example/b", [file], choices[4]]);
});
