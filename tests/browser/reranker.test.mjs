// What `Reranker` gives, with the default model in Chromium: run `./build.sh pkg` first.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { openSite, packageTests } from "./package-site.mjs";

/** The answer, then the other document on Berlin. */
const BEST = [1, 3];
/** How far logits of the CPU path may lie apart when pairs are computed in other company. */
const TOLERANCE = 2e-5;

const rerankerTest = packageTests("reranker");
let site, shared;
before(async () => {
  site = await openSite();
  shared = await site.open?.();
  await shared?.page.evaluate(async () => void (globalThis.reranker = await load()));
});
after(() => site.close());

/** Runs `work` in a page whose `reranker` has the default model. */
async function withModel(work) {
  const result = await shared.page.evaluate(work);
  shared.assertSilent();
  return result;
}

const indices = (results) => results.map(({ index }) => index);
const isClose = (left, right) => Math.abs(left - right) <= TOLERANCE * Math.max(1, Math.abs(right));

rerankerTest("the default model ranks in a worker as it does on the page itself", () =>
  site.visit(async (page) => {
    const rank = (worker) =>
      page.evaluate(async (worker) => {
        globalThis.reranker = await load({ worker });
        const { results } = await reranker.rerank({ query: QUERY, documents: DOCUMENTS, rawScores: true });
        return { results, info: reranker.info };
      }, worker);
    const there = await rank(true);
    assert.equal(page.workers().length, 1);
    await page.evaluate(() => reranker.dispose());
    const here = await rank(false);
    assert.equal(page.workers().length, 0);
    assert.deepEqual(there, here);
    assert.deepEqual(indices(here.results).slice(0, 2), BEST);
    // The command line's logit of the same pair.
    assert.ok(here.results[0].relevanceScore > 0.99 && here.results[3].relevanceScore < 0.01, JSON.stringify(here.results));
  }));

rerankerTest("info says what was loaded and where it runs", async () => {
  const info = await withModel(() => reranker.info);
  const { weightBytes, keptBytes, ...others } = info;
  assert.deepEqual(others, {
    name: "ms-marco-MiniLM-L-12-v2", device: "wasm", adapter: "wasm", dtype: others.dtype,
    threads: 1, maxTokens: 512, hiddenSize: 384, layers: 12, vocabSize: 30522,
  });
  assert.match(info.dtype, /^(f32|q8)$/);
  assert.equal(weightBytes, 34_457_964);
  // Integers stay integers: all of the file but its header.
  assert.ok(keptBytes > 0.99 * weightBytes && keptBytes < weightBytes, `${keptBytes} bytes`);
});

