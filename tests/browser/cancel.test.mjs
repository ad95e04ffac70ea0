// Stopping, closing and dying, at every stage: run `./build.sh pkg` first.
import assert from "node:assert/strict";
import { after, before, beforeEach } from "node:test";
import { NOT_FOUND, openSite, packageTests, until } from "./package-site.mjs";

const WEIGHTS = "/dist/default-model/files/model.safetensors";
/** A page's task that is longer than this stutters. */
const LONG_TASK_MS = 50;

const cancelTest = packageTests("cancel");
let site;
before(async () => {
  site = await openSite();
});
beforeEach(() => site.server?.reset());
after(() => site.close());

const CLOSED = { isTyped: true, name: "RerankError", code: "closed", message: "this reranker is closed", hint: "load the model again" };

/** The caller's own reason came out, at once. */
function assertStopped({ isReason, error, ms }, withinMs = 250) {
  assert.ok(isReason, `rejected with ${error}`);
  assert.ok(ms < withinMs, `${ms} ms after the signal`);
}

for (const worker of [true, false]) {
  const place = worker ? "in a worker" : "on the page";

  cancelTest(`a load ${place} whose signal was aborted before asks for nothing`, () =>
    site.visit(async (page) => {
      const stopped = await page.evaluate(async (worker) =>
        aborted((signal, abort) => (abort(), load({ worker, signal }))), worker);
      assertStopped(stopped);
      await page.waitForTimeout(200);
      assert.deepEqual([site.server.gets(".wasm"), site.server.gets(".safetensors"), page.workers()], [[], [], []]);
    }));

  cancelTest(`a load ${place} is stopped with the file half sent, and the next one succeeds`, () =>
    site.visit(async (page) => {
      site.server.set(WEIGHTS, { msPerChunk: 3, stallsAfter: 17_000_000, times: 1 });
      const stopped = await page.evaluate(async (worker) => {
        let events;
        const stopped = await aborted((signal, abort) => {
          events = 0;
          const onProgress = ({ loaded }) => (signal.aborted ? events++ : loaded > 10_000_000 && abort());
          return load({ worker, signal, onProgress });
        });
        return { ...stopped, events };
      }, worker);
      assertStopped(stopped);
      assert.equal(stopped.events, 0, "an aborted load says no more");
      await until(() => page.workers().length === 0, "the end of the worker");
      await assertLoadsAndRanks(page, worker);
    }));

  cancelTest(`a load ${place} is stopped between the last byte and the end of the set-up`, () =>
    site.visit(async (page) => {
      const stopped = await page.evaluate(async (worker) =>
        aborted((signal, abort) => {
          const onProgress = ({ status, file }) => void (status === "done" && file === "model.safetensors" && abort());
          return load({ worker, signal, onProgress });
        }), worker);
      // Without a worker the set-up itself holds the page.
      assertStopped(stopped, worker ? 250 : 2000);
      await until(() => page.workers().length === 0, "the end of the worker");
      await assertLoadsAndRanks(page, worker);
    }));

  cancelTest(`a request ${place} is stopped between two forward passes, and the next one is answered`, () =>
    site.visit(async (page) => {
      const { stopped, passMs, nextMs, after, answer } = await page.evaluate(async (worker) => {
        const reranker = await load({ worker });
        const documents = longDocuments(50, 180);
        const times = [];
        let after = 0;
        const stopped = await aborted((signal, abort) => {
          const onProgress = () => (signal.aborted ? after++ : times.push(performance.now()) === 2 && abort());
          const onPartial = () => signal.aborted && after++;
          return reranker.rerank({ query: QUERY, documents, signal, onProgress, onPartial });
        });
        const begun = performance.now();
        const { results, meta } = await reranker.rerank({ query: QUERY, documents: DOCUMENTS });
        const nextMs = performance.now() - begun - meta.usage.elapsedMs;
        const answer = results.map(({ index }) => index);
        return { stopped, passMs: times[1] - times[0], nextMs, after, answer };
      }, worker);
      assertStopped(stopped);
      assert.equal(after, 0, "a stopped request says no more");
      assert.deepEqual(answer.slice(0, 2), [1, 3]);
      console.log(`${place}: a pass takes ${Math.round(passMs)} ms; ${Math.round(nextMs)} ms after the signal the next request began`);
      // The pass that ran goes to its end, and at most one more that had begun when the signal came.
      assert.ok(nextMs < 2.5 * passMs + 50, `${nextMs} ms, a pass takes ${passMs} ms`);
    }));

  cancelTest(`computeScore ${place} is stopped, and so is a request that waits for its turn`, () =>
    site.visit(async (page) => {
      const { first, queued, scores, ms, allMs } = await page.evaluate(async (worker) => {
        const reranker = await load({ worker });
        const pairs = longDocuments(200, 180).map((document) => [QUERY, document]);
        const started = performance.now();
        await reranker.computeScore(pairs.slice(0, 5));
        const allMs = (performance.now() - started) * 40;
        const first = aborted((signal) => reranker.computeScore(pairs, { signal }), 400);
        const queued = aborted((signal) => reranker.rerank({ query: QUERY, documents: DOCUMENTS, signal }), 100);
        const begun = performance.now();
        const scores = reranker.computeScore([[QUERY, DOCUMENTS[1]]]);
        return { queued: await queued, first: await first, scores: await scores, ms: performance.now() - begun, allMs };
      }, worker);
      // On the page a timer waits for the end of a forward pass, but not what the signal stops.
      assertStopped(first);
      assertStopped(queued);
      assert.equal(scores.length, 1);
      console.log(`${place}: 200 pairs were stopped after 400 ms, and another was scored ${Math.round(ms)} ms after the start; all take about ${Math.round(allMs)} ms`);
      assert.ok(ms < allMs / 4, `${ms} ms`);
    }));

  cancelTest(`dispose ${place} stops what runs and what waits, and everything after it says closed`, () =>
    site.visit(async (page) => {
      const failures = await page.evaluate(async (worker) => {
        const reranker = await load({ worker });
        const running = failure(() => reranker.rerank({ query: QUERY, documents: longDocuments(50, 180) }));
        const waiting = failure(() => reranker.computeScore([[QUERY, DOCUMENTS[0]]]));
        await new Promise((resolve) => setTimeout(resolve, 100));
        await reranker.dispose();
        await reranker.dispose();
        const later = failure(() => reranker.rerank({ query: QUERY, documents: DOCUMENTS }));
        return Promise.all([running, waiting, later]);
      }, worker);
      assert.deepEqual(failures, [CLOSED, CLOSED, CLOSED]);
      await until(() => page.workers().length === 0, "the end of the worker");
      await assertLoadsAndRanks(page, worker);
    }));
}

