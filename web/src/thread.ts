/** The script of a thread: a worker that computes in the memory of a module which another worker has started. */
import { packError } from "./protocol.js";
import type { ThreadStart } from "./threads.js";
import type { WasmModule } from "./wasm/surface.js";

const scope = globalThis as unknown as Pick<Worker, "postMessage"> & {
  onmessage: (event: MessageEvent<ThreadStart>) => void;
};

scope.onmessage = async ({ data: { script, module_or_path, memory, deaths } }) => {
  let wasm: WasmModule;
  try {
    wasm = (await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ script)) as WasmModule;
    await wasm.default({ module_or_path, memory });
  } catch (error) {
    return scope.postMessage({ type: "failed", error: packError(error) });
  }
  scope.postMessage({ type: "ready" });
  try {
    wasm.runThread!();
  } catch (error) {
    // Who waits for its part would wait for ever, and hears nothing meanwhile.
    new BroadcastChannel(deaths).postMessage(String(error));
  }
};
