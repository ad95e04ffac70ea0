// What npm gets, where people put it: run `./build.sh pkg` first, then `node --test tests/package/package.test.mjs`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { launchChromium, noChromium } from "../browser/chromium.mjs";
import { importTool, manifest, MODEL, prepare, program, project, run, toolPath } from "./project.mjs";
import { filesBelow } from "../browser/server.mjs";
import { serveFolder, visit } from "./site.mjs";

/** The order of fixtures/question.js: the answer, then the other document on Berlin. */
const BEST = [1, 3];
/** Bytes with gzip of all that a build without the default model makes, both WebAssembly modules included. */
const WIRE_LIMIT = 6_000_000;
/** The strictest policy that docs/browser.md promises. */
const POLICY = /^Content-Security-Policy: (.+)$/m.exec(readFileSync(new URL("../../docs/browser.md", import.meta.url), "utf8"))[1];
const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const { tarball, files, missing } = noChromium ? { missing: noChromium } : await prepare();
if (missing) console.log(`skipped: package: ${missing}`);
const packageTest = (name, body) => test(name, { skip: missing ?? false, timeout: 120_000 }, body);

const browser = missing ? undefined : await launchChromium();
after(() => browser?.close());

function assertRanked(results) {
  assert.deepEqual(results.slice(0, 2).map(({ index }) => index), BEST);
  assert.equal(results.length, 4);
  assert.ok(results[0].relevanceScore > 0.9 && results[3].relevanceScore < 0.1, JSON.stringify(results));
}

/** Serves a folder and visits it: the page ranks, and asks its own server only, for one wasm module and the model. */
async function assertRanksInChromium(folder, { headers, isIsolated = false } = {}) {
  const site = await serveFolder(folder, headers);
  try {
    const { answer, requests, isolated } = await visit(browser, `${site.address}/`);
    assertRanked(answer);
    assertAsksOnlyFor(site.address, requests);
    assert.equal(isolated, isIsolated);
  } finally {
    await site.close();
  }
}

function assertAsksOnlyFor(address, requests) {
  const elsewhere = requests.filter((url) => !url.startsWith(address) && !/^(data|blob):/.test(url));
  assert.deepEqual(elsewhere, []);
  // The worker's requests are among them, or the list would prove nothing.
  const count = (ending) => requests.filter((url) => new URL(url).pathname.endsWith(ending)).length;
  assert.deepEqual([count(".wasm"), count(".safetensors")], [1, 1], requests.join("\n"));
}

packageTest("the tarball has every file that exports names, the licences, and no sources or tests", () => {
  const targets = Object.values(manifest().exports).flatMap((entry) => (typeof entry === "string" ? entry : Object.values(entry)));
  const named = targets.filter((path) => !path.includes("*")).map((path) => path.replace("./", ""));
  for (const path of [...named, "README.md", "LICENSE-MIT", "LICENSE-APACHE"]) assert.ok(files.includes(path), path);
  assert.deepEqual(files.filter((path) => /(^|\/)(src|test|tests|node_modules)\/|\.test\./.test(path)), []);
});

packageTest("npm installs it without another package", async () => {
  const folder = await project("node", tarball);
  assert.deepEqual(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith(".")), ["crossrank"]);
});

packageTest("publint finds nothing", async () => {
  const { publint } = await importTool("publint");
  const pack = { tarball: new Uint8Array(readFileSync(tarball)).buffer };
  assert.deepEqual((await publint({ pack, strict: true })).messages, []);
});

packageTest("are-the-types-wrong finds nothing for ES modules", async () => {
  const { checkPackage, createPackageFromTarballData } = await importTool("@arethetypeswrong/core");
  const { problems } = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
  // As its profile `esm-only`: neither CommonJS nor Node 10, which read no `exports`.
  const esm = problems.filter(({ resolutionKind }) => !["node10", "node16-cjs"].includes(resolutionKind));
  assert.deepEqual(esm, []);
});

for (const config of ["tsconfig.json", "tsconfig.ai7.json"]) {
  packageTest(`a strict TypeScript project compiles against every entry and the real frameworks: ${config}`, async () => {
    const path = join(await project("types", tarball), config);
    const output = await run(process.execPath, [toolPath("typescript/bin/tsc"), "-p", path], { anyStatus: true });
    // The frameworks' own declarations have errors of their own under these settings.
    const errors = output.split("\n").filter((line) => /error TS/.test(line) && !/node_modules\/(?!crossrank\/)/.test(line));
    assert.deepEqual(errors, []);
  });
}

packageTest("importing every entry on a server does nothing", async () => {
  const folder = await project("node", tarball);
  const entries = Object.keys(manifest().exports).filter((path) => !/[*]|json$/.test(path));
  const names = entries.map((path) => path.replace(".", "crossrank"));
  assert.equal(await run(process.execPath, ["import.js", ...names], { cwd: folder }), "[]\n");
});

packageTest("Node ranks, and asks no network", async () => {
  await assertRanksOnServer(process.execPath, ["rank.js"]);
});

