import { type Adapter, findAdapter, planDevice } from "./device.js";
import { hasRelaxedSimd, hasSimd, measureSimd } from "./speed.js";
import { cacheKind } from "./storage/index.js";
import { threadCount } from "./threads.js";
import type { Support } from "./types.js";

/** The default model: what models/default/config.json says, and 50 documents of 256 tokens. */
const MODEL = { hiddenSize: 384, intermediateSize: 1536, layers: 12 };
const DOCUMENTS = 50;
const TOKENS = 256;

/** What the engine does in q8, as the default model is, for every operation in f32 that is measured: by the module. */
const RELAXED_SPEED = 2.8;
const SIMD_SPEED = 1.1;
/** What each further thread adds. */
const THREAD_SHARE = 0.8;
/** Operations a second that a weak GPU, one inside a processor, does in these kernels; most do more. */
const GPU_FLOPS = 200e9;

/**
 * What this machine can do, found out without a download.
 *
 * `estimatedMs` counts the multiplications and additions of the default model for 50 documents of 256 tokens.
 * For WebAssembly they are divided by what this processor should do, by a measurement of about 15 ms; for WebGPU, which
 * cannot be measured without starting it, by a speed that even weak GPUs have.
 */
export async function support(): Promise<Support> {
  const [adapter, cache, quotaBytes] = await Promise.all([findAdapter(), cacheKind(), quota()]);
  const simd = hasSimd();
  const { device } = planDevice("auto", adapter);
  return {
    wasm: typeof WebAssembly === "object",
    simd,
    threads: typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated === true,
    webgpu: adapter !== undefined && adapter.missing === undefined,
    ...(adapter && { adapter: told(adapter) }),
    device,
    cache,
    ...(quotaBytes !== undefined && { quotaBytes }),
    estimatedMs: Math.round((flops() / (device === "webgpu" ? GPU_FLOPS : wasmSpeed())) * 1000),
  };
}

const told = ({ description, software, f16, maxBufferBytes }: Adapter) => ({ description, software, f16, maxBufferBytes });

/** Operations a second of the module that would be loaded, in its threads. */
function wasmSpeed(): number {
  if (!hasRelaxedSimd()) return measureSimd() * SIMD_SPEED;
  return measureSimd() * RELAXED_SPEED * (1 + (threadCount(undefined) - 1) * THREAD_SHARE);
}

/** A matrix product of m × k by k × n is 2mkn operations. */
function flops(): number {
  const { hiddenSize: hidden, intermediateSize, layers } = MODEL;
  const ofProjections = 4 * hidden * hidden + 2 * hidden * intermediateSize;
  const ofAttention = 2 * TOKENS * hidden;
  return 2 * (ofProjections + ofAttention) * layers * TOKENS * DOCUMENTS;
}

async function quota(): Promise<number | undefined> {
  const storage = (globalThis.navigator as Navigator | undefined)?.storage;
  const estimate = await storage?.estimate?.().catch(() => undefined);
  return estimate?.quota;
}
