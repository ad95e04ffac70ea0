// What cannot be ranked, and models that are none: typed errors, and what comes after works. Run `./build.sh pkg` first.
import assert from "node:assert/strict";
import { after, before, beforeEach } from "node:test";
import { NOT_FOUND, openSite, packageTests } from "./package-site.mjs";

const badInputTest = packageTests("bad_input");
let site;
before(async () => {
  site = await openSite();
});
beforeEach(() => site.server?.reset());
after(() => site.close());

/** A `RerankError` of this code, which says what was wrong and what to do, in words and not in a program's. */
function assertTyped(failed, code, what) {
  assert.deepEqual([failed.isTyped, failed.name, failed.code], [true, "RerankError", code], `${what}: ${JSON.stringify(failed)}`);
  assert.ok(failed.message.length >= 8 && failed.hint.length > 3, `${what}: ${JSON.stringify(failed)}`);
  assert.doesNotMatch(failed.message + failed.hint, /panicked|unwrap|unreachable|\.rs:\d|\[object|TypeError/, what);
}

for (const worker of [true, false]) {
  const place = worker ? "in a worker" : "on the page";

  badInputTest(`requests ${place} that cannot be ranked are refused with what to do, and the next one is answered`, () =>
    site.visit(async (page) => {
      const { failures, results } = await page.evaluate(async (worker) => {
        const reranker = await loadTiny({ worker });
        const cyclic = {};
        cyclic.self = cyclic;
        const documents = DOCUMENTS;
        const requests = {
          "no request": undefined,
          "null": null,
          "a list": [],
          "no query": { documents },
          "an empty query": { query: " \n\t", documents },
          "a query that is a number": { query: 5, documents },
          "no documents": { query: "q" },
          "an empty list": { query: "q", documents: [] },
          "a string for documents": { query: "q", documents: "text" },
          "a number among documents": { query: "q", documents: ["a", 5] },
          "null among documents": { query: "q", documents: [null] },
          "a list among documents": { query: "q", documents: [["a"]] },
          "a hole among documents": { query: "q", documents: [, "a"] },
          "a function among documents": { query: "q", documents: [() => {}] },
          "a symbol among documents": { query: "q", documents: [Symbol("s")] },
          "a BigInt in a document": { query: "q", documents: [{ a: 1n }] },
          "a cycle": { query: "q", documents: [cyclic] },
          "a getter that throws": { query: "q", documents: [{ get a() { throw new Error("mine"); } }] },
          "rankFields that no document has": { query: "q", documents: [{ a: "b" }], rankFields: ["text"] },
          "no rankFields": { query: "q", documents: [{ a: "b" }], rankFields: [] },
          "topN 0": { query: "q", documents, topN: 0 },
          "topN -1": { query: "q", documents, topN: -1 },
          "topN 1.5": { query: "q", documents, topN: 1.5 },
          "topN NaN": { query: "q", documents, topN: NaN },
          "topN as text": { query: "q", documents, topN: "3" },
          "topN twice": { query: "q", documents, topN: 1, top_n: 2 },
          "top_k": { query: "q", documents, top_k: 1 },
          "maxTokensPerDoc 0": { query: "q", documents, maxTokensPerDoc: 0 },
          "minScore 2": { query: "q", documents, minScore: 2 },
          "deadlineMs -1": { query: "q", documents, deadlineMs: -1 },
          "deadlineMs Infinity": { query: "q", documents, deadlineMs: Infinity },
          "returnDocuments 1": { query: "q", documents, returnDocuments: 1 },
          "a signal that is none": { query: "q", documents, signal: true },
          "onPartial that is none": { query: "q", documents, onPartial: "log" },
          "more documents than one request may have": { query: "q", documents: Array(10_001).fill("a") },
        };
        const pairs = {
          "pairs: none": undefined,
          "pairs: a string": "text",
          "pairs: a string in a list": ["text"],
          "pairs: three": [["a", "b", "c"]],
          "pairs: a number": [["a", 5]],
          "pairs: a hole": [, ["a", "b"]],
        };
        const failures = [];
        for (const [what, request] of Object.entries(requests)) failures.push([what, await failure(() => reranker.rerank(request))]);
        for (const [what, list] of Object.entries(pairs)) failures.push([what, await failure(() => reranker.computeScore(list))]);
        for (const maxLength of [0, 1, 2.5, "9"]) {
          failures.push([`maxLength ${maxLength}`, await failure(() => reranker.computeScore([["a", "b"]], { maxLength }))]);
        }
        const { results } = await reranker.rerank({ query: QUERY, documents });
        return { failures, results };
      }, worker);
      for (const [what, failed] of failures) assertTyped(failed, "invalid_input", what);
      assert.equal(failures.length, 45);
      assert.equal(results.length, 4);
    }));

  badInputTest(`texts ${place} of every kind are ranked: empty, huge, half a character, NUL, emoji, right to left`, () =>
    site.visit(async (page) => {
      const logits = await page.evaluate(async (worker) => {
        const reranker = await loadTiny({ worker });
        const documents = [
          "", " ", "\0", "a\0b", "\ud800", "\ufffd", "a\udc00b", "a\ufffdb", "👩‍👩‍👧‍👦🏳️‍🌈", "שלום", "\u202eabc", "人工知能",
          "x".repeat(1_000_000), "berlin ".repeat(150_000), {}, { a: null, b: [1, { c: "\ud800" }] }, { toJSON: () => "as JSON" },
          new Date(0), { __proto__: null, a: 1 },
        ];
        const rank = async (query) => {
          const { results } = await reranker.rerank({ query, documents, rawScores: true, maxTokensPerDoc: 1000 });
          return results.sort((a, b) => a.index - b.index).map(({ logit }) => logit);
        };
        return { plain: await rank("q"), strange: await rank("\ud83d 👋\0 \u202e"), huge: await rank("berlin ".repeat(150_000)) };
      }, worker);
      for (const [query, found] of Object.entries(logits)) {
        assert.equal(found.length, 19, query);
        assert.ok(found.every(Number.isFinite), `${query}: ${found}`);
      }
      // Half a character is read as U+FFFD, as encoders of text do.
      assert.deepEqual([logits.plain[4], logits.plain[6]], [logits.plain[5], logits.plain[7]]);
    }));

  badInputTest(`5,000 documents ${place} can be stopped, and the next request is answered`, () =>
    site.visit(async (page) => {
      const { stopped, best, nextMs } = await page.evaluate(async (worker) => {
        const reranker = await load({ worker });
        const documents = longDocuments(5000, 40);
        const stopped = await aborted((signal, abort) => reranker.rerank({ query: QUERY, documents, signal, onProgress: abort }));
        const begun = performance.now();
        const { results } = await reranker.rerank({ query: QUERY, documents: DOCUMENTS });
        return { stopped, best: results[0].index, nextMs: performance.now() - begun };
      }, worker);
      assert.ok(stopped.isReason, stopped.error);
      assert.equal(best, 1);
      console.log(`${place}: of 5,000 documents the signal stopped after ${Math.round(stopped.ms)} ms, the next answer came after ${Math.round(nextMs)} ms`);
      assert.ok(nextMs < 10_000, `${nextMs} ms`);
    }));
}

badInputTest("choices of a model, and options, that are none are refused before anything is asked for", () =>
  site.visit(async (page) => {
    const requests = [];
    page.on("request", (request) => requests.push(request.url()));
    const failures = await page.evaluate(async () => {
      const files = (file) => ({ name: "m", files: { "config.json": file } });
      const models = [5, null, undefined, "", {}, [], [1], () => {}, { name: "m", files: null }, { files: {} }, files(5), files({}), files({ source: 5 }),
        files({ source: "http://[" }), files({ source: "/c", sha256: "ab" }), files({ source: "/c", bytes: -1 }), { ...files({ source: "/c" }), window: "wide" }];
      const options = [null, 5, { device: "gpu" }, { devise: "auto" }, { dtype: "f64" }, { cache: "disk" }, { signal: 5 }, { onProgress: 5 },
        { memoryBudgetBytes: -1 }, { worker: 5 }, { worker: "http://[" }, { wasm: "http://[" }, { baseUrl: "" }];
      const failures = [];
      for (const model of models) failures.push([String(JSON.stringify(model)), await failure(() => Reranker.load(model))]);
      for (const option of options) failures.push([JSON.stringify(option), await failure(() => Reranker.load("/tiny/", option))]);
      return failures;
    });
    for (const [what, failed] of failures) assertTyped(failed, "invalid_input", what);
    assert.equal(failures.length, 30);
    const unknown = await page.evaluate(() => failure(() => Reranker.load("ms-marco")));
    assertTyped(unknown, "model_not_found", "an unknown name");
    assert.deepEqual(requests.filter((url) => !/\.js$/.test(url)), []);
  }));

/** A safetensors file with `change` made to its header, or to its bytes. */
function changed(file, change) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length));
  const data = Buffer.from(file.subarray(8 + length));
  change(header, data);
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, data]);
}

