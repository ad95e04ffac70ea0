// Starts Chromium, with WebGPU on SwiftShader or without WebGPU.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const EXECUTABLE = process.env.CROSSRANK_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SWIFTSHADER = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Why there is no Chromium; false if there is one. To be given to `test` as `skip`. */
export const noChromium = existsSync(EXECUTABLE) ? false : `${EXECUTABLE} is missing`;
if (noChromium) console.log(`skipped: browser: ${noChromium}`);

/** A browser; the caller closes it. */
export const launchChromium = (options) => require("playwright-core").chromium.launch(launchOptions(options));

/** A browser with one context, whose caches are on disk in the folder `profile`; the caller closes it. */
export const launchWithProfile = (profile, options) =>
  require("playwright-core").chromium.launchPersistentContext(profile, launchOptions(options));

function launchOptions({ args = [], webgpu = true, ...options } = {}) {
  return { executablePath: EXECUTABLE, args: [...FLAGS, ...(webgpu ? SWIFTSHADER : []), ...args], ...options };
}
