// The default model orders real documents in Chromium as the command line does: run `./build.sh pkg` and `./build.sh run` first.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { openSite, packageTests } from "./package-site.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM = resolve(ROOT, process.env.CARGO_TARGET_DIR || "target", "release/crossrank");
const DATA = join(ROOT, "../shared/data/epqa");
const [QUERIES, CANDIDATES, MAX_CHARACTERS] = [30, 10, 200];
/** What each path may be away from transformers, relative to max(1, |logit|). */
const TOLERANCE = 2e-5;

const missing = !existsSync(DATA) ? "shared data is absent" : !existsSync(PROGRAM) && "./build.sh run has not run";
const orderTest = packageTests("native_order", "cpu", missing);
let site;
before(async () => {
  site = await openSite();
});
after(() => site.close());

/** The first questions that have enough short answers, each with its first. */
function readRequests() {
  const lines = (name) => readFileSync(join(DATA, name), "utf8").trim().split("\n");
  const texts = (name) => new Map(lines(name).map((line) => JSON.parse(line)).map(({ _id, text }) => [_id, text]));
  const [queries, corpus] = [texts("queries.jsonl"), texts("corpus.jsonl")];
  const candidates = new Map();
  for (const line of lines("candidates.trec")) {
    const [query, , document] = line.split(/\s+/);
    const text = corpus.get(document);
    if (text.length > MAX_CHARACTERS) continue;
    if (!candidates.has(query)) candidates.set(query, []);
    candidates.get(query).push(text);
  }
  const requests = [...candidates].map(([id, documents]) => ({ query: queries.get(id), documents: documents.slice(0, CANDIDATES) }));
  return requests.filter(({ documents }) => documents.length === CANDIDATES).slice(0, QUERIES);
}

/** The logits of the command line's ranking, best first. */
function rankNatively({ query, documents }) {
  const args = ["rerank", "--query", query, "--documents", "-", "--format", "json", "--raw-scores", "--device", "cpu", "--dtype", "f32"];
  const answer = JSON.parse(execFileSync(PROGRAM, args, { input: JSON.stringify(documents), stdio: ["pipe", "pipe", "ignore"] }));
  return new Map(answer.results.map(({ index, logit }) => [index, logit]));
}

orderTest("30 real questions get the command line's order, but for answers closer than twice the tolerance", () =>
  site.visit(async (page) => {
    const requests = readRequests();
    assert.equal(requests.length, QUERIES);
    const rankings = await page.evaluate(async (requests) => {
      const reranker = await load({ dtype: "f32" });
      const rankings = [];
      for (const request of requests) rankings.push((await reranker.rerank({ ...request, rawScores: true })).results);
      return rankings;
    }, requests);
    let [worst, same] = [0, 0];
    requests.forEach((request, at) => {
      const native = rankNatively(request);
      const allowed = (index) => TOLERANCE * Math.max(1, Math.abs(native.get(index)));
      const found = rankings[at].map(({ index }) => index);
      assert.deepEqual(found.toSorted(), [...native.keys()].toSorted());
      for (const { index, logit } of rankings[at]) worst = Math.max(worst, (Math.abs(logit - native.get(index)) / allowed(index)) * TOLERANCE);
      found.forEach((better, rank) => {
        for (const worse of found.slice(rank + 1)) {
          const behind = native.get(worse) - native.get(better);
          assert.ok(behind <= 2 * Math.max(allowed(worse), allowed(better)), `${request.query}: ${worse} is ${behind} better than ${better}`);
        }
      });
      same += [...native.keys()].join() === found.join();
    });
    console.log(`${same} of ${QUERIES} orders are the same in every place; largest relative difference of logits ${worst.toExponential(1)}`);
    assert.ok(worst <= 2 * TOLERANCE, `${worst}`);
  }));
