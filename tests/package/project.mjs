// The package as npm makes it, installed in projects as their owners would.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(HERE, "../..");
/** What is installed once and kept: the bundlers, npm's cache, and the projects of the last run. */
const WORK = resolve(ROOT, process.env.CARGO_TARGET_DIR || "target", "package-tests");

export const PACKAGE = join(ROOT, "pkg");
/** The default model's files. */
export const MODEL = join(ROOT, "models/default");
const isBuilt = existsSync(join(PACKAGE, "dist/index.js")) && existsSync(join(PACKAGE, "dist/wasm/crossrank_cpu.wasm"));

/** A package of the pinned bundlers, frameworks and run-times; `toolPath` gives a file of one. */
export async function importTool(name) {
  const module = await import(pathToFileURL(createRequire(join(WORK, "package.json")).resolve(name)));
  return module.default ?? module;
}
export const toolPath = (path) => join(WORK, "node_modules", path);

/** A program of which npm has a package for every machine, and has installed the one for this. */
export function program(scope, path) {
  const [name] = existsSync(toolPath(scope)) ? readdirSync(toolPath(scope)) : [];
  return name && join(toolPath(scope), name, path);
}

/** Runs a program to its end and gives what it printed; if it fails, that is the error's message. */
export async function run(program, args, { cwd = WORK, env = {}, anyStatus = false } = {}) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err] = [[], []];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  const status = await new Promise((ended, failed) => child.on("error", failed).on("close", ended));
  const output = Buffer.concat(out).toString();
  if (status !== 0 && !anyStatus) throw new Error(`${program} ${args.join(" ")}: ${status}\n${output}${Buffer.concat(err)}`);
  return output;
}

const npm = (args, cwd) =>
  run("npm", [...args, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--cache", join(WORK, "npm-cache")], { cwd });

/** Packs the package for the pinned tools: the tarball's path and its files, or what is `missing` for that. */
export async function prepare() {
  if (!isBuilt) return { missing: "./build.sh pkg has not run" };
  const missing = await installTools();
  if (missing) return { missing };
  const [{ filename, files }] = JSON.parse(await npm(["pack", PACKAGE, "--json", "--pack-destination", WORK], WORK));
  return { tarball: join(WORK, filename), files: files.map(({ path }) => path) };
}

/** Installs what package-lock.json names, if it changed; gives why that cannot be had. */
async function installTools() {
  mkdirSync(WORK, { recursive: true });
  const lock = join(HERE, "package-lock.json");
  const installed = join(WORK, "node_modules/.package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return undefined;
  for (const name of ["package.json", "package-lock.json"]) cpSync(join(HERE, name), join(WORK, name));
  try {
    await npm(["ci"], WORK);
    return undefined;
  } catch (error) {
    // A lock that does not fit is our mistake; all else is the network's or the registry's.
    const [, code] = /npm error code (?!EUSAGE|EINTEGRITY)(\w+)/.exec(error.message) ?? [];
    if (!code) throw error;
    return `packages of tests/package/package-lock.json cannot be installed: ${code}`;
  }
}

const projects = new Map();

/** A copy of a fixture with the tarball installed in it, made once; gives its folder. */
export function project(name, tarball) {
  if (!projects.has(name)) projects.set(name, install(name, tarball));
  return projects.get(name);
}

async function install(name, tarball) {
  const folder = join(WORK, "projects", name);
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(HERE, "fixtures", name), folder, { recursive: true });
  for (const file of ["question.js", "rank.js"]) {
    const shared = join(HERE, "fixtures", file);
    if (!existsSync(join(folder, file))) cpSync(shared, join(folder, file));
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  await npm(["install", "--no-package-lock", tarball], folder);
  return folder;
}

export const manifest = () => JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
