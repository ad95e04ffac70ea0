/**
 * What crates/wasm exports, in all modules. Every failure is thrown, or rejected with, as an `Error` that
 * carries `code` (a `RerankErrorCode`, or `"cancelled"`) and `hint`.
 */
export interface WasmModule {
  /** wasm-bindgen's start: takes the module's address, a `Response`, bytes or a compiled module. */
  default(source: {
    module_or_path: URL | string | Response | BufferSource | WebAssembly.Module;
    memory?: WebAssembly.Memory;
  }): Promise<{ memory: WebAssembly.Memory }>;
  Sha256: new () => Sha256;
  /**
   * Opens the device and waits for the bytes of the weights. `config` and `tokenizer` are whole files; both
   * may be absent for GGUF, which carries them.
   */
  openModel(options: OpenOptions, config?: Uint8Array, tokenizer?: Uint8Array): Promise<ModelStream>;
  /** GPU module only: runs a tiny built-in model through the kernels of `dtype`; rejects if its logits are wrong. */
  selfTest(dtype: "f32" | "f16"): Promise<void>;
  /** Module with threads only: computes in `count` threads, this one and `count - 1` that call `runThread`; waits for them. */
  startThreads?(count: number): void;
  /** Module with threads only: gives this worker to the engine; returns when the worker ends. */
  runThread?(): void;
}

/** Plain data, read as JSON. */
export interface OpenOptions {
  name: string;
  dtype?: "f32" | "f16" | "q8" | "q4";
  maxTokens?: number;
  window?: "cohere" | "jina";
  languages?: "en" | "multilingual";
  memoryBudgetBytes?: number;
}

export interface Sha256 {
  update(chunk: Uint8Array): void;
  /** Lower-case hexadecimal; ends the object. */
  digest(): string;
  free(): void;
}

export interface ModelStream {
  /** Starts the next weight file of `bytes` bytes; a sharded checkpoint has several, in any order. */
  beginFile(name: string, bytes: number): void;
  /** The next bytes of the file, in order, in pieces of any size. */
  push(chunk: Uint8Array): void;
  /** Bytes of weights kept so far: on the device, and in this module's memory. */
  keptBytes(): number;
  /** All bytes have come and their hashes are right: the model that can score. Ends the stream. */
  finish(): Promise<Engine>;
  free(): void;
}

/** Requests that run when it is freed go on to their end. */
export interface Engine {
  info(): EngineInfo;
  /** The request is read as JSON would carry it, its documents' keys in their own order. */
  rerank(request: EngineRequest, watch: Watch): Promise<EngineResponse>;
  computeScore(
    pairs: [string, string][],
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<EnginePairScore[]>;
  tokenize(query: string, document: string): { ids: Uint32Array; typeIds: Uint32Array };
  free(): void;
}

export interface Watch {
  /** Looked at after every forward pass; the request then rejects with code `"cancelled"`. */
  signal?: AbortSignal;
  onProgress?: (pairsDone: number, pairsTotal: number) => void;
  onPartial?: (results: EngineResult[]) => void;
}

export interface EngineRequest {
  query: string;
  documents: (string | Record<string, unknown>)[];
  topN?: number;
  rankFields?: string[];
  maxTokensPerDoc?: number;
  minScore?: number;
  deadlineMs?: number;
  cascade?: { maxTokens: number; keep: number };
}

/** `score` and `logit` are absent where the deadline came first. */
export interface EngineResult {
  index: number;
  score?: number;
  logit?: number;
}

export interface EnginePairScore {
  index: number;
  score: number;
  logit: number;
  tokens: number;
}

export interface EngineResponse {
  results: EngineResult[];
  warnings: { code: string; message: string }[];
  usage: {
    tokens: number;
    pairs: number;
    batches: number;
    padding: number;
    searchUnits: number;
    tokenizeMs: number;
    computeMs: number;
    elapsedMs: number;
  };
}

export interface EngineInfo {
  name: string;
  adapter: string;
  backend: string;
  dtype: "f32" | "f16" | "q8" | "q4";
  maxTokens: number;
  hiddenSize: number;
  layers: number;
  vocabSize: number;
  weightBytes: number;
}
