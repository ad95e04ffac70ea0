import { createHash } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Recorder, WEIGHTS, deliverTo, modelAt, modelServer, randomBytes, serve, sha256 } from "./fixture.js";

const server = await modelServer();
const model = () => modelAt(server.address);
const PATH = "/m/model.safetensors";
const failure = (code: string, message?: RegExp) =>
  expect.objectContaining({ name: "RerankError", code, ...(message && { message: expect.stringMatching(message) }) });

test("the tests' own SHA-256 is Node's", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 1000]) {
    const bytes = randomBytes(length, length);
    const hash = new Recorder().sha256();
    hash.update(bytes.subarray(0, length >> 1));
    hash.update(bytes.subarray(length >> 1));
    expect(hash.digest()).toBe(createHash("sha256").update(bytes).digest("hex"));
  }
});

describe("a model from a server", () => {
  test("arrives whole and in order, the small files first", async () => {
    const recorder = new Recorder();
    const { delivered } = await deliverTo(recorder, model());
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
    expect(new TextDecoder().decode(recorder.small.config)).toBe('{"model_type":"bert"}');
    expect(recorder.files.get("model.safetensors").bytes).toBe(WEIGHTS.length);
    expect(delivered).toEqual({ unverified: ["config.json", "tokenizer.json"], notKept: expect.any(String) });
    expect(server.requests.map(({ path }) => path)).toEqual(["/m/config.json", "/m/tokenizer.json", PATH]);
  });

  test("reports in transformers.js' shape, at most ten times a second and at the end", async () => {
    server.set(PATH, { msPerChunk: 10 });
    const { events } = await deliverTo(new Recorder(), model());
    const weights = events.filter((event) => "file" in event && event.file === "model.safetensors");
    const progress = weights.filter((event) => event.status === "progress");
    expect(weights.slice(0, 2).map(({ status }) => status)).toEqual(["initiate", "download"]);
    expect(weights.at(-1)).toEqual({ status: "done", name: "m", file: "model.safetensors" });
    const whole = { progress: 100, loaded: WEIGHTS.length, total: WEIGHTS.length };
    expect(progress.at(-1)).toEqual({ status: "progress", name: "m", file: "model.safetensors", ...whole });
    expect(progress.length).toBeGreaterThan(3);
    expect(progress.length).toBeLessThan(20);
    for (const event of progress) expect(event.progress).toBeCloseTo((100 * event.loaded) / event.total);
  });

  test("waits for a sink that is slower than the network", async () => {
    const recorder = new Recorder();
    let busy = false;
    recorder.onPush = async () => {
      expect(busy).toBe(false);
      busy = true;
      await new Promise((resolve) => setTimeout(resolve, 1));
      busy = false;
    };
    await deliverTo(recorder, model());
    expect(recorder.received).toBe(WEIGHTS.length);
  });

  test("comes in shards, in the order of the definition", async () => {
    Object.assign(server.files, { "/m/b.safetensors": randomBytes(5000, 2), "/m/a.safetensors": randomBytes(7000, 3) });
    const { "model.safetensors": _, ...small } = model().files;
    const shards = ["a.safetensors", "b.safetensors"].map((name) => [name, { source: `${server.address}/m/${name}` }]);
    const recorder = new Recorder();
    await deliverTo(recorder, { name: "m", files: { ...small, ...Object.fromEntries(shards) } });
    expect([...recorder.files.keys()]).toEqual(["a.safetensors", "b.safetensors"]);
    expect(recorder.hashes()["b.safetensors"]).toBe(sha256(server.files["/m/b.safetensors"]));
  });

  test("comes compressed where the small files are", async () => {
    const headers = { "content-length": "7" };
    server.set("/m/tokenizer.json", { hidesLength: true, headers: {} });
    server.set("/m/config.json", { hidesLength: true, headers: { "x-length": headers["content-length"] } });
    const recorder = new Recorder();
    await deliverTo(recorder, model());
    expect(recorder.small.tokenizer!.length).toBe(17);
  });
});

