import { expect, test } from "vitest";
import { lazyRanker, modelKey, optionsKey } from "../../src/adapters/lazy.js";
import { defaultModel, DOCUMENTS, ENGINE, hasEngine, QUERY } from "./rankers.js";

const request = { query: QUERY, documents: DOCUMENTS };

test("a load that failed is tried again with the next request", async () => {
  if (!hasEngine("lazy_retry")) return;
  const model = defaultModel();
  const { "config.json": config, ...incomplete } = model.files;
  model.files = incomplete;
  const ranker = lazyRanker(model, ENGINE);
  await expect(ranker.rerank(request)).rejects.toMatchObject({ name: "RerankError" });
  model.files = { ...incomplete, "config.json": config! };
  expect((await ranker.rerank(request)).results[0]?.index).toBe(1);
  await ranker.dispose();
}, 60_000);

test("a request that is aborted while the model loads does not stop the load for the others", async () => {
  if (!hasEngine("lazy_abort")) return;
  const ranker = lazyRanker(defaultModel(), ENGINE);
  const stop = new AbortController();
  const stopped = ranker.rerank({ ...request, signal: stop.signal });
  const other = ranker.rerank(request);
  stop.abort(new Error("the user left"));
  await expect(stopped).rejects.toThrow("the user left");
  expect((await other).results).toHaveLength(4);
  await ranker.dispose();
}, 60_000);

test("a request that is aborted already loads nothing", async () => {
  let looked = 0;
  const model = {
    name: "watched",
    get files() {
      looked += 1;
      return {};
    },
  };
  const signal = AbortSignal.abort(new Error("the user left"));
  await expect(lazyRanker(model, ENGINE).rerank({ ...request, signal })).rejects.toThrow("the user left");
  expect(looked).toBe(0);
});

test("after dispose the next request loads again", async () => {
  if (!hasEngine("lazy_dispose")) return;
  let loads = 0;
  const onProgress = ({ status }: { status: string }) => void (loads += Number(status === "ready"));
  const ranker = lazyRanker(defaultModel(), { ...ENGINE, onProgress });
  await ranker.rerank(request);
  await ranker.dispose();
  await ranker.rerank(request);
  expect(loads).toBe(2);
  await ranker.dispose();
}, 60_000);

test("two addresses that are equal are one model, and options that load the same are one", () => {
  expect(modelKey(new URL("https://a.example/m/"))).toBe(modelKey(new URL("https://a.example/m/")));
  expect(optionsKey({ device: "wasm", onProgress: () => {} })).toBe(optionsKey({ device: "wasm" }));
  expect(optionsKey({ device: "wasm" })).not.toBe(optionsKey({ device: "webgpu" }));
  expect(optionsKey({ wasm: new URL("https://a.example/w/") })).toBe(optionsKey({ wasm: "https://a.example/w/" }));
});
