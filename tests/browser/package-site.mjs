// The package as it was built, on a server of its own, and pages that use it.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { launchChromium, noChromium } from "./chromium.mjs";
import { filesOf, serve } from "./server.mjs";

const at = (path) => new URL(`../../${path}`, import.meta.url);
const isBuilt = (kind) => existsSync(at(`web/dist/wasm/crossrank_${kind}.wasm`)) && existsSync(at("web/dist/index.js"));
const reason = noChromium || (!isBuilt("cpu") && "./build.sh pkg has not run");
/** Messages of the browser itself about a file that it could not get. */
export const NOT_FOUND = /^error: Failed to load resource/;

/** Declares tests that need the package and Chromium, and that nothing else is `missing`; else `name` is skipped, which says why. */
export function packageTests(name, kind = "cpu", missing = false) {
  const skip = reason || (!isBuilt(kind) && `./build.sh wasm ${kind} has not run`) || missing;
  if (skip) console.log(`skipped: ${name}: ${skip}`);
  return (title, body) => test(title, { skip, timeout: 300_000 }, body);
}

const folder = (path, prefix) => filesOf(fileURLToPath(at(path)), prefix);

/** The package below /dist/, small models in /tiny/ and /gguf/, a model of the latter as Hugging Face has it in /f16/, and the scripts of the tests' pages. */
function siteFiles() {
  const { exports } = JSON.parse(readFileSync(at("web/package.json"), "utf8"));
  const address = (entry) => exports[entry].default.replace("./", "/");
  const imports = { crossrank: address("."), "crossrank/default-model": address("./default-model") };
  return {
    ...folder("web/dist/", "/dist/"),
    ...folder("tests/golden/model/xlmr/", "/tiny/"),
    "/tiny/tokenizer.json": readFileSync(at("tests/golden/tokenizer/tiny-xlmr-bge.json")),
    ...folder("tests/golden/gguf/", "/gguf/"),
    ...folder("tests/golden/model/xlmr-f16/", "/f16/"),
    "/f16/tokenizer.json": readFileSync(at("tests/golden/tokenizer/tiny-xlmr-jina.json")),
    ...Object.fromEntries(["in-page", "watched-worker", "watched"].map((name) => [`/${name}.mjs`, readFileSync(at(`tests/browser/${name}.mjs`))])),
    "/page.html": `<!doctype html><title>test</title><link rel="icon" href="data:,">
      <script type="importmap">${JSON.stringify({ imports })}</script><script type="module" src="/in-page.mjs"></script>`,
  };
}

/**
 * A server with everything, which sends `headers` with every answer, and a browser; nothing where the tests are
 * skipped. The caller closes it.
 */
export async function openSite({ headers = {} } = {}) {
  if (reason) return { close: async () => {} };
  // Nothing from the browser's own cache: tests change what is served.
  const server = await serve(siteFiles(), { headers: { "cache-control": "no-store", ...headers } });
  const browser = await launchChromium();
  const open = () => openPage(browser, `${server.address}/page.html`);
  return {
    server,
    open,
    /** Gives `run` a page of its own; its consoles must stay silent, but for what `expects` matches. */
    async visit(run, { expects } = {}) {
      const { page, assertSilent, close } = await open();
      try {
        const result = await run(page);
        assertSilent(expects);
        return result;
      } finally {
        await close();
      }
    },
    close: () => Promise.all([browser.close(), server.close()]),
  };
}

/**
 * A page of a fresh profile that has what in-page.mjs names as globals. Every message on a console, and every
 * error that nobody caught, is a complaint; of the page's workers, too.
 */
async function openPage(browser, address) {
  const context = await browser.newContext();
  const complaints = [];
  context.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => complaints.push(`uncaught: ${error.error()}`));
  const page = await context.newPage();
  await page.goto(address);
  const assertSilent = (expects) => assert.deepEqual(complaints.filter((complaint) => !expects?.test(complaint)), []);
  return { page, assertSilent, close: () => context.close() };
}

/** Waits until `look` finds what it looks for. */
export async function until(look, what, ms = 10_000) {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`${what} did not happen in ${ms} ms`);
}
