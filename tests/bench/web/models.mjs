// Makes the benchmark's models once, in $CROSSRANK_BENCH_CACHE or the system's temporary folder.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SOURCES = ["make_models.py", "onnx_graph.py", "../../golden/model/make_full_size.py"].map(here);

export const MODELS_FOLDER = process.env.CROSSRANK_BENCH_CACHE ?? join(tmpdir(), "crossrank-bench-web");

/** The folder of a model that make_models.py knows. */
export function makeModel(name) {
  const folder = join(MODELS_FOLDER, name);
  const version = createHash("sha256").update(SOURCES.map((file) => readFileSync(file)).join()).digest("hex");
  once(join(folder, "made-by"), version, () => {
    console.error(`making the model ${name} in ${folder}`);
    mkdirSync(folder, { recursive: true });
    run(python(), [SOURCES[0], name, folder]);
  });
  return folder;
}

/** Does `make` unless the file `mark` says that it was done in this version. */
function once(mark, version, make) {
  if (existsSync(mark) && readFileSync(mark, "utf8") === version) return;
  make();
  writeFileSync(mark, version);
}

/** An interpreter with numpy, onnx and onnxruntime: $CROSSRANK_PYTHON, or one of an environment that is made here. */
function python() {
  if (process.env.CROSSRANK_PYTHON) return process.env.CROSSRANK_PYTHON;
  const environment = join(MODELS_FOLDER, "python");
  once(join(environment, "made-of"), readFileSync(here("requirements.txt"), "utf8"), () => {
    run("python3", ["-m", "venv", environment]);
    run(join(environment, "bin/pip"), ["install", "-q", "-r", here("requirements.txt")]);
  });
  return join(environment, "bin/python");
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed`, { cause: error });
}
