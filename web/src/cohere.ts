import { type LazyRanker, lazyRanker, type Ranker, rankerOf } from "./adapters/lazy.js";
import { firstOf } from "./calls.js";
import { invalid, shown } from "./options.js";
import type { LoadOptions, ModelChoice, RerankResponse } from "./types.js";

/** Cohere's `V2RerankRequest`. */
export interface CohereRerankRequest {
  /** Not looked at: there is one model, that of the client. */
  model: string;
  query: string;
  documents: string[];
  topN?: number;
  /** @default 4096 */
  maxTokensPerDoc?: number;
  /** Not looked at: requests are answered in their order. */
  priority?: number;
}

/** Cohere's `V2RerankResponse`. */
export interface CohereRerankResponse {
  id?: string;
  results: { index: number; relevanceScore: number }[];
  meta?: {
    apiVersion?: { version: string; isDeprecated?: boolean; isExperimental?: boolean };
    billedUnits?: { searchUnits?: number };
    tokens?: { inputTokens?: number; outputTokens?: number };
    warnings?: string[];
  };
}

/** The Cohere SDK's options of one request. What is about HTTP is not looked at: nothing is sent anywhere. */
export interface CohereRequestOptions {
  /** Rejects with a `TimeoutError` after it. @default none */
  timeoutInSeconds?: number;
  /** Stops the request; it rejects with the signal's reason. */
  abortSignal?: AbortSignal;
  maxRetries?: number;
  clientName?: string | undefined;
  headers?: Record<string, unknown>;
  queryParams?: Record<string, unknown>;
}

/** How the model is loaded. `model` is the model of that name of models.json if it is left out: `default`. */
export type CrossrankClientOptions = { model?: ModelChoice } & LoadOptions;

/** Stands in for `CohereClientV2` of the package `cohere-ai`, as far as `rerank()` goes. */
export class CrossrankClient implements AsyncDisposable {
  readonly #ranker: LazyRanker;

  /** @param choice a loaded reranker, which stays its owner's; or a model, which the first request loads */
  constructor(choice: Ranker | CrossrankClientOptions = {}) {
    this.#ranker = "rerank" in choice ? rankerOf({ reranker: choice }) : lazy(choice);
  }

  /** Ranks texts, best first. @throws `RerankError`, or the reason of `abortSignal` */
  async rerank(request: CohereRerankRequest, options: CohereRequestOptions = {}): Promise<CohereRerankResponse> {
    const { query, documents, topN, maxTokensPerDoc } = request;
    const { timeoutInSeconds, abortSignal } = options;
    const timeout = timeoutInSeconds == null ? undefined : timeoutAfter(timeoutInSeconds);
    const { signal, release } = firstOf([abortSignal, timeout]);
    try {
      const limits = { topN: topN ?? null, maxTokensPerDoc: maxTokensPerDoc ?? null };
      return toCohere(await this.#ranker.rerank({ query, documents, ...limits, signal }));
    } finally {
      release();
    }
  }

  /** Frees what the client itself has loaded. */
  dispose(): Promise<void> {
    return this.#ranker.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

function timeoutAfter(seconds: number): AbortSignal {
  try {
    return AbortSignal.timeout(seconds * 1000);
  } catch (cause) {
    throw invalid(`timeoutInSeconds is ${shown(seconds)}`, "pass seconds, 0 or more", cause);
  }
}

function lazy({ model = "default", ...options }: CrossrankClientOptions): LazyRanker {
  return lazyRanker(model, options);
}

/** Only what Cohere's answers have. */
function toCohere({ id, results, meta }: RerankResponse): CohereRerankResponse {
  const { apiVersion, billedUnits, tokens, warnings } = meta;
  return {
    id,
    results: results.map(({ index, relevanceScore }) => ({ index, relevanceScore })),
    meta: { apiVersion, billedUnits, tokens, ...(warnings.length > 0 && { warnings }) },
  };
}
