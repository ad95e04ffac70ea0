// The WebAssembly modules in Chromium against Hugging Face transformers: run `./build.sh wasm` first.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launchChromium, noChromium } from "./chromium.mjs";
import { filesOf, serve } from "./server.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const WATCHED = join(ROOT, "tests/browser/watched.mjs");
const FIXTURES = {
  xlmr: ["model.safetensors"],
  "xlmr-flash": ["model.safetensors"],
  bert: ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"],
  "xlmr-f16": ["model.safetensors"],
  "xlmr-small-embeddings": ["model.safetensors"],
};

const missing = ["cpu", "cpu_relaxed", "cpu_threads", "gpu"].map((kind) => join(ROOT, `web/dist/wasm/crossrank_${kind}.wasm`)).filter((file) => !existsSync(file));
const skip = noChromium || (missing.length > 0 && `${missing.join(", ")} missing`);
if (skip) console.log(`skipped: browser_engine: ${skip}`);

let server, browser;
before(async () => {
  if (skip) return;
  const folders = ["web/dist/wasm/", "tests/golden/", "models/default/"];
  server = await serve({
    ...Object.assign({}, ...folders.map((folder) => filesOf(join(ROOT, folder), `/${folder}`))),
    "/tests/browser/engine.mjs": readFileSync(join(ROOT, "tests/browser/engine.mjs")),
    "/page.html": '<!doctype html><title>engine</title><link rel="icon" href="data:,">',
  });
  browser = await launchChromium();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Runs `work` in a fresh page whose console must stay silent; `work` gets the argument. */
async function inPage(work, argument) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript({ path: WATCHED });
  try {
    await page.goto(`${server.address}/page.html`);
    const result = await page.evaluate(work, argument);
    assert.deepEqual(complaints, []);
    return result;
  } finally {
    await context.close();
  }
}

const engine_test = (name, run) => test(name, { skip, timeout: 300_000 }, run);

for (const module of ["cpu", "cpu_relaxed"]) {
  for (const [fixture, weights] of Object.entries(FIXTURES)) {
    engine_test(`the module ${module} gives transformers' logits of ${fixture}`, async () => {
      const worst = await inPage(async ([module, fixture, weights]) => {
        const { start, goldenLogits } = await import("/tests/browser/engine.mjs");
        return goldenLogits(await start(module), fixture, weights);
      }, [module, fixture, weights]);
      console.log(`${module}, ${fixture}: largest relative difference ${worst.toExponential(1)}`);
      assert.ok(worst <= 2e-5, `${worst}`);
    });
  }
}

engine_test("products of integers are close to those of floats, and closer to each other in both modules", async () => {
  const sentences = [
    "The city has 3.7 million people.", "A river crosses the old town.", "Rice keeps for four days in the refrigerator.",
    "The museum opens at nine and closes at six.", "Berlin grew by forty thousand people a year.", "Trains leave every hour.",
  ];
  const pairs = ["How many people live in Berlin?", "When does the museum open?"].flatMap((query) =>
    sentences.map((_, first) => [query, [...sentences.slice(first), ...sentences.slice(0, first)].slice(0, 1 + (first % 4)).join(" ")]));
  const [floats, integers, relaxed] = await inPage(async (pairs) => {
    const { start, defaultLogits } = await import("/tests/browser/engine.mjs");
    const [plain, relaxed] = [await start("cpu"), await start("cpu_relaxed")];
    return [await defaultLogits(plain, "f32", pairs), await defaultLogits(plain, "q8", pairs), await defaultLogits(relaxed, "q8", pairs)];
  }, pairs);
  const apart = (left, right) => Math.max(...left.map((logit, index) => Math.abs(logit - right[index])));
  console.log(`q8: at most ${apart(integers, floats).toFixed(3)} from f32, ${apart(integers, relaxed).toFixed(3)} between the modules`);
  assert.ok(apart(integers, floats) > 0 && apart(integers, floats) <= 0.5);
  // Both multiply the same integers, unless a last bit of f32 before them decides how one is rounded.
  assert.ok(apart(integers, relaxed) <= 0.1);
});

for (const [name, tokenizer] of [
  ["tiny-xlmr-bge", "/tests/golden/tokenizer/tiny-xlmr-bge.json"],
  ["tiny-xlmr-jina", "/tests/golden/tokenizer/tiny-xlmr-jina.json"],
  ["bert-base-uncased", "/models/default/tokenizer.json"],
]) {
  engine_test(`the ids of ${name} are Hugging Face's`, async () => {
    const compared = await inPage(async ([tokenizer, ids]) => {
      const { start, goldenIds } = await import("/tests/browser/engine.mjs");
      return goldenIds(await start("cpu"), tokenizer, ids);
    }, [tokenizer, `/tests/golden/tokenizer/ids/${name}.json`]);
    assert.ok(compared > 300, `${compared} compared`);
  });
}

engine_test("the gpu module computes on SwiftShader, passes its self-test and gives transformers' logits", async () => {
  const { adapter, worst, dispatches } = await inPage(async (fixtures) => {
    const { info } = await navigator.gpu.requestAdapter();
    const { start, goldenLogits } = await import("/tests/browser/engine.mjs");
    const module = await start("gpu");
    await module.selfTest("f32");
    const worst = {};
    for (const [fixture, weights] of fixtures) worst[fixture] = await goldenLogits(module, fixture, weights);
    return { adapter: `${info.vendor} ${info.architecture} ${info.description}`, worst, dispatches: watched.dispatches };
  }, Object.entries(FIXTURES).filter(([fixture]) => fixture === "xlmr" || fixture === "bert"));
  console.log(`${adapter}: ${dispatches} dispatches, ${JSON.stringify(worst)}`);
  assert.match(adapter, /swiftshader/i);
  assert.ok(dispatches > 0);
  for (const difference of Object.values(worst)) assert.ok(difference <= 2e-4, `${difference}`);
});
