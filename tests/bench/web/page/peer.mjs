// A worker that reranks with transformers.js the way its documentation shows.
import { AutoModelForSequenceClassification, AutoTokenizer, env } from "/transformers/transformers.min.js";
import { answerCalls } from "./calls.mjs";

const ORT = new URL("/onnxruntime/ort-wasm-simd-threaded.asyncify", location.origin).href;

let tokenizer, model;

/** What transformers.js calls ours. */
const DTYPES = { f32: "fp32", q8: "q8" };

async function load({ model: name, device, dtype = "f32" }) {
  // As by default, but from here instead of Hugging Face and a CDN.
  env.remoteHost = new URL("/models/", location.origin).href;
  env.remotePathTemplate = "{model}/";
  env.backends.onnx.wasm.wasmPaths = { mjs: `${ORT}.mjs`, wasm: `${ORT}.wasm` };
  env.backends.onnx.wasm.numThreads = 1;
  tokenizer = await AutoTokenizer.from_pretrained(`${name}/peer`);
  model = await AutoModelForSequenceClassification.from_pretrained(`${name}/peer`, { device, dtype: DTYPES[dtype] });
  return {};
}

/** Logits of documents in one padded batch, with the token slots that were computed and those that were needed. */
async function score(query, documents) {
  const inputs = tokenizer(documents.map(() => query), { text_pair: documents, padding: true, truncation: true });
  const { logits } = await model(inputs);
  logits.sigmoid();
  const tokens = inputs.attention_mask.data.reduce((sum, one) => sum + Number(one), 0);
  return { logits: Array.from(logits.data), tokens, slots: inputs.attention_mask.size };
}

/** Indices of the documents, by length in tokens. */
function sortedByLength(query, documents) {
  const { input_ids } = tokenizer(documents.map(() => query), {
    text_pair: documents, padding: false, truncation: true, return_tensor: false,
  });
  return documents.map((_, index) => index).sort((a, b) => input_ids[a].length - input_ids[b].length);
}

/** `batch` documents at a time, all without it; `sorted`: batches of like length. */
async function rerank({ query, documents, batch = documents.length, sorted = false }) {
  const order = sorted ? sortedByLength(query, documents) : documents.map((_, index) => index);
  const results = [];
  let tokens = 0, slots = 0;
  for (let at = 0; at < order.length; at += batch) {
    const indices = order.slice(at, at + batch);
    const scored = await score(query, indices.map((index) => documents[index]));
    results.push(...indices.map((index, row) => ({ index, logit: scored.logits[row] })));
    tokens += scored.tokens;
    slots += scored.slots;
  }
  results.sort((a, b) => b.logit - a.logit);
  return { results, tokens, slots };
}

answerCalls({ load, rerank });
