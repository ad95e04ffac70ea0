import type { RerankingModel as AnyRerankingModel } from "ai";
import type { LoadOptions, ModelChoice, RerankRequest, RerankResponse } from "../types.js";
import { type LazyRanker, lazyRanker, modelKey, optionsKey, type Ranker } from "./lazy.js";

export type { Ranker } from "./lazy.js";

/** What `rerank()` of `ai` 6 and 7 takes; 7 takes the newer "v4" too, 6 does not. */
export type RerankingModel = Extract<AnyRerankingModel, { specificationVersion: "v3" }>;

type Call = Parameters<RerankingModel["doRerank"]>[0];
type Answer = Awaited<ReturnType<RerankingModel["doRerank"]>>;
type Choice = ModelChoice | Ranker;

/** What the AI SDK has no words for, as `providerOptions: { crossrank: { … } }` of `rerank()`. */
export type CrossrankProviderOptions = Pick<
  RerankRequest,
  "rankFields" | "maxTokensPerDoc" | "minScore" | "deadlineMs"
>;

export interface CrossrankProvider {
  /** A reranking model for `rerank()`. It is loaded with the first request, once for the same model and options. */
  (model: Choice, options?: LoadOptions): RerankingModel;
  reranking(model: Choice, options?: LoadOptions): RerankingModel;
  rerankingModel(model: Choice, options?: LoadOptions): RerankingModel;
  /** Frees what was loaded here; the next request loads it again. */
  dispose(): Promise<void>;
}

/** A provider whose models are loaded with `defaults`, unless the call says otherwise. */
export function createCrossrank(defaults: LoadOptions = {}): CrossrankProvider {
  const loaded = new Map<unknown, Map<string, LazyRanker>>();
  const rankerOf = (choice: Choice, options: LoadOptions) => {
    if (isRanker(choice)) return choice;
    const [model, settings] = [modelKey(choice), optionsKey(options)];
    const rankers = loaded.get(model) ?? new Map<string, LazyRanker>();
    const ranker = rankers.get(settings) ?? lazyRanker(choice, options);
    loaded.set(model, rankers.set(settings, ranker));
    return ranker;
  };
  const reranking = (choice: Choice, options?: LoadOptions) =>
    rerankingModel(nameOf(choice), rankerOf(choice, { ...defaults, ...options }));
  const dispose = async () => {
    const rankers = [...loaded.values()].flatMap((rankers) => [...rankers.values()]);
    await Promise.all(rankers.map((ranker) => ranker.dispose()));
  };
  return Object.assign(reranking.bind(null), { reranking, rerankingModel: reranking, dispose });
}

/** The provider without defaults. */
export const crossrank: CrossrankProvider = /* @__PURE__ */ createCrossrank();

// A plain object: `ai` 7 wraps it in a Proxy, through which a class's #private fields cannot be read.
function rerankingModel(modelId: string, ranker: Ranker): RerankingModel {
  return {
    specificationVersion: "v3",
    provider: "crossrank",
    modelId,
    doRerank: async (call) => answer(await ranker.rerank(request(call))),
  };
}

function request(call: Call): RerankRequest {
  const { query, documents, topN, abortSignal, providerOptions } = call;
  const options: CrossrankProviderOptions = providerOptions?.["crossrank"] ?? {};
  return {
    ...options,
    query,
    documents: documents.values,
    topN: topN ?? null,
    ...(abortSignal && { signal: abortSignal }),
  };
}

// Documents that a deadline left unread have no score, which the AI SDK asks for: they are left out.
function answer({ id, results, meta }: RerankResponse): Answer {
  return {
    ranking: results
      .filter(({ relevanceScore }) => relevanceScore !== undefined)
      .map(({ index, relevanceScore }) => ({ index, relevanceScore })),
    warnings: meta.warnings.map((message) => ({ type: "other", message })),
    response: { id, timestamp: new Date(), modelId: meta.model },
    providerMetadata: { crossrank: { device: meta.device, tokens: meta.tokens, usage: meta.usage } },
  };
}

function isRanker(choice: Choice): choice is Ranker {
  return typeof choice === "object" && "rerank" in choice;
}

function nameOf(choice: Choice): string {
  if (typeof choice === "string") return choice;
  if (choice instanceof URL) return choice.href;
  return "name" in choice ? choice.name : "crossrank";
}
