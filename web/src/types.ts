/** What the package takes and gives. Names are the Cohere TypeScript SDK's where it has one. */

/** A document: text, or an object whose fields are read as YAML in their own order. */
export type Document = string | Record<string, unknown>;

/** Where a model runs. `auto` takes a real GPU that passes a numeric self-test, else WebAssembly. */
export type DeviceChoice = "auto" | "webgpu" | "wasm";

/** How weights are kept: 32- or 16-bit floats, 8- or 4-bit integers. */
export type Dtype = "f32" | "f16" | "q8" | "q4";

/** A model's files by name, each where it is: an address, or a file the user picked. */
export interface ModelDefinition {
  /** The name that answers report. */
  name: string;
  files: Record<string, ModelFile>;
  /** Tokens of a pair at most, where the files do not say. */
  maxTokens?: number;
  /** How documents longer than the context are split. */
  window?: "cohere" | "jina";
  /** What the model was trained on: `en` warns of other languages. */
  languages?: "en" | "multilingual";
}

/** One file of a model. */
export interface ModelFile {
  /** Absolute, or a `File` or `Blob` that is read where it lies. */
  source: string | Blob;
  bytes?: number;
  /** In lower-case hexadecimal; without it the file cannot be checked. */
  sha256?: string;
}

/** A name in models.json, a Hugging Face repository `owner/name`, a folder's address, or picked files. */
export type ModelChoice = string | URL | ModelDefinition | ArrayLike<File>;

/** What a cache keeps between visits. `auto`: the origin's private file system, else Cache Storage, else none. */
export type CacheChoice = "auto" | "opfs" | "cache-storage" | "none";

export interface LoadOptions {
  /** @default "auto" */
  device?: DeviceChoice;
  /** Without it f16 where the GPU computes in f16, q8 on the CPU where the file is in q8, else f32. */
  dtype?: Dtype;
  onProgress?: (event: ProgressEvent) => void;
  /** Stops the download or the set-up; `load` rejects with its reason. */
  signal?: AbortSignal;
  /** @default "auto" */
  cache?: CacheChoice;
  /** Where Hugging Face repositories are served from. @default "https://huggingface.co" */
  baseUrl?: string | URL;
  /** A worker of its own (`true`, the default where there are workers), the address of its script, or none. */
  worker?: boolean | string | URL;
  /** Where the WebAssembly modules lie, if not beside this script: a folder's address. */
  wasm?: string | URL;
  /**
   * Threads that WebAssembly computes in. More than one need a page that is cross-origin isolated, a worker of its
   * own, and relaxed SIMD; elsewhere this is ignored. @default 4, or the number of cores if there are fewer
   */
  threads?: number;
  /** Bytes of working memory beside the weights. @default 256 MiB in a browser */
  memoryBudgetBytes?: number;
}

/** transformers.js' progress events. */
export type ProgressEvent =
  | { status: "initiate"; name: string; file: string }
  | { status: "download"; name: string; file: string }
  | { status: "progress"; name: string; file: string; progress: number; loaded: number; total: number }
  | { status: "done"; name: string; file: string }
  | { status: "ready"; name: string };

export interface RerankRequest {
  query: string;
  documents: readonly Document[];
  /** Results to return; all without it. */
  topN?: number | null;
  /** The fields of object documents to read, in this order. */
  rankFields?: readonly string[] | null;
  /** Tokens of a document that are read at most. @default 4096 */
  maxTokensPerDoc?: number | null;
  /** @default false */
  returnDocuments?: boolean | null;
  /** Adds `logit`, the model's raw output, to every result. @default false */
  rawScores?: boolean | null;
  /** Results with a lower score are left out. */
  minScore?: number | null;
  /** Milliseconds until an answer is due; documents not reached follow the scored ones without a score. */
  deadlineMs?: number | null;
  /** Scores documents by their beginning, and the best again, read whole; all are read whole without it. */
  cascade?: Cascade | null;
  /** Ignored; for requests that were written for an API. */
  model?: string | null;
  /** Given the ranking so far after every forward pass. */
  onPartial?: (results: RerankResult[]) => void;
  /** Told how far the request has come after every forward pass. */
  onProgress?: (progress: { pairsDone: number; pairsTotal: number }) => void;
  /** Stops between forward passes; `rerank` rejects with its reason. */
  signal?: AbortSignal;
}

