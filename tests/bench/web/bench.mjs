// Our package beside transformers.js in one page of Chromium; README.md tells what is compared and how.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { browserVersion } from "./browser.mjs";
import { MODELS, TOLERANCE } from "./cases.mjs";
import { gpu } from "./gpu.mjs";
import { large } from "./large.mjs";
import { loading } from "./loading.mjs";
import { MODELS_FOLDER } from "./models.mjs";
import { serve } from "./server.mjs";
import { speed } from "./speed.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ROOT = here("../../../");
const PARTS = { speed, loading, gpu, large };

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", default: "speed,loading,gpu" },
    models: { type: "string", default: Object.keys(MODELS).join() },
    dtypes: { type: "string", default: Object.keys(TOLERANCE).join() },
    rounds: { type: "string", default: "5" },
    documents: { type: "string", default: "50" },
    out: { type: "string", default: MODELS_FOLDER },
  },
});
const [parts, models, dtypes] = [names("only", PARTS), names("models", MODELS), names("dtypes", TOLERANCE)];
const [mostRounds, mostDocuments] = [Number(flags.rounds), Number(flags.documents)];

if (!existsSync(join(ROOT, "pkg/dist/index.js"))) throw new Error("pkg/ is empty; run: ./build.sh pkg");
if (!existsSync(here("node_modules/.package-lock.json"))) {
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: here("."), stdio: "inherit" });
  if (status !== 0) throw new Error("transformers.js cannot be installed; run `npm ci` in tests/bench/web to see why");
}
const server = await serve({
  "/": here("page/"),
  "/models/": MODELS_FOLDER,
  "/package/": join(ROOT, "pkg/dist/"),
  "/transformers/": here("node_modules/@huggingface/transformers/dist/"),
  "/onnxruntime/": here("node_modules/onnxruntime-web/dist/"),
});
const settings = {
  server,
  rounds: mostRounds,
  models: models.map((name) => {
    const model = MODELS[name];
    return {
      name,
      documents: Math.min(model.documents, mostDocuments),
      rounds: Math.min(model.rounds, mostRounds),
      dtypes: model.dtypes.filter((dtype) => dtypes.includes(dtype)),
    };
  }),
};

const machine = await describeMachine();
const results = { date: new Date().toISOString(), machine };
const report = [machineLine(machine)];
console.log(report[0]);
mkdirSync(flags.out, { recursive: true });
for (const part of parts) {
  const { title, markdown, ...figures } = await PARTS[part](settings);
  report.push(`### ${title}`, markdown);
  console.log(`\n### ${title}\n\n${markdown}`);
  results[part] = figures;
  writeFileSync(join(flags.out, "results.json"), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(flags.out, "results.md"), `${report.join("\n\n")}\n`);
}
await server.close();
console.error(`\nfigures in ${resolve(flags.out)}: results.json, results.md`);

function names(flag, known) {
  const asked = flags[flag].split(",");
  const stranger = asked.find((name) => !(name in known));
  if (stranger !== undefined) throw new Error(`--${flag} ${stranger} is not known; there are ${Object.keys(known)}`);
  return asked;
}

async function describeMachine() {
  const version = (path) => JSON.parse(readFileSync(path, "utf8")).version;
  const git = (...args) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
  return {
    processor: cpus()[0].model,
    cores: cpus().length,
    memoryBytes: totalmem(),
    busyCores: await busyCores(),
    commit: git("rev-parse", "--short", "HEAD") + (changed ? " with changes" : ""),
    crossrank: version(join(ROOT, "pkg/package.json")),
    transformersJs: version(here("node_modules/@huggingface/transformers/package.json")),
    onnxruntimeWeb: version(here("node_modules/onnxruntime-web/package.json")),
    chromium: await browserVersion(),
    node: process.version,
  };
}

/** How many cores other programs keep busy, over a second. */
async function busyCores() {
  const idleMs = () => cpus().reduce((sum, { times }) => sum + times.idle, 0);
  const [before, start] = [idleMs(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return Math.max(0, cpus().length - (idleMs() - before) / (performance.now() - start));
}

function machineLine({ processor, cores, memoryBytes, busyCores, ...versions }) {
  const gigabytes = (memoryBytes / 2 ** 30).toFixed(0);
  const busy = busyCores > 0.2 ? ` **${busyCores.toFixed(1)} were busy: compare processor seconds, not seconds.**` : "";
  return (
    `${processor}, ${cores} cores, ${gigabytes} GB.${busy} ` +
    `Commit ${versions.commit}: crossrank ${versions.crossrank}; @huggingface/transformers ${versions.transformersJs} ` +
    `with onnxruntime-web ${versions.onnxruntimeWeb}; Chromium ${versions.chromium}.`
  );
}
