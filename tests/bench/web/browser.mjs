// Starts Chromium with a profile of its own, and opens the benchmark's page in it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchWithProfile, noChromium } from "../../browser/chromium.mjs";

if (noChromium) throw new Error(`${noChromium}; name a Chromium in CROSSRANK_CHROMIUM`);

/** Runs `work` with a browser whose caches are empty and on disk, and closes it. */
export async function withBrowser(work) {
  const profile = mkdtempSync(join(tmpdir(), "crossrank-bench-profile-"));
  const context = await launchWithProfile(profile);
  try {
    return await work(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export const browserVersion = () =>
  withBrowser(async (context) => {
    const page = await context.newPage();
    return /Chrome\/([\d.]+)/.exec(await page.evaluate("navigator.userAgent"))[1];
  });

/** A page at the server's `bench.html`; `call(name, ...)` calls what page.mjs offers. */
export async function openPage(context, address) {
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  page.on("console", (message) => {
    if (message.type() === "error") console.error(`page: ${message.text()}`);
  });
  page.on("pageerror", (error) => console.error(`page: ${error}`));
  await page.goto(`${address}/bench.html`);
  await page.waitForFunction("globalThis.bench");
  const call = (name, ...rest) => page.evaluate(([name, rest]) => globalThis.bench[name](...rest), [name, rest]);
  return { call, close: () => page.close() };
}