packageTest("Bun ranks, and asks no network", async () => {
  const bun = program("@oven", "bin/bun");
  if (!bun) return console.log("skipped: package_bun: npm has no build of it for this machine");
  await assertRanksOnServer(bun, ["run", "rank.js"]);
});

packageTest("Deno ranks, without the permission to use the network", async () => {
  const deno = program("@deno", "deno");
  if (!deno) return console.log("skipped: package_deno: npm has no build of it for this machine");
  await assertRanksOnServer(deno, ["run", "--allow-read", "--allow-env", "--no-prompt", "rank.js"]);
});

async function assertRanksOnServer(program, args) {
  const folder = await project("node", tarball);
  const { results, requests } = JSON.parse(await run(program, args, { cwd: folder }));
  assertRanked(results);
  assert.deepEqual(requests.filter((address) => /^https?:/.test(address)), []);
}

packageTest("a page without a bundler ranks with an import map", async () => {
  await assertRanksInChromium(await project("plain", tarball));
});

packageTest("a page that is cross-origin isolated ranks too", async () => {
  await assertRanksInChromium(await project("plain", tarball), { headers: ISOLATION, isIsolated: true });
});

packageTest("a Vite build ranks under the content security policy of the documentation", async () => {
  const folder = await viteBuild("vite");
  // The icon is the page's own.
  const headers = { "content-security-policy": `${POLICY}; img-src data:` };
  await assertRanksInChromium(join(folder, "dist"), { headers });
});

packageTest("a Vite build without the default model has none of it and weighs at most 6 MB", async () => {
  const folder = await viteBuild("vite-without-model");
  const built = filesBelow(join(folder, "dist"));
  for (const path of built) assertHasNoModel(path);
  const bytes = built.reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0);
  console.log(`crossrank without the default model, on the wire: ${bytes} bytes`);
  assert.ok(bytes <= WIRE_LIMIT, `${bytes} bytes`);
  const site = await serveFolder(join(folder, "dist"));
  const { answer, requests } = await visit(browser, `${site.address}/`);
  await site.close();
  assert.equal(answer.wasm, true);
  assert.deepEqual(requests.filter((url) => url.endsWith(".wasm")), [], "nothing is loaded before a model is asked for");
});

/** A file of the model can be emitted as it is, or inlined in base64 or as text. */
function assertHasNoModel(path) {
  const bytes = readFileSync(path);
  for (const name of readdirSync(MODEL).filter((name) => /^(config|tokenizer)\.json$|\.safetensors$/.test(name))) {
    const start = readFileSync(join(MODEL, name)).subarray(0, 96);
    assert.ok(!bytes.includes(start) && !bytes.includes(start.toString("base64")), `${path} has ${name}`);
  }
}

async function viteBuild(name) {
  const folder = await project(name, tarball);
  const { build } = await importTool("vite");
  await build({ root: folder, logLevel: "error", configFile: false });
  return folder;
}

packageTest("Vite's development server ranks", async () => {
  await withViteServer("vite", ({ answer, address, requests }) => {
    assertRanked(answer);
    assertAsksOnlyFor(address, requests);
  });
});

packageTest("React's hook loads once under StrictMode, ranks, and frees the model when it is unmounted", async () => {
  await withViteServer("react", ({ answer }) => {
    assertRanked(answer.results);
    assert.deepEqual(answer.statuses, ["loading", "ready"]);
    assert.equal(answer.workers, 1);
    assert.ok(answer.bytes > 30_000_000, `${answer.bytes} bytes of progress`);
    assert.equal(answer.afterwards, "closed");
  });
});

async function withViteServer(name, look) {
  const folder = await project(name, tarball);
  const { createServer } = await importTool("vite");
  const server = await createServer({ root: folder, logLevel: "error", configFile: false, server: { host: "127.0.0.1" } });
  await server.listen();
  const address = `http://127.0.0.1:${server.httpServer.address().port}/`;
  try {
    look({ address, ...(await visit(browser, address)) });
  } finally {
    await server.close();
  }
}

packageTest("a webpack 5 build ranks", async () => {
  const folder = await project("webpack", tarball);
  const webpack = await importTool("webpack");
  const { default: config } = await import(join(folder, "webpack.config.js"));
  const stats = await new Promise((built, failed) => {
    webpack(config, (error, stats) => (error ? failed(error) : built(stats)));
  });
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  // The default model is larger than what webpack warns of.
  const complaints = [...errors, ...warnings.filter(({ message }) => !/size limit/.test(message))];
  assert.deepEqual(complaints.map(({ message }) => message), []);
  await assertRanksInChromium(folder);
});

packageTest("a Next.js static export renders on the server, hydrates and ranks with React's hook", async () => {
  const folder = await project("next", tarball);
  const env = { NEXT_TELEMETRY_DISABLED: "1" };
  await run(process.execPath, [toolPath("next/dist/bin/next"), "build"], { cwd: folder, env });
  assert.match(readFileSync(join(folder, "out/index.html"), "utf8"), /<p>loading<\/p>/);
  await assertRanksInChromium(join(folder, "out"));
});
