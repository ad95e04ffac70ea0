import { type ErrorRecord, unpackError } from "./protocol.js";
import type { WasmModule } from "./wasm/surface.js";

/** How many threads a module may use. */
export interface Threads {
  count: number;
  /** The `BroadcastChannel` that hears of a thread's death. */
  deaths: string;
}

/** What a thread needs: a started module's script, what was compiled, and its memory. */
export interface ThreadStart {
  script: string;
  module_or_path: WebAssembly.Module;
  memory: WebAssembly.Memory;
  deaths: string;
}

/** A thread's first and only message. */
type FromThread = { type: "ready" } | { type: "failed"; error: ErrorRecord };

/** Threads of a page that does not say how many: as many as there are cores, but not so many that others starve. */
const MOST = 4;

/** How many threads a worker of this page may use: one where memory cannot be shared. */
export function threadCount(asked: number | undefined): number {
  if (globalThis.crossOriginIsolated !== true || typeof SharedArrayBuffer !== "function") return 1;
  return asked ?? Math.min(MOST, globalThis.navigator.hardwareConcurrency || 1);
}

/** Makes the module compute in `count` threads: this one, and a worker for each of the others. */
export async function startThreads(module: WasmModule, start: ThreadStart, count: number): Promise<void> {
  const workers = Array.from({ length: count - 1 }, () => {
    // Written out: bundlers find the script by this form.
    return new Worker(new URL("./thread.js", import.meta.url), { type: "module" });
  });
  try {
    await Promise.all(workers.map((worker) => begun(worker, start)));
    module.startThreads!(count);
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw error;
  }
}

function begun(worker: Worker, start: ThreadStart): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<FromThread>) =>
      data.type === "ready" ? resolve() : reject(unpackError(data.error));
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`a thread cannot be started: ${event.message}`));
    };
    worker.postMessage(start);
  });
}
