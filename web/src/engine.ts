import { RerankError, asRerankError } from "./errors.js";
import type { ModuleKind } from "./module.js";
import type { ModelSink } from "./storage/sink.js";
import type { RerankErrorCode } from "./types.js";
import type { Engine, ModelStream, OpenOptions, Sha256, WasmModule } from "./wasm/surface.js";

/** Feeds a model's files to a module. */
export class EngineSink implements ModelSink {
  #stream: ModelStream | undefined;

  constructor(
    private readonly module: WasmModule,
    private readonly options: OpenOptions,
  ) {}

  async open({ config, tokenizer }: Parameters<ModelSink["open"]>[0]): Promise<void> {
    this.free();
    this.#stream = await untilTrap(this.module.openModel(this.options, config, tokenizer));
  }

  beginFile(name: string, bytes: number): void {
    if (bytes === 0) throw new RerankError("integrity_mismatch", `${name} is empty`, "get it again from where it came from");
    this.#opened().beginFile(name, bytes);
  }

  push(chunk: Uint8Array): void {
    this.#opened().push(chunk);
  }

  sha256(): Sha256 {
    return new this.module.Sha256();
  }

  /** Bytes of weights kept so far. */
  get keptBytes(): number {
    return this.#opened().keptBytes();
  }

  /** The model, when all files have come. */
  finish(): Promise<Engine> {
    const stream = this.#opened();
    this.#stream = undefined;
    return untilTrap(stream.finish());
  }

  /** Gives back what has come of a model that is not finished. */
  free(): void {
    this.#stream?.free();
    this.#stream = undefined;
  }

  #opened(): ModelStream {
    if (!this.#stream) throw new Error("the weights came before the model's small files");
    return this.#stream;
  }
}

/** `work`, or the trap that ended its module: between two steps a trap reaches no promise, only the global scope. */
export async function untilTrap<T>(work: Promise<T>): Promise<T> {
  if (typeof globalThis.addEventListener !== "function") return work;
  const ended = new AbortController();
  const { signal } = ended;
  const trap = new Promise<never>((_, reject) => {
    const look = (event: Event, error: unknown) => {
      if (!isTrap(error)) return;
      event.preventDefault();
      reject(error);
    };
    addEventListener("error", (event) => look(event, event.error), { signal });
    addEventListener("unhandledrejection", (event) => look(event, event.reason), { signal });
  });
  try {
    return await Promise.race([work, trap]);
  } finally {
    ended.abort();
  }
}

const isTrap = (error: unknown) => error instanceof WebAssembly.RuntimeError;

/** What to do next where the engine's message does not say. */
const HINTS: Partial<Record<RerankErrorCode, string>> = {
  model_unsupported: "take one of the models that the README names",
  weights_mismatch: "take config.json and the weights from one repository",
  device_lost: "load the model again",
};

/** What a module threw, as an error of ours. */
export function engineError(cause: unknown, kind: ModuleKind): RerankError {
  if (isTrap(cause)) return trapError(cause as Error, kind);
  const isOfModule = cause instanceof Error && "code" in cause && typeof cause.code === "string" && "hint" in cause;
  if (!isOfModule || cause instanceof RerankError) return asRerankError(cause);
  const code = cause.code as RerankErrorCode;
  // A GPU's driver adds where in its own code it failed.
  const [message = ""] = cause.message.split("\n");
  return new RerankError(code, message, String(cause.hint) || HINTS[code], message === cause.message ? {} : { cause });
}

function trapError(cause: Error, kind: ModuleKind): RerankError {
  return kind === "gpu"
    ? new RerankError("device_lost", `the GPU failed: ${cause.message}`, "load the model again", { cause })
    : new RerankError(
        "internal",
        `the WebAssembly module stopped: ${cause.message}`,
        "its memory may have ended: load again, with a smaller model or dtype q8; else please report it",
        { cause },
      );
}

/** Whether the module that failed so is of no more use. */
export const isFatal = (error: RerankError): boolean => error.code === "device_lost" || isTrap(error.cause);
