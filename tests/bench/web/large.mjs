// Files of true size, streamed from this machine: peak memory beside the bytes that are kept.
import { statSync } from "node:fs";
import { join } from "node:path";
import { openPage, withBrowser } from "./browser.mjs";
import { makeCase } from "./cases.mjs";
import { emptyPageBytes } from "./loading.mjs";
import { makeModel } from "./models.mjs";
import { watchMemory } from "./processes.mjs";
import { megabytes, table } from "./table.mjs";

const LOADS = [
  { model: "jina-full", device: "wasm", dtype: "f32", tokens: 200 },
  { model: "bge-full", device: "wasm", dtype: "q8", tokens: 200 },
  { model: "jina-gguf", file: "model.gguf", device: "wasm", dtype: "f32", tokens: 200 },
  { model: "bge-gguf", file: "model.gguf", device: "wasm", dtype: "f32", tokens: 200 },
  // SwiftShader is slow: a short pair, and one visit.
  { model: "jina-full", device: "webgpu", dtype: "f32", tokens: 32, once: true },
];

export async function large({ server }) {
  const loads = [];
  for (const each of LOADS) {
    console.error(`${each.model} on ${each.device}`);
    const fileBytes = statSync(join(makeModel(each.model), "ours", each.file ?? "model.safetensors")).size;
    loads.push({ ...each, fileBytes, ...(await load(server, each)) });
  }
  return { title: "Large files: peak memory beside the bytes kept", markdown: describe(loads), loads };
}

/** A first visit, whose file comes from the server, and another, which finds it in the browser's cache. */
async function load(server, { tokens, once, ...options }) {
  const { request } = makeCase(options.model, [tokens]);
  return withBrowser(async (context) => {
    const { page, bytes: emptyBytes } = await emptyPageBytes(context, server.address);
    const first = await visit(page, emptyBytes, options, request);
    if (once) return { emptyBytes, visits: { first } };
    const again = await visit(await openPage(context, server.address), emptyBytes, options, request);
    if (again.logit !== first.logit) throw new Error(`${options.model} scores ${first.logit}, then ${again.logit}`);
    return { emptyBytes, visits: { first, again } };
  });
}

async function visit(page, emptyBytes, options, request) {
  const memory = watchMemory();
  const { ms, info } = await page.call("load", "ours", options);
  const loadPeakBytes = memory.peakBytes() - emptyBytes;
  const scoring = watchMemory();
  const { results, ms: rerankMs } = await page.call("rerank", "ours", request);
  const peakBytes = Math.max(loadPeakBytes, scoring.peakBytes() - emptyBytes);
  const [{ logit }] = results;
  if (!Number.isFinite(logit) || info.device !== options.device) throw new Error(`${logit} on ${info.device}`);
  await page.close();
  return { ms, rerankMs, keptBytes: info.keptBytes, loadPeakBytes, peakBytes, logit };
}

function describe(loads) {
  const seconds = (ms) => (ms / 1000).toFixed(1);
  const rows = loads.flatMap(({ model, device, dtype, tokens, fileBytes, visits }) =>
    Object.entries(visits).map(([visit, { ms, rerankMs, keptBytes, loadPeakBytes, peakBytes }]) => [
      `${model}, ${device} ${dtype}, ${visit}`, megabytes(fileBytes), megabytes(keptBytes), megabytes(loadPeakBytes),
      megabytes(peakBytes), (peakBytes / keptBytes).toFixed(2), seconds(ms), `${seconds(rerankMs)} (${tokens} tokens)`,
    ]),
  );
  const heads = ["model", "file MB", "kept MB", "peak MB, loading", "and scoring", "peak/kept", "load s", "one pair s"];
  return table(heads, rows);
}
