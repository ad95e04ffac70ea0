// WebGPU against WebGPU on SwiftShader: a small model, two pairs of 128 tokens.
import { openPage, withBrowser } from "./browser.mjs";
import { compare, makeCase } from "./cases.mjs";
import { processorSeconds } from "./processes.mjs";
import { spread, table } from "./table.mjs";

const SIDES = ["ours", "peer"];
const LENGTHS = [128, 128];
/** Models that differ in their number of layers only. */
const SHALLOW = { name: "small-2", layers: 2 };
const DEEP = { name: "small-4", layers: 4 };
/** Rounds at most: SwiftShader is slow. */
const ROUNDS = 3;
/** Between two paths on GPUs, whose sums run in other orders. */
const TOLERANCE = 2e-4;

export async function gpu({ server, rounds }) {
  const { adapter, apart, taken } = await speed(server, Math.min(rounds, ROUNDS));
  const perLayer = {};
  for (const side of SIDES) perLayer[side] = await dispatchesPerLayer(server, side);
  const figures = { adapter, apart, perLayer, rounds: taken };
  return { title: "WebGPU: 2 layers, hidden 384, f32", markdown: describe(figures), ...figures };
}

async function speed(server, rounds) {
  const { request } = makeCase(SHALLOW.name, LENGTHS);
  return withBrowser(async (context) => {
    const { call } = await openPage(context, server.address);
    const adapter = await call("adapter");
    for (const side of SIDES) await call("load", side, { model: SHALLOW.name, device: "webgpu" });
    const timed = async (side) => {
      const before = processorSeconds();
      const answer = await call("rerank", side, request);
      return { ...answer, processorSeconds: processorSeconds() - before };
    };
    // The first pass compiles shaders: it is timed, but by itself.
    const both = async () => ({ ours: await timed("ours"), peer: await timed("peer") });
    const first = await both();
    const apart = compare(first.ours, first.peer, TOLERANCE);
    const taken = [first];
    for (let round = 0; round < rounds; round++) taken.push(await both());
    return { adapter, apart, taken };
  });
}

/** Dispatches that one layer more takes for one forward pass of two pairs. */
async function dispatchesPerLayer(server, side) {
  const [shallow, deep] = [await dispatches(server, side, SHALLOW.name), await dispatches(server, side, DEEP.name)];
  if (!(shallow > 0)) throw new Error(`${side} has not used the GPU`);
  return (deep - shallow) / (DEEP.layers - SHALLOW.layers);
}

async function dispatches(server, side, name) {
  const { request } = makeCase(name, LENGTHS);
  return withBrowser(async (context) => {
    const { call } = await openPage(context, server.address);
    await call("load", side, { model: name, device: "webgpu", counted: true });
    await call("rerank", side, request);
    const before = await call("dispatches");
    const { batches = 1 } = await call("rerank", side, request);
    return ((await call("dispatches")) - before) / batches;
  });
}

function describe({ adapter, apart, perLayer, rounds: [first, ...rounds] }) {
  const rows = SIDES.map((side) => {
    const ratio = (figure) => spread(rounds.map((all) => all[side][figure] / all.ours[figure]));
    return [
      side === "ours" ? "ours" : "transformers.js",
      (first[side].ms / 1000).toFixed(2),
      spread(rounds.map((all) => all[side].ms / 1000)), ratio("ms"),
      spread(rounds.map((all) => all[side].processorSeconds)), ratio("processorSeconds"),
      perLayer[side],
    ];
  });
  const heads = ["2 × 128 tokens", "first s", "s", "peer/ours", "processor s", "peer/ours", "dispatches a layer"];
  return `${table(heads, rows)}\n\non ${adapter}; logits at most ${apart.toExponential(1)} apart.`;
}
