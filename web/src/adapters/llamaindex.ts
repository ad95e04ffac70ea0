import type { MessageContent } from "@llamaindex/core/llms";
import type { BaseNodePostprocessor } from "@llamaindex/core/postprocessor";
import { MetadataMode, type NodeWithScore } from "@llamaindex/core/schema";
import { extractText } from "@llamaindex/core/utils";
import { RerankError } from "../errors.js";
import { type LazyRanker, rankerOf, type RequestOptions, requestOptions, type RerankerChoice } from "./lazy.js";

export type { Ranker, RerankerChoice } from "./lazy.js";

/** `topN` is 2 without it, as in LlamaIndex's `CohereRerank`; `null` keeps all. */
export type CrossrankRerankOptions = RerankerChoice & RequestOptions;

/** LlamaIndex's node postprocessor: keeps the nodes that answer the query best, best first. */
export class CrossrankRerank implements BaseNodePostprocessor {
  readonly topN: number | null;
  private readonly ranker: LazyRanker;
  private readonly options: ReturnType<typeof requestOptions>;

  constructor(options: CrossrankRerankOptions) {
    this.options = requestOptions(options, 2);
    this.topN = this.options.topN;
    this.ranker = rankerOf(options);
  }

  /** Reads every node with its metadata. Scores are from 0 to 1; a node that a deadline left unread has none. */
  async postprocessNodes(nodes: NodeWithScore[], query?: MessageContent): Promise<NodeWithScore[]> {
    if (nodes.length === 0) return [];
    if (query === undefined) {
      const hint = "give postprocessNodes the query as its second argument";
      throw new RerankError("invalid_input", "nodes cannot be reranked without a query", hint);
    }
    const documents = nodes.map(({ node }) => node.getContent(MetadataMode.ALL));
    const { results } = await this.ranker.rerank({ ...this.options, query: extractText(query), documents });
    return results.map(({ index, relevanceScore }) => ({ node: nodes[index]!.node, score: relevanceScore }));
  }

  /** Frees the model if it was loaded here. */
  dispose(): Promise<void> {
    return this.ranker.dispose();
  }
}