/** Which documents are read whole. These rank above the others, which follow by the scores of their beginnings. */
export interface Cascade {
  /** Tokens of a document that are read at first. */
  maxTokens: number;
  /** Documents that are read whole. */
  keep: number;
}

/** The request's names as Cohere's HTTP API spells them. */
export interface SnakeCaseRequest {
  top_n?: number | null;
  rank_fields?: readonly string[] | null;
  max_tokens_per_doc?: number | null;
  return_documents?: boolean | null;
  raw_scores?: boolean | null;
  min_score?: number | null;
  deadline_ms?: number | null;
}

export interface RerankResult {
  /** The document's place in the request. */
  index: number;
  /** From 0 to 1, best first; absent only where the deadline came first. */
  relevanceScore: number;
  /** The model's raw output, if `rawScores` asks for it. */
  logit?: number;
  /** The document if `returnDocuments` asks for it: text as `{ text }`, an object as it was. */
  document?: { text: string } | Record<string, unknown>;
}

export interface RerankResponse {
  id: string;
  results: RerankResult[];
  meta: RerankMeta;
}

export interface RerankMeta {
  apiVersion: { version: string; isDeprecated?: boolean; isExperimental?: boolean };
  billedUnits: { searchUnits: number };
  tokens: { inputTokens: number; outputTokens: number };
  /** What the caller should know about this answer. */
  warnings: string[];
  model: string;
  device: "webgpu" | "wasm";
  usage: {
    pairs: number;
    batches: number;
    tokenizeMs: number;
    computeMs: number;
    elapsedMs: number;
  };
}

export interface PairScore {
  index: number;
  score: number;
  logit: number;
  /** Tokens that were read, special tokens included. */
  tokens: number;
}

export interface ScoreOptions {
  /** Tokens of a pair at most; the model's limit without it. */
  maxLength?: number;
  signal?: AbortSignal;
}

/** What was loaded. */
export interface ModelInfo {
  name: string;
  device: "webgpu" | "wasm";
  /** The GPU's name as WebGPU tells it, or `wasm`. */
  adapter: string;
  /** That WebAssembly computes in; 1 with a GPU. */
  threads: number;
  /** Why a GPU was not taken, where there was one to take. */
  deviceNote?: string;
  dtype: Dtype;
  maxTokens: number;
  hiddenSize: number;
  layers: number;
  vocabSize: number;
  /** Bytes of the weight files. */
  weightBytes: number;
  /** Bytes of weights as they are kept: on the GPU, and in memory. */
  keptBytes: number;
  /** Files that could not be checked, because their hash is not known. */
  unverifiedFiles?: string[];
  /** Why the files are not kept for the next visit, where they were to be. */
  cacheNote?: string;
}

/** What this machine can do, found out without a download. */
export interface Support {
  wasm: boolean;
  simd: boolean;
  threads: boolean;
  webgpu: boolean;
  /** A real GPU, or a software adapter that `auto` does not take. */
  adapter?: { description: string; software: boolean; f16: boolean; maxBufferBytes: number };
  /** What `auto` would take before its self-test. */
  device: "webgpu" | "wasm";
  cache: "opfs" | "cache-storage" | "none";
  /** Bytes the browser lets this page store, if it tells. */
  quotaBytes?: number;
  /** Estimated milliseconds for 50 documents of 256 tokens with the default model. */
  estimatedMs: number;
}

/** The codes of errors; the same as the command line's and the server's. */
export type RerankErrorCode =
  | "invalid_input"
  | "model_not_found"
  | "model_unreadable"
  | "model_unsupported"
  | "weights_mismatch"
  | "integrity_mismatch"
  | "tokenizer_mismatch"
  | "device_unavailable"
  | "device_lost"
  | "out_of_memory"
  | "storage_full"
  | "network"
  | "closed"
  | "internal";
