// `Reranker` on WebGPU, computed by SwiftShader, and what becomes of a lost GPU: run `./build.sh pkg` first.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { openSite, packageTests } from "./package-site.mjs";

/** Logits of WebGPU in f32 against those of the CPU, relative to max(1, |logit|): both are sums in other orders. */
const TOLERANCE = 2e-4;
/** In q4 the CPU rounds more than a GPU: weights to a scale for each row, and what they are multiplied with. */
const ROUNDED = 0.5;

const gpuTest = packageTests("gpu", "gpu");
let site;
before(async () => {
  site = await openSite();
});
after(() => site.close());

function assertSameLogits(found, expected, tolerance = TOLERANCE) {
  const by = new Map(expected.map(({ index, logit }) => [index, logit]));
  assert.equal(found.length, expected.length);
  const differences = found.map(({ index, logit }) => Math.abs(logit - by.get(index)) / Math.max(1, Math.abs(by.get(index))));
  const worst = Math.max(...differences);
  assert.ok(worst <= tolerance, `${worst}`);
  return worst;
}

/** What `watched` of the page, or of its worker, saw. */
const seen = (page) => (page.workers()[0] ?? page).evaluate(() => ({ dispatches: watched.dispatches, devices: watched.devices.length }));
const destroyDevices = (page) => (page.workers()[0] ?? page).evaluate(() => watched.devices.forEach((device) => device.destroy()));

/** Loads the small model as `reranker`. */
const load = (page, options) => page.evaluate(async (options) => void (globalThis.reranker = await loadTiny(options)), options);

/** Ranks `count` documents; `destroys` the page's devices, once, after the first forward pass. */
const rank = (page, { count = 4, destroys = false } = {}) =>
  page.evaluate(async ([count, destroys]) => {
    const documents = longDocuments(count, 20);
    let rest = destroys ? 1 : 0;
    const onProgress = () => void (rest-- > 0 && watched.devices.forEach((device) => device.destroy()));
    const { results, meta } = await reranker.rerank({ query: QUERY, documents, rawScores: true, onProgress });
    return { results, meta, info: reranker.info };
  }, [count, destroys]);

/** What WebAssembly gives for the same. */
const rankOnCpu = (page, dtype, count = 4) =>
  page.evaluate(async ([dtype, count]) => {
    const cpu = await loadTiny({ dtype });
    const { results } = await cpu.rerank({ query: QUERY, documents: longDocuments(count, 20), rawScores: true });
    await cpu.dispose();
    return results;
  }, [dtype, count]);

/** The GPU has given way to WebAssembly: the answer that was on its way says so, and `info` from then on. */
async function assertFellBack(page, { results, meta, info }, expected) {
  assert.deepEqual([info.device, info.adapter, meta.device], ["wasm", "wasm", "wasm"]);
  assert.match(info.deviceNote, /^the GPU was lost, WebAssembly goes on: .+$/);
  assert.deepEqual(meta.warnings, [info.deviceNote]);
  assertSameLogits(results, expected);
  const next = await rank(page);
  assert.deepEqual([next.meta.warnings, next.info], [[], info]);
}

gpuTest("by name, on the page: SwiftShader computes what WebAssembly does; lost, it is opened once more, then given up", () =>
  site.visit(async (page) => {
    const expected = await rankOnCpu(page, "f32", 60);
    await page.evaluate(() => import("/watched.mjs"));
    await load(page, { device: "webgpu", dtype: "f32", worker: false });
    const first = await rank(page, { count: 60 });
    const { dispatches, devices } = await seen(page);
    const worst = assertSameLogits(first.results, expected);
    console.log(`${first.info.adapter}: ${dispatches} dispatches, largest relative difference ${worst.toExponential(1)}`);
    assert.match(first.info.adapter, /swiftshader/i);
    assert.deepEqual([first.info.device, first.meta.device, first.info.dtype, first.info.deviceNote], ["webgpu", "webgpu", "f32", undefined]);
    // Several for each of three layers, or it was computed elsewhere.
    assert.ok(dispatches > 30, `${dispatches} dispatches`);

    const second = await rank(page, { count: 60, destroys: true });
    assert.ok((await seen(page)).devices > devices, "another device was opened");
    assert.deepEqual([second.info, second.meta.warnings], [first.info, []]);
    assertSameLogits(second.results, expected);

    await page.evaluate(() => void (watched.losesNext = true));
    await destroyDevices(page);
    await assertFellBack(page, await rank(page, { count: 60 }), expected);
  }));

gpuTest("`auto`, in a worker, takes what tells of itself as a real GPU; when it dies with its worker another is started", () =>
  site.visit(async (page) => {
    const expected = await rankOnCpu(page, "q4");
    await load(page, { dtype: "q4", device: "auto", worker: "/watched-worker.mjs?real" });
    const first = await rank(page);
    assert.deepEqual([first.info.device, first.info.adapter, first.info.dtype, first.info.deviceNote], ["webgpu", "a pretended GPU", "q4", undefined]);
    assertSameLogits(first.results, expected, ROUNDED);
    assert.ok((await seen(page)).dispatches > 30);

    const [dead] = page.workers();
    await dead.evaluate(() => globalThis.close());
    const pairs = () => page.evaluate(() => reranker.computeScore(longDocuments(4, 20).map((document) => [QUERY, document])));
    assertSameLogits(await pairs(), first.results);
    assert.ok(page.workers().length === 1 && page.workers()[0] !== dead, "another worker was started");
    assert.ok((await seen(page)).dispatches > 30);
    assert.deepEqual(await page.evaluate(() => reranker.info), first.info);

    // From now on every worker's devices are lost as soon as they are there.
    site.server.set("/watched.mjs", { body: `${site.server.files["/watched.mjs"]}; watched.losesNext = true;` });
    await destroyDevices(page);
    const second = await rank(page);
    site.server.reset();
    await assertFellBack(page, second, expected);
  }));

gpuTest("`auto` does not take SwiftShader, asks it for no device, and says why", () =>
  site.visit(async (page) => {
    await load(page, { device: "auto", worker: "/watched-worker.mjs" });
    const { info, meta } = await rank(page);
    assert.deepEqual([info.device, info.adapter, meta.device], ["wasm", "wasm", "wasm"]);
    assert.match(info.deviceNote, /swiftshader.* is not used: it is computed by the CPU/i);
    assert.deepEqual(await seen(page), { dispatches: 0, devices: 0 });
    assert.deepEqual(meta.warnings, []);
  }));

gpuTest("WebGPU by name where there is none, or none that computes in f16, is refused with what to do", () =>
  site.visit(async (page) => {
    const fails = (options) => page.evaluate((options) => failure(() => loadTiny({ worker: false, device: "webgpu", ...options })), options);
    const withoutF16 = await fails({ dtype: "f16" });
    // A browser that has no GPU to give: its part is played.
    await page.evaluate(() => void (GPU.prototype.requestAdapter = async () => null));
    const withoutGpu = await fails({});
    for (const [failed, problem] of [[withoutF16, "it does not compute in f16"], [withoutGpu, "this browser gives no GPU"]]) {
      assert.deepEqual([failed.isTyped, failed.code, failed.message], [true, "device_unavailable", `WebGPU cannot be used: ${problem}`]);
      assert.match(failed.hint, /device: "auto" or "wasm"/);
    }
    await load(page, { device: "auto", worker: false });
    const { info } = await rank(page);
    assert.deepEqual([info.device, info.deviceNote], ["wasm", undefined]);
  }));
