import { RerankError } from "./errors.js";
import type { DeviceChoice, Dtype, Support } from "./types.js";

/** A GPU as the browser tells of it. */
export interface Adapter extends NonNullable<Support["adapter"]> {
  /** What the kernels need and it has not. */
  missing?: string;
}

/** Names of adapters that compute on the CPU. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i;
/** CubeCL's queue asks how long its kernels took. */
const NEEDED = "timestamp-query";

/** The GPU that the browser gives, if it gives one. */
export async function findAdapter(): Promise<Adapter | undefined> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  const adapter = await gpu?.requestAdapter().catch(() => null);
  // Browsers without `info` are older than what the kernels need.
  if (!adapter?.info) return undefined;
  const { info, features, limits } = adapter;
  const description = info.description || [info.vendor, info.architecture].filter(Boolean).join(" ") || "a GPU";
  return {
    description,
    software: info.isFallbackAdapter || [description, info.architecture].some((name) => SOFTWARE.test(name)),
    f16: features.has("shader-f16"),
    maxBufferBytes: Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize),
    ...(!features.has(NEEDED) && { missing: NEEDED }),
  };
}

/** Where a model is going to run, as far as can be told without trying. */
export interface DevicePlan {
  device: "webgpu" | "wasm";
  adapter?: Adapter;
  /** Why the GPU is not taken. */
  note?: string;
}

/**
 * @throws `device_unavailable` where `webgpu` was asked for by name and cannot be.
 */
export function planDevice(choice: DeviceChoice, adapter: Adapter | undefined, dtype?: Dtype): DevicePlan {
  if (choice === "wasm") return { device: "wasm" };
  const problem = adapter ? problemOf(adapter, choice, dtype) : "this browser gives no GPU";
  if (adapter && problem === undefined) return { device: "webgpu", adapter };
  if (choice === "webgpu") {
    throw new RerankError("device_unavailable", `WebGPU cannot be used: ${problem}`, 'pass device: "auto" or "wasm"');
  }
  return { device: "wasm", ...(adapter && { note: `${adapter.description} is not used: ${problem}` }) };
}

function problemOf(adapter: Adapter, choice: DeviceChoice, dtype: Dtype | undefined): string | undefined {
  if (adapter.missing) return `it has no ${adapter.missing}`;
  if (dtype === "f16" && !adapter.f16) return "it does not compute in f16";
  if (choice === "auto" && adapter.software) return "it is computed by the CPU, which WebAssembly does faster";
  return undefined;
}
