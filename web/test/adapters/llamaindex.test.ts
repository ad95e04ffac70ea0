import { RetrieverQueryEngine } from "@llamaindex/core/query-engine";
import type { BaseSynthesizer } from "@llamaindex/core/response-synthesizers";
import { BaseRetriever } from "@llamaindex/core/retriever";
import { type NodeWithScore, TextNode } from "@llamaindex/core/schema";
import { expect, test } from "vitest";
import { CrossrankRerank } from "../../src/adapters/llamaindex.js";
import { BEST, defaultModel, DOCUMENTS, ENGINE, hasEngine, QUERY, WordRule } from "./rankers.js";

const nodes = (): NodeWithScore[] =>
  DOCUMENTS.map((text, index) => {
    const node = new TextNode({ text, id_: `${index}`, metadata: { file: `${index}.txt` } });
    return { node, score: 0.5 };
  });

class AllNodes extends BaseRetriever {
  constructor() {
    super();
  }

  async _retrieve() {
    return nodes();
  }
}

// Without a synthesizer of its own it asks for a language model, which retrieve() has no use for.
const retrieve = (postprocessor: CrossrankRerank) =>
  new RetrieverQueryEngine(new AllNodes(), {} as BaseSynthesizer, [postprocessor]).retrieve(QUERY);

test("a query engine retrieves the best nodes, best first", async () => {
  const found = await retrieve(new CrossrankRerank({ reranker: new WordRule() }));
  expect(found.map(({ node }) => node.id_)).toEqual(BEST.map(String));
});

test("a node keeps its identity and gets the new score", async () => {
  const given = nodes();
  const [best] = await new CrossrankRerank({ reranker: new WordRule() }).postprocessNodes(given, QUERY);
  expect(best!.node).toBe(given[1]!.node);
  expect(best!.score).toBeCloseTo(5 / 6);
  expect(given[1]!.score).toBe(0.5);
});

test("two nodes are kept unless told otherwise, and all with null", async () => {
  const kept = async (topN: object) =>
    (await new CrossrankRerank({ reranker: new WordRule(), ...topN }).postprocessNodes(nodes(), QUERY)).length;
  expect([await kept({}), await kept({ topN: 1 }), await kept({ topN: null })]).toEqual([2, 1, 4]);
});

test("nodes are read with their metadata and a query of parts as its text", async () => {
  const rule = new WordRule();
  await new CrossrankRerank({ reranker: rule }).postprocessNodes(nodes(), [{ type: "text", text: QUERY }]);
  expect(rule.requests[0]!.query).toBe(QUERY);
  expect(rule.requests[0]!.documents[3]).toBe(`file: 3.txt\n\n${DOCUMENTS[3]}`);
});

test("without nodes nothing is asked, and without a query it says what is missing", async () => {
  const postprocessor = new CrossrankRerank({ reranker: new WordRule() });
  expect(await postprocessor.postprocessNodes([])).toEqual([]);
  await expect(postprocessor.postprocessNodes(nodes())).rejects.toMatchObject({ code: "invalid_input" });
});

test("the engine ranks nodes in a query engine", async () => {
  if (!hasEngine("llamaindex_engine")) return;
  const postprocessor = new CrossrankRerank({ model: defaultModel(), load: ENGINE });
  const found = await retrieve(postprocessor);
  expect(found.map(({ node }) => node.id_)).toEqual(BEST.map(String));
  await postprocessor.dispose();
}, 60_000);
