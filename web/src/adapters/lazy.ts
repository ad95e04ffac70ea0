import { Reranker } from "../index.js";
import { orAborted } from "../storage/abort.js";
import type { LoadOptions, ModelChoice, RerankRequest, RerankResponse } from "../types.js";

/** What an adapter needs of a `Reranker`. */
export interface Ranker {
  rerank(request: RerankRequest): Promise<RerankResponse>;
}

/** A reranker that is loaded already and stays its owner's, or a model that is loaded with the first request. */
export type RerankerChoice =
  | { reranker: Ranker }
  | {
      model: ModelChoice;
      load?: LoadOptions;
    };

/** What an adapter asks of every request; `topN: null` keeps all. */
export type RequestOptions = Pick<RerankRequest, "topN" | "maxTokensPerDoc" | "minScore" | "deadlineMs">;

/** What a request takes of an adapter's options, which have more; `best` results without `topN`. */
export function requestOptions(options: RequestOptions, best: number) {
  const { topN = best, maxTokensPerDoc = null, minScore = null, deadlineMs = null } = options;
  return { topN, maxTokensPerDoc, minScore, deadlineMs };
}

/** A ranker that loads its model with the first request. */
export interface LazyRanker extends Ranker {
  /** Frees what was loaded; the next request loads it again. */
  dispose(): Promise<void>;
}

export function rankerOf(choice: RerankerChoice): LazyRanker {
  if ("reranker" in choice) {
    return { rerank: (request) => choice.reranker.rerank(request), dispose: async () => {} };
  }
  return lazyRanker(choice.model, choice.load);
}

/** Requests share one load; one that failed is tried again with the next request. */
export function lazyRanker(model: ModelChoice, options?: LoadOptions): LazyRanker {
  let loading: Promise<Reranker> | undefined;
  const load = () => {
    const started = (loading ??= Reranker.load(model, options));
    return started.catch((error: unknown) => {
      if (loading === started) loading = undefined;
      throw error;
    });
  };
  return {
    async rerank(request) {
      request.signal?.throwIfAborted();
      // The load goes on for the others.
      const reranker = await orAborted(request.signal, load());
      return reranker.rerank(request);
    },
    async dispose() {
      const started = loading;
      loading = undefined;
      const reranker = await started?.catch(() => undefined);
      await reranker?.dispose();
    },
  };
}

/** The same for every choice of the same model: two `URL`s of one address are one. */
export function modelKey(model: ModelChoice | null): unknown {
  return model instanceof URL ? model.href : model;
}

/** The same for options that load the same. */
export function optionsKey(options: LoadOptions = {}): string {
  const { device, dtype, cache, baseUrl, worker, wasm, memoryBudgetBytes } = options;
  return JSON.stringify([device, dtype, cache, baseUrl, worker, wasm, memoryBudgetBytes]);
}