const QUERY_WEIGHT = "roberta.encoder.layer.0.attention.self.query.weight";

/** What is served in place of one file of the small model, and what comes of it. */
function badModels({ "/tiny/config.json": config, "/tiny/model.safetensors": weights, "/dist/default-model/files/tokenizer.json": tokenizer }) {
  const [CONFIG, TOKENIZER, WEIGHTS] = ["config.json", "tokenizer.json", "model.safetensors"];
  const withConfig = (fields) => JSON.stringify({ ...JSON.parse(config), ...fields });
  const renamed = (header) => {
    header.renamed = header[QUERY_WEIGHT];
    delete header[QUERY_WEIGHT];
  };
  const nan = (header, data) => data.writeUInt32LE(0x7fc00000, header[QUERY_WEIGHT].data_offsets[0] + 400);
  return [
    ["weights that are cut", WEIGHTS, { body: weights.subarray(0, 300_000) }, "integrity_mismatch"],
    ["weights cut in their header", WEIGHTS, { body: weights.subarray(0, 100) }, "integrity_mismatch"],
    ["empty weights", WEIGHTS, { body: "" }, "integrity_mismatch"],
    ["a header of impossible length", WEIGHTS, { body: Buffer.concat([Buffer.alloc(8, 0xff), weights.subarray(8)]) }, "integrity_mismatch"],
    ["a web page for weights", WEIGHTS, { body: "<!doctype html><title>Sign in</title>" }, "model_unreadable"],
    ["a web page that says so", WEIGHTS, { body: "<p>Sign in</p>", headers: { "content-type": "text/html" } }, "model_unreadable"],
    ["no weights", WEIGHTS, { status: 404 }, "model_not_found"],
    ["forbidden weights", WEIGHTS, { status: 403 }, "model_not_found"],
    ["NaN in the weights", WEIGHTS, { body: changed(weights, nan) }, "integrity_mismatch"],
    ["weights of whole numbers", WEIGHTS, { body: changed(weights, (header) => (header[QUERY_WEIGHT].dtype = "I32")) }, "weights_mismatch"],
    ["a tensor of another name", WEIGHTS, { body: changed(weights, renamed) }, "weights_mismatch"],
    ["no configuration", CONFIG, { status: 404 }, "model_not_found"],
    ["a configuration that is no JSON", CONFIG, { body: '{"hidden_size": 64' }, "model_unsupported"],
    ["a configuration of other sizes", CONFIG, { body: withConfig({ hidden_size: 128 }) }, "weights_mismatch"],
    ["a configuration of another architecture", CONFIG, { body: withConfig({ model_type: "gpt2", architectures: ["GPT2LMHeadModel"] }) }, "model_unsupported"],
    ["a configuration of two labels", CONFIG, { body: withConfig({ id2label: { 0: "a", 1: "b" } }) }, "model_unsupported"],
    ["a configuration of impossible sizes", CONFIG, { body: withConfig({ hidden_size: 2 ** 40 }) }, undefined],
    ["a tokenizer that is no JSON", TOKENIZER, { body: "{" }, "tokenizer_mismatch"],
    ["another model's tokenizer", TOKENIZER, { body: tokenizer }, "tokenizer_mismatch"],
  ];
}

