import { RerankError } from "./errors.js";
import type { SessionSettings } from "./session.js";
import type { ModelInfo, ProgressEvent, RerankErrorCode } from "./types.js";
import type { EnginePairScore, EngineRequest, EngineResponse, EngineResult } from "./wasm/surface.js";

/** What a page asks of its worker. */
export type Call =
  | { type: "open"; settings: SessionSettings }
  | { type: "rerank"; request: EngineRequest; wantsProgress: boolean; wantsPartial: boolean }
  | { type: "score"; pairs: [string, string][]; maxLength: number | undefined };

/** What the worker answers to each. */
export interface Answers {
  open: ModelInfo;
  rerank: EngineResponse;
  score: EnginePairScore[];
}

/** From the page; `id` is the call's own. */
export type ToWorker = (Call & { id: number }) | { type: "abort"; id: number };

/** From the worker. */
export type FromWorker =
  /** The script runs; `lock` is held until the worker ends. */
  | { type: "started"; lock: string | undefined }
  | { type: "done"; id: number; value: Answers[keyof Answers] }
  /** `alive`: whether the model can take another call. */
  | { type: "failed"; id: number; error: ErrorRecord; alive: boolean }
  | { type: "event"; id: number; event: ProgressEvent }
  | { type: "progress"; id: number; pairsDone: number; pairsTotal: number }
  | { type: "partial"; id: number; results: EngineResult[] };

/** An error as a message carries it: structured clones lose what is our own. */
export interface ErrorRecord {
  name: string;
  message: string;
  stack?: string;
  /** Of a `RerankError`. */
  code?: RerankErrorCode;
  hint?: string;
  cause?: ErrorRecord;
}

/** Causes of causes; an error may be its own. */
const MAX_DEPTH = 4;

export function packError(error: unknown, depth = 0): ErrorRecord {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    ...(stack !== undefined && { stack }),
    ...(error instanceof RerankError && { code: error.code, hint: error.hint }),
    ...(cause !== undefined && depth < MAX_DEPTH && { cause: packError(cause, depth + 1) }),
  };
}

export function unpackError({ name, message, stack, code, hint, cause }: ErrorRecord): Error {
  const options = cause && { cause: unpackError(cause) };
  const error: Error = code
    ? new RerankError(code, message, hint, options)
    : Object.assign(new Error(message, options), { name });
  if (stack !== undefined) error.stack = stack;
  return error;
}
