// 50 documents of unequal length on wasm with one thread: text in, sorted scores out.
import { openPage, withBrowser } from "./browser.mjs";
import { compare, raggedCase, TOLERANCE } from "./cases.mjs";
import { processorSeconds } from "./processes.mjs";
import { spread, table } from "./table.mjs";

/** The peer as documented, and with the batches a user could make for it. */
const PEERS = {
  padded: { title: "transformers.js, one padded batch", request: {} },
  sorted: { title: "transformers.js, length-sorted batches of 8", request: { batch: 8, sorted: true } },
};
const REQUESTS = { ours: {}, ...Object.fromEntries(Object.entries(PEERS).map(([side, { request }]) => [side, request])) };

export async function speed({ server, models }) {
  const cases = [];
  for (const { name, documents, rounds, dtypes } of models) {
    for (const dtype of dtypes) cases.push(await measure(server, rounds, dtype, raggedCase(name, documents)));
  }
  return { title: "Speed: wasm, one thread", markdown: cases.map(describe).join("\n\n"), cases };
}

async function measure(server, rounds, dtype, { name, request, tokens }) {
  return withBrowser(async (context) => {
    const { call } = await openPage(context, server.address);
    for (const side of ["ours", "peer"]) await call("load", side, { model: name, device: "wasm", dtype });
    const few = { ...request, documents: request.documents.slice(0, 2) };
    const agree = (ours, peer) => compare(ours, peer, TOLERANCE[dtype]);
    agree(await call("rerank", "ours", few), await call("rerank", "peer", few)); // warms up, too
    const taken = [];
    for (let round = 0; round < rounds; round++) {
      console.error(`${name} ${dtype}: round ${round + 1} of ${rounds}`);
      const all = {};
      for (const [side, extra] of Object.entries(REQUESTS)) {
        const before = processorSeconds();
        const answer = await call("rerank", side === "ours" ? "ours" : "peer", { ...request, ...extra });
        all[side] = { ...answer, processorSeconds: processorSeconds() - before };
      }
      taken.push(all);
    }
    const apart = Math.max(...taken.flatMap((all) => Object.keys(PEERS).map((peer) => agree(all.ours, all[peer]))));
    const figures = taken.map((all) => Object.fromEntries(Object.entries(all).map(([side, answer]) => [side, figuresOf(answer)])));
    return { name, dtype, documents: request.documents.length, tokens, apart, rounds: figures };
  });
}

const figuresOf = ({ ms, processorSeconds, tokens, slots, longTasks }) => ({ ms, processorSeconds, tokens, slots, longTasks });

function describe({ name, dtype, documents, tokens, apart, rounds }) {
  const rows = ["ours", ...Object.keys(PEERS)].map((side) => {
    const ratio = (figure) => spread(rounds.map((all) => all[side][figure] / all.ours[figure]));
    const tasks = rounds.flatMap((all) => all[side].longTasks);
    const { tokens: read, slots = read } = rounds[0][side];
    return [
      PEERS[side]?.title ?? "ours",
      spread(rounds.map((all) => all[side].ms / 1000)), ratio("ms"),
      spread(rounds.map((all) => all[side].processorSeconds)), ratio("processorSeconds"),
      (slots / tokens).toFixed(2),
      spread(rounds.map((all) => (1000 * all[side].processorSeconds) / slots)),
      tasks.length ? `${tasks.length}, at most ${Math.max(...tasks).toFixed(0)} ms` : "none",
    ];
  });
  const heads = [`${name} ${dtype}, ${documents} documents`, "s", "peer/ours", "processor s", "peer/ours", "slots/tokens", "processor ms a slot", "tasks > 50 ms"];
  return [
    table(heads, rows),
    `${tokens} tokens, ${(tokens / documents).toFixed(0)} a pair; logits at most ${apart.toExponential(1)} apart.`,
  ].join("\n\n");
}