async function assertLoadsAndRanks(page, worker) {
  const best = await page.evaluate(async (worker) => {
    const reranker = await load({ worker });
    return (await reranker.rerank({ query: QUERY, documents: DOCUMENTS, topN: 1 })).results[0].index;
  }, worker);
  assert.equal(best, 1);
}

cancelTest("`await using` frees the worker at the end of its block", () =>
  site.visit(async (page) => {
    // As text: Node does not know the syntax yet.
    const results = await page.evaluate(`(async () => {
      await using reranker = await loadTiny();
      return (await reranker.rerank({ query: QUERY, documents: DOCUMENTS })).results;
    })()`);
    assert.equal(results.length, 4);
    await until(() => page.workers().length === 0, "the end of the worker");
  }));

/**
 * The longest task of the page's own thread while `run` does its work, in milliseconds of the processor's time: on a
 * machine that has other things to do, time by the clock would measure those.
 */
async function longestTask(page, run) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ["-*", "disabled-by-default-devtools.timeline"] });
  await run();
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const threads = traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
  const isOfPage = ({ pid, tid }) => threads.some((thread) => thread.pid === pid && thread.tid === tid);
  const tasks = traceEvents.filter((event) => event.name === "RunTask" && event.tdur !== undefined && isOfPage(event));
  return Math.max(...tasks.map(({ tdur }) => tdur / 1000));
}