describe("a connection that breaks", () => {
  test("is resumed where it broke", async () => {
    server.set(PATH, { cutAfter: 1_000_000, times: 2 });
    const recorder = new Recorder();
    await deliverTo(recorder, model());
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
    expect(recorder.opened).toBe(1);
    expect(server.gets(PATH).map(({ range }) => range)).toEqual([undefined, "bytes=1000000-", "bytes=2000000-"]);
  });

  test("is read over from its beginning where the server ignores Range, without bothering the sink", async () => {
    server.set(PATH, { cutAfter: 1_000_000, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = () => void server.set(PATH, { ignoresRange: true });
    await deliverTo(recorder, model());
    expect(recorder.opened).toBe(1);
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
  });

  test("is begun again where the server ignores Range and hides whether it is the same file", async () => {
    server.set(PATH, { cutAfter: 1_000_000, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = () => void server.set(PATH, { ignoresRange: true, hidesVersion: true });
    await deliverTo(recorder, modelAt(server.address, {}));
    expect(recorder.opened).toBe(2);
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
  });

  test("is begun again where another file lies there in the meantime", async () => {
    const other = randomBytes(WEIGHTS.length, 9);
    server.set(PATH, { cutAfter: 1_000_000, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = () => void (server.files[PATH] = other);
    await deliverTo(recorder, modelAt(server.address, {}));
    expect(recorder.opened).toBe(2);
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(other));
  });

  test("is begun again where nothing tells whether it is the same file", async () => {
    server.set(PATH, { cutAfter: 1_000_000, hidesVersion: true, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = () => void server.set(PATH, { hidesVersion: true });
    await deliverTo(recorder, modelAt(server.address, {}));
    expect(recorder.opened).toBe(2);
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
  });

  test("is resumed without a version where the hash will tell", async () => {
    server.set(PATH, { cutAfter: 1_000_000, hidesVersion: true, times: 3 });
    const recorder = new Recorder();
    await deliverTo(recorder, model());
    expect(recorder.opened).toBe(1);
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
  });

  test("brings the file again, whole, if the patched one has a wrong hash", async () => {
    const right = WEIGHTS;
    const wrong = randomBytes(WEIGHTS.length, 9);
    server.files[PATH] = wrong;
    server.set(PATH, { cutAfter: 1_000_000, hidesVersion: true, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = () => void ((server.files[PATH] = right), server.set(PATH, { hidesVersion: true }));
    await deliverTo(recorder, model());
    expect(recorder.opened).toBe(2);
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(right));
  });

  test("asks for the whole file in the end where Range itself is what fails", async () => {
    server.set(PATH, { cutAfter: 1_000_000, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = () => void server.set(PATH, { breaksOnRange: true });
    await deliverTo(recorder, model());
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
  });

  test("ends in a network error when it keeps breaking without bringing much", async () => {
    server.set(PATH, { cutAfter: 1000 });
    await expect(deliverTo(new Recorder(), model())).rejects.toEqual(failure("network", /broke/));
    expect(server.gets(PATH)).toHaveLength(5);
  });

  test("goes on for as long as it brings a megabyte at a time", async () => {
    server.files[PATH] = randomBytes(9_000_000, 4);
    server.set(PATH, { cutAfter: 1_200_000 });
    const recorder = new Recorder();
    await deliverTo(recorder, modelAt(server.address, { sha256: sha256(server.files[PATH]) }));
    expect(recorder.opened).toBe(1);
    expect(server.gets(PATH).length).toBeGreaterThan(5);
  }, 20_000);

  describe("silently", () => {
    afterEach(() => void vi.useRealTimers());

    test("counts as broken after a minute", async () => {
      server.set(PATH, { stallsAfter: 1_000_000, times: 1 });
      const recorder = new Recorder();
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const delivery = deliverTo(recorder, model());
      await vi.waitFor(() => expect(recorder.received).toBe(1_000_000), { timeout: 5000 });
      await vi.advanceTimersByTimeAsync(61_000);
      vi.useRealTimers();
      await delivery;
      expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
      expect(recorder.opened).toBe(1);
    });
  });
});

describe("a server that has not got it", () => {
  test.each([
    [404, "model_not_found", 1],
    [401, "model_not_found", 1],
    [400, "network", 1],
    [503, "network", 5],
    [429, "network", 5],
  ])("HTTP %i is %s after %i requests", async (status, code, requests) => {
    server.set(PATH, { status });
    await expect(deliverTo(new Recorder(), model())).rejects.toEqual(failure(code, new RegExp(`HTTP ${status}`)));
    expect(server.gets(PATH)).toHaveLength(requests);
  });

  test("that is out of reach is a network error, with what to do", async () => {
    const gone = await serve({});
    await gone.close();
    const error = await deliverTo(new Recorder(), modelAt(gone.address)).catch((error) => error);
    expect(error).toEqual(failure("network", /cannot reach/));
    expect(error.hint).toContain("CORS");
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("does not tell what is in the address' query", async () => {
    const files = modelAt(server.address).files;
    files["model.safetensors"] = { source: `${server.address}/none?token=secret` };
    const error = await deliverTo(new Recorder(), { name: "m", files }).catch((error) => error);
    expect(error).toEqual(failure("model_not_found", /none answered/));
    expect(`${error.message}${error.hint}`).not.toContain("secret");
  });

  test("that breaks off a few times is asked again", async () => {
    server.set(PATH, { breaks: true, times: 2 });
    await deliverTo(new Recorder(), model());
    expect(server.gets(PATH)).toHaveLength(3);
  });
});

describe("what is not the file", () => {
  test.each([
    ["by its type", { body: "hello", headers: { "content-type": "text/html; charset=utf-8" } }, /web page/],
    ["by its first bytes", { body: "\n <!DOCTYPE html><p>hello" }, /web page/],
    ["by its first tag", { body: "<HTML><body>" }, /web page/],
    ["by being a pointer", { body: "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n" }, /Git LFS pointer/],
  ])("is recognised %s", async (_, behaviour, message) => {
    for (const file of [PATH, "/m/tokenizer.json"]) {
      server.reset();
      server.set(file, behaviour);
      await expect(deliverTo(new Recorder(), model())).rejects.toEqual(failure("model_unreadable", message));
    }
  });

  test("is recognised by its hash, at once", async () => {
    server.files[PATH] = randomBytes(WEIGHTS.length, 5);
    const wrong = sha256(server.files[PATH]);
    await expect(deliverTo(new Recorder(), model())).rejects.toEqual(
      failure("integrity_mismatch", new RegExp(`sha256 ${wrong} where sha256 ${sha256(WEIGHTS)}`)),
    );
    expect(server.gets(PATH)).toHaveLength(1);
  });

  test("is recognised by a wrong hash of a small file, before the weights are asked for", async () => {
    const { files } = model();
    files["tokenizer.json"] = { source: `${server.address}/m/tokenizer.json`, sha256: "0".repeat(64) };
    const recorder = new Recorder();
    await expect(deliverTo(recorder, { name: "m", files })).rejects.toEqual(failure("integrity_mismatch"));
    expect([recorder.opened, server.gets(PATH).length]).toEqual([0, 0]);
  });

  test.each([
    [-1, /more where/],
    [1, /3000000 bytes where 3000001/],
  ])("is recognised by a length that is off by %i", async (difference, message) => {
    const files = modelAt(server.address, { bytes: WEIGHTS.length + difference });
    await expect(deliverTo(new Recorder(), files)).rejects.toEqual(failure("integrity_mismatch", message));
    expect(server.gets(PATH)).toHaveLength(1);
  });

  test("cannot be read without a length", async () => {
    server.set(PATH, { hidesLength: true });
    await expect(deliverTo(new Recorder(), model())).rejects.toEqual(failure("model_unreadable", /length/));
    const recorder = new Recorder();
    await deliverTo(recorder, modelAt(server.address, { bytes: WEIGHTS.length }));
    expect(recorder.files.get("model.safetensors").bytes).toBe(WEIGHTS.length);
  });
});

describe("a sink that throws", () => {
  test("ends the delivery with its own error", async () => {
    const recorder = new Recorder();
    const own = Object.assign(new Error("no"), { code: "weights_mismatch" });
    recorder.onPush = () => Promise.reject(own);
    await expect(deliverTo(recorder, model())).rejects.toBe(own);
    expect(recorder.opened).toBe(1);
  });

  test("is given all again, fresh, if what it got was patched", async () => {
    server.set(PATH, { cutAfter: 1_000_000, times: 1 });
    const recorder = new Recorder();
    recorder.onPush = (_: Uint8Array, { opened, received }: Recorder) => {
      if (opened === 1 && received > 2_000_000) throw Object.assign(new Error("no"), { code: "weights_mismatch" });
    };
    await deliverTo(recorder, model());
    expect(recorder.opened).toBe(2);
  });
});

describe("a signal", () => {
  test("that is aborted already lets nothing begin", async () => {
    const reason = new Error("no more");
    await expect(deliverTo(new Recorder(), model(), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test.each([
    ["before headers", { stallsAfter: 0 }],
    ["while bytes come", { msPerChunk: 50 }],
    ["while none come", { stallsAfter: 1_000_000 }],
    ["between attempts", { status: 503 }],
  ])("stops %s, at once and with its reason", async (_, behaviour) => {
    server.set(PATH, behaviour);
    const controller = new AbortController();
    const reason = new Error("no more");
    const recorder = new Recorder();
    const delivery = deliverTo(recorder, model(), controller.signal);
    setTimeout(() => controller.abort(reason), 300);
    const begun = performance.now();
    await expect(delivery).rejects.toBe(reason);
    expect(performance.now() - begun).toBeLessThan(600);
    const { received } = recorder;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(recorder.received).toBe(received);
  });

  test("stops while the sink holds the download back for ever", async () => {
    const controller = new AbortController();
    const recorder = new Recorder();
    recorder.onPush = () => new Promise(() => setTimeout(() => controller.abort("enough"), 50));
    await expect(deliverTo(recorder, model(), controller.signal)).rejects.toBe("enough");
  });
});

describe("files that lie here", () => {
  const blobs = (weights: Blob, sha256?: string) => ({
    name: "picked",
    files: {
      "config.json": { source: new Blob(["{}"]) },
      "tokenizer.json": { source: new Blob(["{}"]) },
      "model.safetensors": { source: weights, ...(sha256 !== undefined && { sha256 }) },
    },
  });

  test("are read without a network", async () => {
    const recorder = new Recorder();
    const { delivered } = await deliverTo(recorder, blobs(new Blob([WEIGHTS])));
    expect(recorder.hashes()["model.safetensors"]).toBe(sha256(WEIGHTS));
    expect(delivered.unverified).toEqual(["config.json", "tokenizer.json", "model.safetensors"]);
    expect(server.requests).toEqual([]);
  });

  test("must have the right hash, and be no web page", async () => {
    const wrong = blobs(new Blob([WEIGHTS]), "0".repeat(64));
    await expect(deliverTo(new Recorder(), wrong)).rejects.toEqual(failure("integrity_mismatch"));
    const page = blobs(new Blob(["<!doctype html>"]));
    await expect(deliverTo(new Recorder(), page)).rejects.toEqual(failure("model_unreadable"));
  });

  test("are read from the disk in Node", async () => {
    const folder = pathToFileURL(`${mkdtempSync(`${tmpdir()}/crossrank-`)}/`);
    writeFileSync(new URL("q.gguf", folder), WEIGHTS);
    const at = (name: string) => ({ name: "q", files: { "q.gguf": { source: new URL(name, folder).href } } });
    const recorder = new Recorder();
    await deliverTo(recorder, at("q.gguf"));
    expect(recorder.hashes()).toEqual({ "q.gguf": sha256(WEIGHTS) });
    await expect(deliverTo(recorder, at("none.gguf"))).rejects.toEqual(failure("model_not_found", /none\.gguf/));
  });
});

test("a definition must have what a model needs", async () => {
  const { "tokenizer.json": _, ...files } = model().files;
  await expect(deliverTo(new Recorder(), { name: "m", files })).rejects.toEqual(
    failure("invalid_input", /lacks tokenizer\.json/),
  );
  await expect(deliverTo(new Recorder(), { name: "m", files: {} })).rejects.toEqual(failure("invalid_input", /weights/));
});

test("a cache that must be and cannot be is refused by name", async () => {
  const { deliver } = await import("../../src/storage/index.js");
  await expect(deliver(model(), new Recorder(), { cache: "opfs" })).rejects.toEqual(
    failure("invalid_input", /private file system/),
  );
  expect(server.requests).toEqual([]);
});
