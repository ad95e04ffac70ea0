// A folder over HTTP, and what a visitor's Chromium asked for.
import assert from "node:assert/strict";
import { filesOf, serve } from "../browser/server.mjs";

const RANKED_MS = 60_000;

/** Serves a folder, its index.html at `/`; `headers` go with every answer. */
export async function serveFolder(folder, headers) {
  const files = filesOf(folder);
  const site = await serve({ ...files, "/": files["/index.html"] }, { headers });
  site.set("/", { headers: { "content-type": "text/html" } });
  return site;
}

/**
 * Opens a page that writes what it did into `data-answer` of its body, or why it could not into `data-failure`.
 * The console must stay silent. Gives the answer, the addresses that the page and its workers asked for, and
 * whether the page is cross-origin isolated.
 */
export async function visit(browser, address) {
  const context = await browser.newContext();
  const complaints = [];
  const requests = [];
  context.on("console", (message) => {
    // Vite's development server tells there that it is connected.
    if (message.type() !== "debug") complaints.push(`${message.type()}: ${message.text()}`);
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("request", (request) => requests.push(request.url()));
  try {
    const page = await context.newPage();
    await page.goto(address);
    const body = page.locator("body[data-answer], body[data-failure]");
    await body.waitFor({ state: "attached", timeout: RANKED_MS }).catch(() => assert.fail(`no answer; ${complaints.join("; ")}`));
    assert.equal(await body.getAttribute("data-failure"), null);
    assert.deepEqual(complaints, []);
    const answer = JSON.parse(await body.getAttribute("data-answer"));
    return { answer, requests, isolated: await page.evaluate(() => crossOriginIsolated) };
  } finally {
    await context.close();
  }
}
