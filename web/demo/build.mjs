#!/usr/bin/env node
// Assembles the demo page: node build.mjs [--package FOLDER] [--out FOLDER]
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
/** What the page shows of the package: the two things it imports. */
const IMPORTS = { crossrank: ".", "crossrank/default-model": "./default-model" };
/** The page's own files; everything else in the built package is fetched when it is needed. */
const PAGE = ["index.html", "style.css", "icon.svg", "manifest.webmanifest", "sw.js", "src"];

/**
 * @param {{ packageFolder?: string, out?: string }} [options] the built npm package, and where the page goes
 * @returns {Promise<string>} the folder that can be served
 */
export async function buildDemo({ packageFolder = builtPackage(), out = join(HERE, "dist") } = {}) {
  const manifest = JSON.parse(await readFile(join(packageFolder, "package.json"), "utf8"));
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  for (const file of PAGE) await cp(join(HERE, file), join(out, file), { recursive: true });
  await cp(packageFolder, join(out, "crossrank"), { recursive: true, filter: (path) => isServed(packageFolder, path) });
  await cp(join(ROOT, "models/models.json"), join(out, "models.json"));
  await writeFile(join(out, "index.html"), withImportMap(await readFile(join(out, "index.html"), "utf8"), manifest));
  await writeFile(join(out, "shell.js"), await shell(out));
  return out;
}

function builtPackage() {
  const folder = [join(ROOT, "pkg"), join(ROOT, "web")].find((path) => existsSync(join(path, "dist/index.js")));
  if (!folder) throw new Error("the package is not built: run ./build.sh pkg first");
  return folder;
}

/** Scripts, modules and the default model; no types, no maps, no sources. */
function isServed(packageFolder, path) {
  const parts = relative(packageFolder, path).split(sep);
  return parts[0] === "" || (parts[0] === "dist" && !/\.(d\.ts|map|tsbuildinfo)$/.test(path));
}

/** The import map follows the package's own exports; its hash goes into the page's content security policy. */
function withImportMap(html, { exports }) {
  const imports = Object.fromEntries(
    Object.entries(IMPORTS).map(([name, subpath]) => [name, `./crossrank/${target(exports[subpath]).slice(2)}`]),
  );
  const map = JSON.stringify({ imports });
  const hash = createHash("sha256").update(map).digest("base64");
  return html.replace("{{import-map}}", map).replace("{{import-map-hash}}", `sha256-${hash}`);
}

/** What a browser takes of an entry of `exports`. */
function target(entry) {
  if (typeof entry === "string") return entry;
  return target(entry.browser ?? entry.import ?? entry.default);
}

/** Files that are kept when the page is first opened: all scripts and the page, the module that later visits use, no weights. */
async function shell(out) {
  const all = (await readdir(out, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
  const paths = all.map((file) => relative(out, join(file.parentPath ?? file.path, file.name)).split(sep).join("/"));
  const files = paths.filter((path) => path !== "sw.js" && isShell(path)).sort();
  const hash = createHash("sha256");
  for (const path of paths.sort()) hash.update(path).update(await readFile(join(out, path)));
  const list = JSON.stringify({ version: hash.digest("hex").slice(0, 16), files }, null, 2);
  return `const CROSSRANK_SHELL = ${list};\n`;
}

function isShell(path) {
  return /(\.(js|mjs|css|html|svg|webmanifest)|_threads\.wasm)$/.test(path) || path === "models.json";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { package: { type: "string" }, out: { type: "string" } } });
  const out = await buildDemo({ ...(values.package && { packageFolder: resolve(values.package) }), ...(values.out && { out: resolve(values.out) }) });
  console.log(`${out}\nserve it with: node web/demo/serve.mjs`);
}