rerankerTest("an answer has Cohere's shape, an id of its own, and what it cost", async () => {
  const [answer, other] = await withModel(async () => {
    const request = { query: QUERY, documents: DOCUMENTS };
    return [await reranker.rerank(request), await reranker.rerank(request)];
  });
  assert.deepEqual(Object.keys(answer), ["id", "results", "meta"]);
  assert.match(answer.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(answer.id, other.id);
  for (const result of answer.results) assert.deepEqual(Object.keys(result), ["index", "relevanceScore"]);
  const { usage, tokens, ...meta } = answer.meta;
  assert.deepEqual(meta, {
    apiVersion: { version: "2" }, billedUnits: { searchUnits: 1 }, warnings: [], model: "ms-marco-MiniLM-L-12-v2", device: "wasm",
  });
  assert.deepEqual([usage.pairs, usage.batches, tokens.outputTokens], [4, 1, 0]);
  assert.ok(tokens.inputTokens > 60 && tokens.inputTokens < 100, `${tokens.inputTokens} tokens`);
  assert.ok(usage.elapsedMs >= usage.computeMs && usage.computeMs > 0, JSON.stringify(usage));
});

rerankerTest("topN, minScore, rawScores and returnDocuments do what they say", async () => {
  const [all, two, good, raw, returned] = await withModel(async () => {
    const documents = [...DOCUMENTS.slice(0, 3), { title: "Berlin", text: DOCUMENTS[3] }];
    const options = [{}, { topN: 2 }, { minScore: 0.9 }, { rawScores: true }, { returnDocuments: true, topN: 1000 }];
    const results = [];
    for (const option of options) results.push((await reranker.rerank({ query: QUERY, documents, ...option })).results);
    return results;
  });
  assert.deepEqual(two, all.slice(0, 2));
  assert.deepEqual(good, all.filter(({ relevanceScore }) => relevanceScore >= 0.9));
  assert.equal(good.length, 1);
  for (const { logit, relevanceScore } of raw) assert.ok(Math.abs(1 / (1 + Math.exp(-logit)) - relevanceScore) < 1e-12);
  const documents = new Map(returned.map(({ index, document }) => [index, document]));
  assert.deepEqual(documents.get(0), { text: "Apples ripen when autumn comes." });
  assert.deepEqual(documents.get(3), { title: "Berlin", text: "Berlin is well known for its museums." });
});

rerankerTest("rankFields chooses what is read of an object, in its order, as YAML", async () => {
  const logits = await withModel(async () => {
    const logitOf = async (document, options) => {
      const { results } = await reranker.rerank({ query: QUERY, documents: [document], rawScores: true, ...options });
      return results[0].logit;
    };
    const document = { title: "Berlin", views: 7, text: "3.5 million people live there." };
    return {
      all: await logitOf(document),
      yaml: await logitOf("title: Berlin\nviews: 7\ntext: 3.5 million people live there.\n"),
      chosen: await logitOf(document, { rankFields: ["text", "title"] }),
      chosenYaml: await logitOf("text: 3.5 million people live there.\ntitle: Berlin\n"),
    };
  });
  assert.equal(logits.all, logits.yaml);
  assert.equal(logits.chosen, logits.chosenYaml);
  assert.notEqual(logits.all, logits.chosen);
});

rerankerTest("maxTokensPerDoc cuts documents, and without it windows reach what lies far behind", async () => {
  const [cut, first, whole] = await withModel(async () => {
    const filler = "apple ".repeat(600);
    const logitOf = async (document, options) => {
      const { results } = await reranker.rerank({ query: QUERY, documents: [document], rawScores: true, ...options });
      return results[0].logit;
    };
    const document = `apple apple apple apple ${filler}${DOCUMENTS[1]}`;
    return [await logitOf(document, { maxTokensPerDoc: 4 }), await logitOf("apple apple apple apple"), await logitOf(document)];
  });
  assert.equal(cut, first);
  assert.ok(whole > first + 5, `${whole} is not better than ${first}`);
});

rerankerTest("the names of Cohere's HTTP API are read as the SDK's are", async () => {
  const [camel, snake] = await withModel(async () => {
    const documents = DOCUMENTS.map((text) => ({ title: "Berlin", text }));
    const request = { query: QUERY, documents, model: "rerank-v3.5" };
    const camel = { topN: 3, rankFields: ["text"], maxTokensPerDoc: 8, returnDocuments: true, rawScores: true, minScore: 1e-9, deadlineMs: 1e6 };
    const snake = { top_n: 3, rank_fields: ["text"], max_tokens_per_doc: 8, return_documents: true, raw_scores: true, min_score: 1e-9, deadline_ms: 1e6 };
    return [(await reranker.rerank({ ...request, ...camel })).results, (await reranker.rerank({ ...request, ...snake })).results];
  });
  assert.deepEqual(camel, snake);
  assert.equal(camel.length, 3);
});

rerankerTest("every forward pass is told of, and the last partial ranking is the answer", async () => {
  const { answer, progress, partial } = await withModel(async () => {
    const [progress, partial] = [[], []];
    const documents = [...longDocuments(12, 150), ...DOCUMENTS];
    const onProgress = (event) => void progress.push(event);
    const onPartial = (results) => void partial.push(results);
    const answer = await reranker.rerank({ query: QUERY, documents, returnDocuments: true, onProgress, onPartial });
    return { answer, progress, partial };
  });
  const { batches, pairs } = answer.meta.usage;
  assert.ok(batches > 2 && pairs === 16, JSON.stringify(answer.meta.usage));
  assert.deepEqual([progress.length, partial.length], [batches, batches]);
  progress.forEach(({ pairsDone, pairsTotal }, at) => {
    assert.ok(pairsTotal === 16 && pairsDone > (progress[at - 1]?.pairsDone ?? 0), JSON.stringify(progress));
    assert.equal(partial[at].filter(({ relevanceScore }) => relevanceScore !== undefined).length, pairsDone);
  });
  assert.deepEqual(partial.at(-1), answer.results);
});

rerankerTest("after the deadline the rest follows in its order, without scores, and a warning says so", async () => {
  const { results, meta } = await withModel(() =>
    reranker.rerank({ query: QUERY, documents: [...DOCUMENTS, ...longDocuments(40, 300)], deadlineMs: 1 }));
  const scored = results.filter(({ relevanceScore }) => relevanceScore !== undefined);
  assert.ok(scored.length > 0 && scored.length < 44, `${scored.length} scored`);
  assert.deepEqual(results.slice(0, scored.length), scored);
  const rest = indices(results.slice(scored.length));
  assert.deepEqual(rest, rest.toSorted((a, b) => a - b));
  assert.equal(meta.warnings.length, 1);
});

rerankerTest("computeScore scores pairs in their own order, as rerank does", async () => {
  const { scores, results, cut } = await withModel(async () => {
    const { results } = await reranker.rerank({ query: QUERY, documents: DOCUMENTS, rawScores: true });
    const pairs = DOCUMENTS.map((document) => [QUERY, document]);
    return { scores: await reranker.computeScore(pairs), results, cut: await reranker.computeScore(pairs, { maxLength: 12 }) };
  });
  assert.deepEqual(indices(scores), [0, 1, 2, 3]);
  for (const { index, logit, relevanceScore } of results) {
    const score = scores[index];
    assert.deepEqual(Object.keys(score).sort(), ["index", "logit", "score", "tokens"]);
    assert.ok(isClose(score.logit, logit), `${score.logit} ${logit}`);
    assert.ok(Math.abs(score.score - relevanceScore) <= TOLERANCE);
  }
  assert.deepEqual(cut.map(({ tokens }) => tokens), [12, 12, 12, 12]);
});

rerankerTest("requests that are made together are answered one after the other", async () => {
  const { answers, alone } = await withModel(async () => {
    const requests = ["Berlin", "autumn fruit", "baking", "museums"].map((query) => ({ query, documents: DOCUMENTS, rawScores: true }));
    const order = [];
    const answers = await Promise.all(requests.map(async (request, at) => {
      const { results } = await reranker.rerank(request);
      order.push(at);
      return results;
    }));
    const alone = [];
    for (const request of requests) alone.push((await reranker.rerank(request)).results);
    return { answers: [answers, order], alone };
  });
  assert.deepEqual(answers, [alone, [0, 1, 2, 3]]);
});

rerankerTest("an exception of a caller's function is the caller's, and the request goes on", () =>
  site.visit(async (page) => {
    const { results, caught } = await page.evaluate(async () => {
      const caught = [];
      addEventListener("error", (event) => (event.preventDefault(), caught.push(event.message)));
      const reranker = await load({ onProgress: () => { throw new Error("of load"); } });
      const onPartial = () => { throw new Error("of rerank"); };
      const { results } = await reranker.rerank({ query: QUERY, documents: DOCUMENTS, onPartial });
      return { results, caught: [...new Set(caught)] };
    });
    assert.deepEqual(indices(results).slice(0, 2), BEST);
    assert.deepEqual(caught, ["Uncaught Error: of load", "Uncaught Error: of rerank"]);
  }));

rerankerTest("loading tells of every file as transformers.js does, ready last", async () => {
  const events = await site.visit((page) => page.evaluate(async () => {
    const events = [];
    await load({ onProgress: (event) => void events.push(event) });
    return events;
  }));
  const of = (file) => events.filter((event) => event.file === file).map(({ status }) => status);
  for (const file of ["config.json", "tokenizer.json", "model.safetensors"]) {
    assert.deepEqual([...new Set(of(file))], ["initiate", "download", "progress", "done"], file);
  }
  assert.deepEqual(events.at(-1), { status: "ready", name: "ms-marco-MiniLM-L-12-v2" });
  const last = events.filter(({ status, file }) => status === "progress" && file === "model.safetensors").at(-1);
  assert.deepEqual([last.progress, last.loaded, last.total], [100, 34_457_964, 34_457_964]);
});

rerankerTest("support tells what this Chromium can do, and asks no network", () =>
  site.visit(async (page) => {
    const requests = [];
    page.on("request", (request) => requests.push(request.url()));
    const support = await page.evaluate(() => Reranker.support());
    assert.deepEqual(requests, []);
    const { adapter, quotaBytes, estimatedMs, ...others } = support;
    assert.deepEqual(others, { wasm: true, simd: true, threads: false, webgpu: true, device: "wasm", cache: "opfs" });
    assert.match(adapter.description, /swiftshader/i);
    assert.equal(adapter.software, true);
    assert.ok(adapter.maxBufferBytes >= 128 << 20, `${adapter.maxBufferBytes}`);
    assert.ok(quotaBytes > 1e6, `${quotaBytes}`);
    const { computeMs } = await page.evaluate(async () => {
      const reranker = await load();
      return (await reranker.rerank({ query: QUERY, documents: longDocuments(5, 200) })).meta.usage;
    });
    console.log(`support estimates ${estimatedMs} ms for 50 documents of 256 tokens; 5 of about that took ${Math.round(computeMs)} ms`);
    // An estimate that is off by more than five helps nobody.
    assert.ok(estimatedMs > 2 * computeMs && estimatedMs < 50 * computeMs, `${estimatedMs} ms`);
  }));
