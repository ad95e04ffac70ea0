import { RerankError } from "./errors.js";
import { hasRelaxedSimd } from "./speed.js";
import { type Threads, startThreads } from "./threads.js";
import type { WasmModule } from "./wasm/surface.js";

/** What a WebAssembly module computes on. */
export type ModuleKind = "cpu" | "gpu";

/** The files of a module. */
type ModuleName = "cpu" | "cpu_relaxed" | "cpu_threads" | "gpu";

export interface LoadedModule {
  module: WasmModule;
  /** How many it computes in. */
  threads: number;
}

/** Modules in use, by the address of their script. A module's memory stays until the page or worker ends. */
const modules = new Map<string, Promise<LoadedModule>>();
/** How many of an address have stopped: a script's instance cannot be had anew but at another address. */
const stopped = new Map<string, number>();

/**
 * Loads a module, once.
 *
 * @param folder where the modules lie, if not beside this script
 * @param threads that it may use, in a worker; one if there cannot be more
 * @throws `network` if it cannot be fetched, `device_unavailable` if this machine cannot run it, `out_of_memory`.
 */
export function loadModule(kind: ModuleKind, folder?: string, threads?: Threads): Promise<LoadedModule> {
  if (kind === "gpu") return load("gpu", folder);
  if (!hasRelaxedSimd()) return load("cpu", folder);
  const single = () => load("cpu_relaxed", folder);
  return threads && threads.count > 1 ? load("cpu_threads", folder, threads).catch(single) : single();
}

function load(name: ModuleName, folder: string | undefined, threads?: Threads): Promise<LoadedModule> {
  const [script, binary] = addresses(name, folder);
  const loaded = modules.get(script.href) ?? start(script, binary, threads);
  modules.set(script.href, loaded);
  loaded.catch(() => modules.delete(script.href));
  return loaded;
}

/** A module that stopped in the middle of its work is of no more use: the next load starts a fresh one. */
export function discardModule(kind: ModuleKind, folder?: string): void {
  const names: ModuleName[] = kind === "gpu" ? ["gpu"] : ["cpu", "cpu_relaxed", "cpu_threads"];
  for (const name of names) {
    const [{ href }] = addresses(name, folder);
    if (modules.delete(href)) stopped.set(href, (stopped.get(href) ?? 0) + 1);
  }
}

function addresses(name: ModuleName, folder: string | undefined): [script: URL, binary: URL] {
  if (folder !== undefined) {
    const base = folder.endsWith("/") ? folder : `${folder}/`;
    return [new URL(`crossrank_${name}.js`, base), new URL(`crossrank_${name}.wasm`, base)];
  }
  // Written out: bundlers find files by this form.
  switch (name) {
    case "cpu":
      return [new URL("./wasm/crossrank_cpu.js", import.meta.url), new URL("./wasm/crossrank_cpu.wasm", import.meta.url)];
    case "cpu_relaxed":
      return [
        new URL("./wasm/crossrank_cpu_relaxed.js", import.meta.url),
        new URL("./wasm/crossrank_cpu_relaxed.wasm", import.meta.url),
      ];
    case "cpu_threads":
      return [
        new URL("./wasm/crossrank_cpu_threads.js", import.meta.url),
        new URL("./wasm/crossrank_cpu_threads.wasm", import.meta.url),
      ];
    case "gpu":
      return [new URL("./wasm/crossrank_gpu.js", import.meta.url), new URL("./wasm/crossrank_gpu.wasm", import.meta.url)];
  }
}

async function start(script: URL, binary: URL, threads: Threads | undefined): Promise<LoadedModule> {
  const count = stopped.get(script.href);
  const address = count === undefined ? script.href : `${script.href}?${count}`;
  try {
    const module = await importScript<WasmModule>(address);
    if (!threads) {
      await module.default({ module_or_path: binary.protocol === "file:" ? await readFile(binary) : binary });
      return { module, threads: 1 };
    }
    const module_or_path = await WebAssembly.compileStreaming(fetch(binary));
    const { memory } = await module.default({ module_or_path });
    await startThreads(module, { script: address, module_or_path, memory, deaths: threads.deaths }, threads.count);
    return { module, threads: threads.count };
  } catch (cause) {
    throw startError(binary, cause);
  }
}

function startError(binary: URL, cause: unknown): RerankError {
  const problem = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof WebAssembly.CompileError || cause instanceof WebAssembly.LinkError) {
    const hint = "WebAssembly with SIMD must be allowed: a Content-Security-Policy needs 'wasm-unsafe-eval'";
    return new RerankError("device_unavailable", `${binary.href} does not run here: ${problem}`, hint, { cause });
  }
  if (cause instanceof RangeError) {
    return new RerankError("out_of_memory", `${binary.href} cannot be started: ${problem}`, "close other pages", { cause });
  }
  const hint = "serve crossrank_cpu.* and crossrank_gpu.* beside the script, or pass their folder's address as `wasm`";
  return new RerankError("network", `${binary.href} cannot be loaded: ${problem}`, hint, { cause });
}

/** Node cannot fetch `file:` addresses. */
async function readFile(address: URL): Promise<Uint8Array<ArrayBuffer>> {
  const { readFile } = await importScript<typeof import("node:fs/promises")>("node:fs/promises");
  return new Uint8Array(await readFile(address));
}

/** An import that bundlers leave as it is. */
const importScript = <T>(address: string): Promise<T> =>
  import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ address) as Promise<T>;
