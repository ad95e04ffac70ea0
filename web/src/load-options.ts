import { ADDRESS, FUNCTION, type Rule, SIGNAL, TEXT, WHOLE, invalid, isText, oneOf, readOptions, shown } from "./options.js";
import type { LoadWatch, SessionSettings } from "./session.js";
import { absoluteChoice } from "./storage/index.js";
import type { LoadOptions, ModelChoice, ModelDefinition, ModelFile } from "./types.js";

/** What `load` was asked for: `worker` is whether there is one, or the address of its script. */
export interface CheckedLoad {
  settings: SessionSettings;
  /** At most, and on WebAssembly. */
  threads: number | undefined;
  worker: boolean | string;
  watch: LoadWatch;
}

const RULES: Record<keyof LoadOptions, Rule> = {
  device: oneOf("auto", "webgpu", "wasm"),
  dtype: oneOf("f32", "f16", "q8", "q4"),
  onProgress: FUNCTION,
  signal: SIGNAL,
  cache: oneOf("auto", "opfs", "cache-storage", "none"),
  baseUrl: ADDRESS,
  worker: [(value) => typeof value === "boolean" || ADDRESS[0](value), "true, false or the address of its script"],
  wasm: ADDRESS,
  memoryBudgetBytes: WHOLE,
  threads: WHOLE,
};

/** @throws `invalid_input` */
export function readLoadOptions(model: ModelChoice, given: LoadOptions): CheckedLoad {
  const options = readOptions(given, "load", RULES) as LoadOptions;
  const { device = "auto", cache = "auto", dtype, baseUrl, wasm, memoryBudgetBytes, signal, onProgress } = options;
  return {
    settings: {
      model: readModel(model),
      device,
      cache,
      ...(dtype && { dtype }),
      ...(baseUrl !== undefined && { baseUrl: absolute(baseUrl) }),
      ...(wasm !== undefined && { wasm: absolute(wasm) }),
      ...(memoryBudgetBytes !== undefined && { memoryBudgetBytes }),
    },
    threads: options.threads,
    worker: readWorker(options.worker),
    watch: { signal, onProgress },
  };
}

// By their shape: files may come from another window.
const isBlob = (value: unknown) => typeof (value as Blob | null)?.stream === "function";
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const MODEL_RULES: Record<keyof ModelDefinition, Rule> = {
  name: TEXT,
  files: [isObject, "an object of files by their names"],
  maxTokens: WHOLE,
  window: oneOf("cohere", "jina"),
  languages: oneOf("en", "multilingual"),
};
const FILE_RULES: Record<keyof ModelFile, Rule> = {
  source: [(value) => isText(value) || isBlob(value), "an address, a File or a Blob"],
  bytes: WHOLE,
  sha256: [(value) => /^[0-9a-f]{64}$/i.test(`${value}`), "64 hexadecimal digits"],
};

function readModel(model: ModelChoice): SessionSettings["model"] {
  if (isObject(model) && "files" in model) return readDefinition(model);
  const isPicked = isObject(model) && "length" in model && model.length > 0 && Array.from(model).every(isBlob);
  if (isText(model) || model instanceof URL || isPicked) return absoluteChoice(model);
  const hint = "pass a name, a Hugging Face repository, an address, picked files or an imported model";
  throw invalid(`the model is ${shown(model)}`, hint);
}

function readDefinition(given: ModelDefinition): ModelDefinition {
  const { name, files, ...facts } = readOptions(given, "the model", MODEL_RULES) as Partial<ModelDefinition>;
  if (name === undefined || files === undefined) throw invalid("the model has no name or no files", "give both");
  const read = Object.entries(files).map(([name, file]) => {
    const { source, ...facts } = readOptions(file, name, FILE_RULES) as Partial<ModelFile>;
    if (source === undefined) throw invalid(`${name} has no source`, `give ${FILE_RULES.source[1]}`);
    return [name, { ...facts, source: typeof source === "string" ? absolute(source) : source }];
  });
  return { name, ...facts, files: Object.fromEntries(read) };
}

function readWorker(worker: LoadOptions["worker"]): boolean | string {
  const isPossible = typeof Worker === "function";
  if (worker !== undefined && worker !== false && !isPossible) {
    throw invalid("there are no workers here", "leave out `worker`, or pass false");
  }
  if (worker === undefined) return isPossible && !isServer();
  return typeof worker === "boolean" ? worker : absolute(worker);
}

/** Node and its kin: a worker there would keep the program from ending. Electron's pages are pages. */
function isServer(): boolean {
  const { versions, type } = (globalThis.process ?? {}) as Partial<NodeJS.Process> & { type?: string };
  return versions?.node !== undefined && type !== "renderer";
}

/** An address of the page's as any script can take it. */
function absolute(address: string | URL): string {
  try {
    return new URL(address, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch (cause) {
    throw invalid(`${shown(`${address}`)} is not an address`, "give it whole, with https: or file:", cause);
  }
}