cancelTest("while 50 documents are scored no task of the page is longer than 50 ms", () =>
  site.visit(async (page) => {
    await page.evaluate(async () => void (globalThis.reranker = await load()));
    const busy = await longestTask(page, () =>
      page.evaluate(() => {
        for (const end = performance.now() + 500; performance.now() < end; );
      }));
    assert.ok(busy > LONG_TASK_MS, `a task of 500 ms was seen as one of ${busy} ms`);
    const longest = await longestTask(page, () =>
      page.evaluate(async () => {
        const documents = longDocuments(50, 60);
        await reranker.rerank({ query: QUERY, documents, returnDocuments: true, onPartial: () => {}, onProgress: () => {} });
      }));
    console.log(`the longest task of the page: ${longest.toFixed(1)} ms`);
    assert.ok(longest <= LONG_TASK_MS, `a task of ${longest} ms`);
  }));

cancelTest("a worker that is ended from outside in the middle of a request fails it, and the next call says closed", () =>
  site.visit(async (page) => {
    const failed = page.evaluate(async () => {
      const reranker = await load();
      globalThis.hasBegun = false;
      const request = { query: QUERY, documents: longDocuments(50, 180), onProgress: () => void (hasBegun = true) };
      const running = await failure(() => reranker.rerank(request));
      return { running, later: await failure(() => reranker.rerank(request)) };
    });
    await until(() => page.evaluate(() => globalThis.hasBegun === true), "the first forward pass");
    await page.workers()[0].evaluate(() => globalThis.close());
    const { running, later } = await failed;
    assert.deepEqual([running.isTyped, running.code], [true, "internal"]);
    assert.match(running.message, /the worker died/);
    assert.match(running.hint, /load the model again/);
    assert.deepEqual(later, { ...CLOSED, cause: running.message });
    await assertLoadsAndRanks(page, true);
  }));

cancelTest("a worker that ends while nothing runs is found out by the next call", () =>
  site.visit(async (page) => {
    await page.evaluate(async () => void (globalThis.reranker = await loadTiny()));
    await page.workers()[0].evaluate(() => globalThis.close());
    await until(() => page.workers().length === 0, "the end of the worker");
    const failed = await page.evaluate(() => failure(() => reranker.rerank({ query: QUERY, documents: DOCUMENTS })));
    assert.deepEqual([failed.isTyped, /worker died/.test(failed.message) || failed.code === "closed"], [true, true], JSON.stringify(failed));
  }));

cancelTest("a worker whose script is not there, or is none, fails the load and says what to do", () =>
  site.visit(async (page) => {
    site.server.set("/broken-worker.mjs", { body: "throw new Error('not a worker');" });
    for (const [script, message] of [["/nowhere/worker.js", /cannot be started/], ["/broken-worker.mjs", /cannot be started.*not a worker/]]) {
      const failed = await page.evaluate((worker) => failure(() => load({ worker })), script);
      assert.deepEqual([failed.isTyped, failed.code], [true, "internal"]);
      assert.match(failed.message, message);
      assert.match(failed.hint, /`worker`.*worker: false/);
    }
    await assertLoadsAndRanks(page, true);
  }, { expects: NOT_FOUND }));

cancelTest("a WebAssembly module whose memory has ended fails with a typed error, and a new one works", () =>
  site.visit(async (page) => {
    await page.evaluate(async () => void (globalThis.reranker = await loadTiny({ worker: "/watched-worker.mjs" })));
    await page.workers()[0].evaluate(() => {
      const { memory } = watched;
      // All that 32 bits can name, as if others had taken it.
      for (let pages = 1 << 15; pages > 0; pages >>= 1) {
        try {
          for (;;) memory.grow(pages);
        } catch {}
      }
    });
    const failed = await page.evaluate(() => failure(() => reranker.rerank({ query: QUERY, documents: longDocuments(2000, 400) })));
    console.log(`without memory: ${failed.code}: ${failed.message}`);
    assert.ok(failed.isTyped && ["out_of_memory", "internal"].includes(failed.code), JSON.stringify(failed));
    assert.match(failed.hint, /memory/);
    assert.doesNotMatch(failed.message, /panicked|\.rs:/);
    await assertLoadsAndRanks(page, true);
  }));
