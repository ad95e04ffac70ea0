// Loading cold and warm, what of the runtime travels, and the peak memory of loading and scoring.
import { openPage, withBrowser } from "./browser.mjs";
import { raggedCase } from "./cases.mjs";
import { watchMemory } from "./processes.mjs";
import { megabytes, spread, table } from "./table.mjs";

const SIDES = {
  ours: { title: "ours", request: {} },
  padded: { title: "transformers.js, one padded batch", request: {} },
  sorted: { title: "transformers.js, length-sorted batches of 8", request: { batch: 8, sorted: true } },
};
const RUNTIME = /^\/(package|transformers|onnxruntime)\//;
/** Visits of each side at most, for the median. */
const VISITS = 3;
const IDLE_MS = 1000;

export async function loading({ server, models }) {
  const cases = [];
  for (const { name, documents, rounds } of models) {
    const each = raggedCase(name, documents);
    const taken = Object.fromEntries(Object.keys(SIDES).map((key) => [key, []]));
    for (let round = 0; round < Math.min(rounds, VISITS); round++) {
      console.error(`${name}: loading, round ${round + 1}`);
      // Both ways to feed the peer load it alike: only its memory is asked for twice.
      for (const key of round === 0 ? Object.keys(SIDES) : ["ours", "padded"]) {
        taken[key].push(await visit(server, key, each, round === 0));
      }
    }
    cases.push({ name, documents, taken });
  }
  return { title: "Loading and memory: wasm, f32", markdown: cases.map(describe).join("\n\n"), cases };
}

/** Highest memory of an empty page, which waits a moment. */
export async function emptyPageBytes(context, address) {
  const page = await openPage(context, address);
  const memory = watchMemory();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return { page, bytes: memory.peakBytes() };
}

/** A first visit with an empty cache, which also scores if asked to, and a second with what the first has left. */
async function visit(server, key, { name, request }, scores) {
  const side = key === "ours" ? "ours" : "peer";
  const options = { model: name, device: "wasm" };
  return withBrowser(async (context) => {
    const { page, bytes: emptyBytes } = await emptyPageBytes(context, server.address);
    const memory = watchMemory();
    server.takeFetched();
    const { ms: coldMs } = await page.call("load", side, options);
    const runtime = server.takeFetched().filter((path) => RUNTIME.test(path));
    if (scores) await page.call("rerank", side, { ...request, ...SIDES[key].request });
    const peakBytes = memory.peakBytes() - emptyBytes;
    await page.close();
    const again = await openPage(context, server.address);
    const { ms: warmMs } = await again.call("load", side, options);
    const gzipBytes = Object.fromEntries(runtime.map((path) => [path, server.gzipBytes(path)]));
    return { coldMs, warmMs, emptyBytes, gzipBytes, ...(scores && { peakBytes }) };
  });
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function describe({ name, documents, taken }) {
  const bytes = (key) => sum(Object.values(taken[key][0].gzipBytes));
  const peak = (key) => taken[key][0].peakBytes;
  const rows = Object.entries(SIDES).map(([key, { title }]) => {
    const seconds = (figure) => spread(taken[key].map((each) => each[figure] / 1000));
    const beside = (of) => `${megabytes(of(key))}${key === "ours" ? "" : ` (${(of("ours") / of(key)).toFixed(2)})`}`;
    return [title, seconds("coldMs"), seconds("warmMs"), beside(bytes), beside(peak)];
  });
  const heads = [`${name}, ${documents} documents`, "cold s", "warm s", "runtime MB, gzip (ours/peer)", "peak MB (ours/peer)"];
  return table(heads, rows);
}
