// Threads of WebAssembly, on a page that is cross-origin isolated: run `./build.sh pkg` first.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import { openSite, packageTests } from "./package-site.mjs";

const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const THREAD = new URL("../../web/dist/thread.js", import.meta.url);

const threadsTest = packageTests("threads", "cpu_threads");
let site;
before(async () => void (site = await openSite({ headers: ISOLATED })));
after(() => site.close());

/** Ranks long documents with each of the options, and tells in how many threads. */
const rank = (page, options) =>
  page.evaluate(async (options) => {
    const reranker = await load(options);
    const { results } = await reranker.rerank({ query: QUERY, documents: longDocuments(12, 60), rawScores: true });
    const { threads } = reranker.info;
    await reranker.dispose();
    return { threads, results };
  }, options);

threadsTest("two threads give what one gives", () =>
  site.visit(async (page) => {
    assert.ok(await page.evaluate("crossOriginIsolated"));
    for (const dtype of ["q8", "f32"]) {
      const [one, two] = [await rank(page, { threads: 1, dtype }), await rank(page, { threads: 2, dtype })];
      assert.deepEqual([one.threads, two.threads], [1, 2]);
      assert.deepEqual(two.results, one.results);
    }
  }));

threadsTest("an isolated page has a thread for each core, at most 4", () =>
  site.visit(async (page) => {
    const cores = await page.evaluate("navigator.hardwareConcurrency");
    assert.equal((await rank(page, {})).threads, Math.min(4, cores));
  }));

threadsTest("on the page's own thread, and on a page that is not isolated, there is one", async () => {
  await site.visit(async (page) => assert.equal((await rank(page, { threads: 2, worker: false })).threads, 1));
  site.server.set("/page.html", { headers: { "cross-origin-opener-policy": "unsafe-none", "cross-origin-embedder-policy": "unsafe-none" } });
  await site.visit(async (page) => {
    assert.equal(await page.evaluate("crossOriginIsolated"), false);
    assert.equal((await rank(page, { threads: 2 })).threads, 1);
  });
  site.server.reset();
});

threadsTest("where threads cannot be started, one computes", async () => {
  site.server.set("/dist/thread.js", { status: 404 });
  await site.visit(async (page) => assert.equal((await rank(page, { threads: 2 })).threads, 1), { expects: /404/ });
  site.server.reset();
});

threadsTest("a thread that stops ends the load, and the next one succeeds", async () => {
  const script = readFileSync(THREAD, "utf8");
  const stopping = script.replace("wasm.runThread();", 'throw new WebAssembly.RuntimeError("unreachable");');
  assert.notEqual(stopping, script);
  site.server.set("/dist/thread.js", { body: stopping, times: 1 });
  await site.visit(async (page) => {
    const error = await page.evaluate(() => failure(() => load({ threads: 2 })));
    assert.equal(error.code, "internal");
    assert.match(error.message, /a thread stopped: RuntimeError: unreachable/);
    assert.equal((await rank(page, { threads: 2 })).threads, 2);
  });
});
