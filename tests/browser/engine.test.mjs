// Both WebAssembly modules in Chromium against Hugging Face transformers: run `./build.sh wasm` first.
import assert from "node:assert/strict";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launchChromium, noChromium } from "./chromium.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const FIXTURES = {
  xlmr: ["model.safetensors"],
  "xlmr-flash": ["model.safetensors"],
  bert: ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"],
  "xlmr-f16": ["model.safetensors"],
  "xlmr-small-embeddings": ["model.safetensors"],
};

const missing = ["cpu", "gpu"].map((kind) => join(ROOT, `web/dist/wasm/crossrank_${kind}.wasm`)).filter((file) => !existsSync(file));
const skip = noChromium || (missing.length > 0 && `${missing.join(", ")} missing`);
if (skip) console.log(`skipped: browser_engine: ${skip}`);

let server, browser;
before(async () => {
  if (skip) return;
  server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = join(ROOT, normalize(path));
    if (path === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><title>engine</title>");
    if (path === "/favicon.ico") return response.writeHead(204).end();
    if (!existsSync(file)) return response.writeHead(404).end();
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  browser = await launchChromium();
});
after(async () => {
  await browser?.close();
  server?.close();
});

/** Runs `work` in a fresh page whose console must stay silent; `work` gets the argument. */
async function inPage(work, argument) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  // Every kernel that runs is counted where the browser starts it.
  await page.addInitScript(() => {
    globalThis.dispatches = 0;
    const { prototype } = globalThis.GPUComputePassEncoder ?? { prototype: {} };
    const { dispatchWorkgroups } = prototype;
    prototype.dispatchWorkgroups = function (...groups) {
      globalThis.dispatches += 1;
      return dispatchWorkgroups.apply(this, groups);
    };
  });
  try {
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const result = await page.evaluate(work, argument);
    assert.deepEqual(complaints, []);
    return result;
  } finally {
    await context.close();
  }
}

const engine_test = (name, run) => test(name, { skip, timeout: 300_000 }, run);

for (const [fixture, weights] of Object.entries(FIXTURES)) {
  engine_test(`the cpu module gives transformers' logits of ${fixture}`, async () => {
    const worst = await inPage(async ([fixture, weights]) => {
      const { start, goldenLogits } = await import("/tests/browser/engine.mjs");
      return goldenLogits(await start("cpu"), fixture, weights);
    }, [fixture, weights]);
    console.log(`${fixture}: largest relative difference ${worst.toExponential(1)}`);
    assert.ok(worst <= 2e-5, `${worst}`);
  });
}

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
    return { adapter: `${info.vendor} ${info.architecture} ${info.description}`, worst, dispatches };
  }, Object.entries(FIXTURES).filter(([fixture]) => fixture === "xlmr" || fixture === "bert"));
  console.log(`${adapter}: ${dispatches} dispatches, ${JSON.stringify(worst)}`);
  assert.match(adapter, /swiftshader/i);
  assert.ok(dispatches > 0);
  for (const difference of Object.values(worst)) assert.ok(difference <= 2e-4, `${difference}`);
});
