import type { RerankErrorCode } from "./types.js";

/** Every error of this package: what was wrong, a stable code, and what to do next. */
export class RerankError extends Error {
  override readonly name = "RerankError";
  /** The same across versions, and as on the command line and the server. */
  readonly code: RerankErrorCode;
  /** What to do next. */
  readonly hint: string;

  constructor(code: RerankErrorCode, message: string, hint = "", options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}

/** Whatever was thrown, as an error of ours. */
export function asRerankError(cause: unknown): RerankError {
  if (cause instanceof RerankError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new RerankError("internal", message, "please report it with the model and the browser", { cause });
}

/** The error of everything that is asked of a closed object. */
export const closedError = (cause?: unknown): RerankError =>
  new RerankError("closed", "this reranker is closed", "load the model again", cause === undefined ? undefined : { cause });
