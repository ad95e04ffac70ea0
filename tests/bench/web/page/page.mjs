// The page: both sides in workers of their own, timed from text to sorted scores.
import { caller } from "./calls.mjs";

const sides = new Map();

/** The address of a worker's script, with a counter of GPU dispatches before it if wished. */
const script = (path, counted) => new URL(counted ? `/counted${path}` : path, location.href);

/** Our npm package, whose worker is its own. */
async function openOurs({ model, file = "", device, dtype = "f32", counted }) {
  const { Reranker } = await import("/package/index.js");
  const worker = counted ? { worker: script("/package/worker.js", true) } : {};
  const reranker = await Reranker.load(new URL(`/models/${model}/ours/${file}`, location.href), { device, dtype, ...worker });
  return {
    info: reranker.info,
    rerank: async ({ query, documents }) => {
      const { results, meta } = await reranker.rerank({ query, documents, rawScores: true });
      return {
        results: results.map(({ index, logit }) => ({ index, logit })),
        tokens: meta.tokens.inputTokens, batches: meta.usage.batches,
      };
    },
    close: () => reranker.dispose(),
  };
}

async function openPeer({ counted, ...options }) {
  const worker = new Worker(script("/peer.mjs", counted), { type: "module" });
  const call = caller(worker);
  await call("load", options);
  return { rerank: (request) => call("rerank", request), close: () => worker.terminate() };
}

/** Loads `ours` or `peer`; milliseconds until it can score, and what ours tells about itself. */
async function load(side, options) {
  const start = performance.now();
  const opened = await (side === "ours" ? openOurs : openPeer)(options);
  const ms = performance.now() - start;
  sides.set(side, opened);
  return { info: opened.info, ms };
}

/** Reranks with a loaded side; milliseconds from text to sorted scores, and the page's tasks over 50 ms. */
async function rerank(side, request) {
  const tasks = [];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
  observer.observe({ type: "longtask" });
  const start = performance.now();
  const answer = await sides.get(side).rerank(request);
  const ms = performance.now() - start;
  await new Promise((resolve) => setTimeout(resolve, 100)); // a task is reported after its end
  observer.disconnect();
  return { ...answer, ms, longTasks: tasks };
}

/** GPU dispatches of a side that was loaded with `counted`; only one such side may be loaded. */
function dispatches() {
  const channel = new BroadcastChannel("dispatches");
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => (channel.close(), resolve(data.dispatches));
    channel.postMessage("count");
  });
}

async function adapter() {
  const { info } = await navigator.gpu.requestAdapter();
  return [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(" ");
}

const close = (side) => (sides.get(side).close(), sides.delete(side));

globalThis.bench = { load, rerank, dispatches, adapter, close };
