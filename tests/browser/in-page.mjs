// What the tests' pages have at hand, as globals.
import { CrossrankClient, Reranker, RerankError, clearCache } from "crossrank";
import defaultModel from "crossrank/default-model";

const QUERY = "How many people live in Berlin?";
const DOCUMENTS = [
  "Apples ripen when autumn comes.",
  "Berlin has a population of 3.5 million: so many people live in the city.",
  "The recipe asks for two eggs and a pinch of salt.",
  "Berlin is well known for its museums.",
];

/** The default model in WebAssembly, from the server. */
const load = (options) => Reranker.load(defaultModel, { device: "wasm", cache: "none", ...options });
/** A model of three small layers, which knows nothing. */
const loadTiny = (options) => Reranker.load(tiny, { device: "wasm", cache: "none", ...options });
const files = ["config.json", "tokenizer.json", "model.safetensors"].map((name) => [name, { source: `/tiny/${name}` }]);
const tiny = { name: "tiny", files: Object.fromEntries(files) };

/** Documents of about `words` words each, all different. */
const longDocuments = (count, words) =>
  Array.from({ length: count }, (_, index) => Array.from({ length: words }, (_, at) => `${DOCUMENTS[(index + at) % 4].split(" ")[at % 5]}${at % 7 ? "" : index}`).join(" "));

/** What `work` fails with, as plain data. */
async function failure(work) {
  try {
    await work();
  } catch (error) {
    const { name, code, message, hint, cause } = error;
    return { isTyped: error instanceof RerankError, name, code, message, hint, ...(cause && { cause: cause.message }) };
  }
  throw new Error("it did not fail");
}

/** What `work` rejects with when its signal is aborted by `stop`, and how long that takes. */
async function aborted(work, stop) {
  const controller = new AbortController();
  const reason = { why: "the test" };
  let stopped;
  const abort = () => {
    stopped ??= performance.now();
    controller.abort(reason);
  };
  if (typeof stop === "number") setTimeout(abort, stop);
  try {
    await work(controller.signal, abort);
  } catch (error) {
    return { isReason: error === reason, error: String(error?.message ?? error), ms: performance.now() - stopped };
  }
  throw new Error("it was not stopped");
}

Object.assign(globalThis, {
  CrossrankClient, Reranker, RerankError, clearCache, defaultModel, QUERY, DOCUMENTS,
  load, loadTiny, tiny, longDocuments, failure, aborted,
});
