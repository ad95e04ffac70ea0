import { type DevicePlan, findAdapter, planDevice } from "./device.js";
import { EngineSink, engineError, isFatal, untilTrap } from "./engine.js";
import { RerankError, closedError } from "./errors.js";
import { discardModule, loadModule, type ModuleKind } from "./module.js";
import type { Threads } from "./threads.js";
import { type Delivered, deliver, resolveModel } from "./storage/index.js";
import type { CacheChoice, DeviceChoice, Dtype, ModelChoice, ModelDefinition, ModelInfo, ProgressEvent } from "./types.js";
import type { Engine, EnginePairScore, EngineRequest, EngineResponse, OpenOptions, Watch } from "./wasm/surface.js";

/** What is loaded, and where it runs: plain data that a message can carry. */
export interface SessionSettings {
  model: ModelChoice;
  device: DeviceChoice;
  cache: CacheChoice;
  dtype?: Dtype;
  baseUrl?: string;
  /** The folder of the WebAssembly modules. */
  wasm?: string;
  memoryBudgetBytes?: number;
  /** Only a worker of our own has them. */
  threads?: Threads;
}

export interface LoadWatch {
  signal?: AbortSignal | undefined;
  onProgress?: ((event: ProgressEvent) => void) | undefined;
}

/**
 * A loaded model, wherever it runs. It takes one call at a time; calls reject with the engine's errors, with
 * `device_lost` where another session may succeed, and with the signal's reason.
 */
export interface Session extends Pick<Engine, "rerank" | "computeScore"> {
  readonly info: ModelInfo;
  /** Whether it can take another call. */
  readonly alive: boolean;
  close(): void;
}

export type OpenSession = (settings: SessionSettings, watch: LoadWatch) => Promise<Session>;

/** Loads a model on this thread. */
export const openSession: OpenSession = async (settings, watch) => {
  const { signal } = watch;
  const adapter = settings.device === "wasm" ? undefined : await findAdapter();
  const plan = await tested(planDevice(settings.device, adapter, settings.dtype), settings);
  signal?.throwIfAborted();
  const { model: choice, baseUrl, cache } = settings;
  const model = await resolveModel(choice, { baseUrl, cache, signal });
  try {
    return await loadOn(plan, model, settings, watch);
  } catch (error) {
    if (!mayUseCpu(error, plan, settings)) throw error;
    return loadOn(withoutGpu(plan, error), model, settings, watch);
  }
};

/** The plan, if its GPU computes what it should; else the CPU, where that is for us to choose. */
async function tested(plan: DevicePlan, settings: SessionSettings): Promise<DevicePlan> {
  if (plan.device === "wasm") return plan;
  const { dtype = plan.adapter?.f16 ? "f16" : "f32", wasm } = settings;
  try {
    const { module } = await loadModule("gpu", wasm);
    await untilTrap(module.selfTest(dtype === "f16" ? "f16" : "f32"));
    return plan;
  } catch (cause) {
    const error = failed(cause, "gpu", wasm);
    if (!mayUseCpu(error, plan, settings)) throw error;
    return withoutGpu(plan, error);
  }
}

const GPU_CODES = new Set(["device_unavailable", "device_lost", "out_of_memory"]);

const mayUseCpu = (error: unknown, plan: DevicePlan, { device }: SessionSettings) =>
  plan.device === "webgpu" && device === "auto" && error instanceof RerankError && GPU_CODES.has(error.code);

function withoutGpu({ adapter }: DevicePlan, error: unknown): DevicePlan {
  const problem = error instanceof Error ? error.message : String(error);
  return { device: "wasm", note: `${adapter?.description ?? "the GPU"} is not used: ${problem}` };
}

/** What a module threw as an error of ours; a module that stopped is not used again. */
function failed(cause: unknown, kind: ModuleKind, wasm: string | undefined): RerankError {
  const error = engineError(cause, kind);
  if (isFatal(error)) discardModule(kind, wasm);
  return error;
}

async function loadOn(
  plan: DevicePlan,
  model: ModelDefinition,
  settings: SessionSettings,
  { signal, onProgress }: LoadWatch,
): Promise<Session> {
  const { cache, wasm } = settings;
  const kind = plan.device === "webgpu" ? "gpu" : "cpu";
  const { module, threads } = await loadModule(kind, wasm, settings.threads);
  const sink = new EngineSink(module, openOptions(plan, model, settings));
  try {
    const delivered = await deliver(model, sink, { cache, signal, onProgress });
    const { keptBytes } = sink;
    const engine = await sink.finish();
    const session = new LocalSession(engine, { ...infoOf(engine, plan, delivered, keptBytes), threads }, kind, wasm);
    onProgress?.({ status: "ready", name: model.name });
    if (signal?.aborted) session.close();
    signal?.throwIfAborted();
    return session;
  } catch (cause) {
    const error = failed(cause, kind, wasm);
    if (!isFatal(error)) sink.free();
    signal?.throwIfAborted();
    throw error;
  }
}

function openOptions(plan: DevicePlan, model: ModelDefinition, settings: SessionSettings): OpenOptions {
  const { name, maxTokens, window, languages } = model;
  const { device, memoryBudgetBytes } = settings;
  // WebAssembly does not compute in f16; only who asked for both is told so.
  const dtype = settings.dtype === "f16" && plan.device === "wasm" && device !== "wasm" ? "f32" : settings.dtype;
  return {
    name,
    ...(dtype && { dtype }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(window && { window }),
    ...(languages && { languages }),
    ...(memoryBudgetBytes !== undefined && { memoryBudgetBytes }),
  };
}

function infoOf(engine: Engine, plan: DevicePlan, delivered: Delivered, keptBytes: number): Omit<ModelInfo, "threads"> {
  const { device, adapter, note } = plan;
  const { name, dtype, maxTokens, hiddenSize, layers, vocabSize, weightBytes } = engine.info();
  const { unverified, notKept } = delivered;
  return {
    name,
    device,
    adapter: device === "webgpu" ? (adapter?.description ?? "") : "wasm",
    ...(note !== undefined && { deviceNote: note }),
    dtype,
    maxTokens,
    hiddenSize,
    layers,
    vocabSize,
    weightBytes,
    keptBytes,
    ...(unverified.length > 0 && { unverifiedFiles: unverified }),
    ...(notKept !== undefined && { cacheNote: notKept }),
  };
}

class LocalSession implements Session {
  alive = true;

  constructor(
    private readonly engine: Engine,
    readonly info: ModelInfo,
    private readonly kind: ModuleKind,
    private readonly wasm: string | undefined,
  ) {}

  rerank(request: EngineRequest, watch: Watch): Promise<EngineResponse> {
    return this.#run(watch.signal, () => this.engine.rerank(request, watch));
  }

  computeScore(
    pairs: [string, string][],
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<EnginePairScore[]> {
    return this.#run(signal, () => this.engine.computeScore(pairs, maxLength, signal));
  }

  close(): void {
    if (!this.alive) return;
    this.alive = false;
    this.engine.free();
  }

  async #run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (!this.alive) throw closedError();
    try {
      return await untilTrap(work());
    } catch (cause) {
      const error = failed(cause, this.kind, this.wasm);
      if (isFatal(error)) this.alive = false;
      signal?.throwIfAborted();
      throw error;
    }
  }
}