for (const worker of [true, false]) {
  badInputTest(`models ${worker ? "in a worker" : "on the page"} that are damaged, or none, fail with their code, and the right one loads after each`, () =>
    site.visit(async (page) => {
      const cases = badModels(site.server.files);
      for (const [what, file, behaviour, code] of cases) {
        site.server.set(`/tiny/${file}`, behaviour);
        const failed = await page.evaluate((worker) => failure(() => loadTiny({ worker })), worker);
        assertTyped(failed, code ?? failed.code, what);
        assert.notEqual(failed.code, "internal", what);
        site.server.reset();
        const count = await page.evaluate(async (worker) => {
          const reranker = await loadTiny({ worker });
          const { results } = await reranker.rerank({ query: QUERY, documents: DOCUMENTS });
          await reranker.dispose();
          return results.length;
        }, worker);
        assert.equal(count, 4, what);
      }
    }, { expects: NOT_FOUND }));
}

badInputTest("a wrong hash is found out, nothing is scored and nothing is kept", () =>
  site.visit(async (page) => {
    const load = () =>
      page.evaluate(() => {
        const weights = { source: "/tiny/model.safetensors", sha256: "0".repeat(64) };
        return failure(() => Reranker.load({ ...tiny, files: { ...tiny.files, "model.safetensors": weights } }, { device: "wasm" }));
      });
    const failed = await load();
    assertTyped(failed, "integrity_mismatch", "a wrong hash");
    site.server.requests.length = 0;
    const again = await load();
    assert.equal(again.code, "integrity_mismatch");
    assert.equal(site.server.gets("model.safetensors").length, 1, "it was downloaded anew");
  }));

badInputTest("modules that are not there, or are none, fail the load and say where they should be", () =>
  site.visit(async (page) => {
    const nowhere = await page.evaluate(() => failure(() => loadTiny({ wasm: "/nowhere/" })));
    assertTyped(nowhere, "network", "no modules");
    site.server.set("/dist/wasm/crossrank_cpu_relaxed.wasm", { body: "not WebAssembly", headers: { "content-type": "application/wasm" } });
    const broken = await page.evaluate(() => failure(() => loadTiny()));
    assertTyped(broken, "device_unavailable", "a module that is none");
    site.server.reset();
    assert.equal(await page.evaluate(async () => (await loadTiny()).info.device), "wasm");
  }, { expects: NOT_FOUND }));
