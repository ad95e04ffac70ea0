import { expect, test } from "vitest";
import { readLoadOptions } from "../src/load-options.js";
import type { LoadOptions, ModelChoice } from "../src/types.js";

const read = (model: unknown, options: object = {}) => readLoadOptions(model as ModelChoice, options as LoadOptions);
const blob = new Blob(["{}"]);
const definition = { name: "m", files: { "config.json": { source: blob }, "a.gguf": { source: "https://a.example/a.gguf", bytes: 9 } } };

test("without options the device and the cache are chosen, and a server has no worker", () => {
  expect(read("bge-v2-m3")).toEqual({
    settings: { model: "bge-v2-m3", device: "auto", cache: "auto" },
    worker: false,
    watch: { signal: undefined, onProgress: undefined },
  });
});

test("settings are plain data that a message can carry, addresses whole", () => {
  const url = new URL("https://a.example/m");
  const options = { device: "wasm", dtype: "q8", cache: "none", baseUrl: url, wasm: url, memoryBudgetBytes: 5, onProgress: () => {} };
  const { settings } = read(url, options);
  expect(structuredClone(settings)).toEqual({
    model: url.href, device: "wasm", dtype: "q8", cache: "none", baseUrl: url.href, wasm: url.href, memoryBudgetBytes: 5,
  });
});

test("a definition's files keep what is known of them", () => {
  expect(read(definition).settings.model).toEqual(definition);
});

test("a relative address where there is no page is refused", () => {
  expect(() => read({ ...definition, files: { "config.json": { source: "m/config.json" } } })).toThrow("is not an address");
  expect(() => read("default", { wasm: "./wasm/" })).toThrow("is not an address");
});

test.each([
  ["the model is 5", 5],
  ["the model is an object", {}],
  ["the model is a list of 0", []],
  ["the model is a list of 1", [1]],
  ["files is 5", { name: "m", files: 5 }],
  ["the model has no name or no files", { files: {} }],
  ["config.json is 5, not an object", { name: "m", files: { "config.json": 5 } }],
  ["config.json has no source", { name: "m", files: { "config.json": {} } }],
  ["source is an object", { name: "m", files: { "config.json": { source: {} } } }],
  ['sha256 is "abc"', { name: "m", files: { "config.json": { source: blob, sha256: "abc" } } }],
])("%s", (message, model) => {
  expect(() => read(model)).toThrow(expect.objectContaining({ name: "RerankError", code: "invalid_input", message }));
});

test.each([[{ device: "cuda" }], [{ dtype: "int8" }], [{ cache: true }], [{ worker: true }], [{ quantized: true }]])("%o is refused", (options) => {
  expect(() => read("default", options)).toThrow(expect.objectContaining({ code: "invalid_input", hint: expect.stringMatching(/.../) }));
});
