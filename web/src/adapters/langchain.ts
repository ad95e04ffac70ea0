import type { Callbacks } from "@langchain/core/callbacks/manager";
import { Document, type DocumentInterface } from "@langchain/core/documents";
import { BaseDocumentCompressor } from "@langchain/core/retrievers/document_compressors";
import type { RerankResult } from "../types.js";
import { type LazyRanker, rankerOf, type RequestOptions, requestOptions, type RerankerChoice } from "./lazy.js";

export type { Ranker, RerankerChoice } from "./lazy.js";

/** `topN` is 3 without it, as in LangChain's `CohereRerank`; `null` keeps all. */
export type CrossrankRerankOptions = RerankerChoice & RequestOptions;

/**
 * LangChain's document compressor, for a `ContextualCompressionRetriever`: keeps the documents that answer the
 * query best, best first, each with its `metadata.relevanceScore` from 0 to 1.
 */
export class CrossrankRerank extends BaseDocumentCompressor {
  readonly topN: number | null;
  private readonly ranker: LazyRanker;
  private readonly options: ReturnType<typeof requestOptions>;

  constructor(options: CrossrankRerankOptions) {
    super();
    this.options = requestOptions(options, 3);
    this.topN = this.options.topN;
    this.ranker = rankerOf(options);
  }

  /** The documents are copies; those that a deadline left unread come last and have no score. */
  async compressDocuments(
    documents: DocumentInterface[],
    query: string,
    _callbacks?: Callbacks,
  ): Promise<DocumentInterface[]> {
    const results = await this.rerank(documents, query);
    return results.map(({ index, relevanceScore }) => scored(documents[index]!, relevanceScore));
  }

  /** Places in `documents` and scores, best first. */
  async rerank(
    documents: readonly (DocumentInterface | string | { pageContent: string })[],
    query: string,
    options: RequestOptions & { signal?: AbortSignal } = {},
  ): Promise<Pick<RerankResult, "index" | "relevanceScore">[]> {
    if (documents.length === 0) return [];
    const texts = documents.map((document) => (typeof document === "string" ? document : document.pageContent));
    const { results } = await this.ranker.rerank({ ...this.options, ...options, query, documents: texts });
    return results.map(({ index, relevanceScore }) => ({ index, relevanceScore }));
  }

  /** Frees the model if it was loaded here. */
  dispose(): Promise<void> {
    return this.ranker.dispose();
  }
}

// A copy: the retriever's own documents may be kept in a store or asked for by two queries at once.
function scored(document: DocumentInterface, relevanceScore: number): DocumentInterface {
  const { pageContent, metadata, id } = document;
  return new Document({ pageContent, metadata: { ...metadata, relevanceScore }, ...(id && { id }) });
}
