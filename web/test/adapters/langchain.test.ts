import { ContextualCompressionRetriever } from "@langchain/classic/retrievers/contextual_compression";
import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { Document } from "@langchain/core/documents";
import { BaseDocumentCompressor } from "@langchain/core/retrievers/document_compressors";
import { SyntheticEmbeddings } from "@langchain/core/utils/testing";
import { expect, test } from "vitest";
import { CrossrankRerank } from "../../src/adapters/langchain.js";
import { BEST, defaultModel, DOCUMENTS, ENGINE, hasEngine, QUERY, WordRule } from "./rankers.js";

const documents = () =>
  DOCUMENTS.map((pageContent, index) => {
    return new Document({ pageContent, metadata: { source: `${index}.txt` }, id: `${index}` });
  });

async function retriever(compressor: CrossrankRerank) {
  const store = new MemoryVectorStore(new SyntheticEmbeddings({ vectorSize: 8 }));
  await store.addDocuments(documents());
  return new ContextualCompressionRetriever({ baseCompressor: compressor, baseRetriever: store.asRetriever(10) });
}

test("a contextual compression retriever gives the best documents first, each with its score and metadata", async () => {
  const found = await (await retriever(new CrossrankRerank({ reranker: new WordRule(), topN: 2 }))).invoke(QUERY);
  expect(found.map(({ id }) => id)).toEqual(BEST.map(String));
  expect(found[0]).toBeInstanceOf(Document);
  expect(found[0]!.pageContent).toBe(DOCUMENTS[1]);
  expect(found[0]!.metadata).toEqual({ source: "1.txt", relevanceScore: expect.closeTo(5 / 6) });
});

test("it is a document compressor to LangChain", () => {
  const compressor = new CrossrankRerank({ reranker: new WordRule() });
  expect(BaseDocumentCompressor.isBaseDocumentCompressor(compressor)).toBe(true);
});

test("three documents are kept unless told otherwise, and all with null", async () => {
  const kept = async (topN: object) =>
    (await new CrossrankRerank({ reranker: new WordRule(), ...topN }).compressDocuments(documents(), QUERY)).length;
  expect([await kept({}), await kept({ topN: 1 }), await kept({ topN: null })]).toEqual([3, 1, 4]);
});

test("the documents that were given stay as they were", async () => {
  const given = documents();
  await new CrossrankRerank({ reranker: new WordRule() }).compressDocuments(given, QUERY);
  expect(given).toEqual(documents());
});

test("without documents nothing is asked", async () => {
  const rule = new WordRule();
  expect(await new CrossrankRerank({ reranker: rule }).compressDocuments([], QUERY)).toEqual([]);
  expect(rule.requests).toEqual([]);
});

test("rerank takes strings and documents, and gives places and scores", async () => {
  const compressor = new CrossrankRerank({ reranker: new WordRule() });
  const mixed = [DOCUMENTS[0], { pageContent: DOCUMENTS[1] }, documents()[3]!];
  const results = await compressor.rerank(mixed, QUERY, { topN: 1 });
  expect(results).toEqual([{ index: 1, relevanceScore: expect.closeTo(5 / 6) }]);
});

test("rerank stops with the reason of its signal", async () => {
  const compressor = new CrossrankRerank({ reranker: new WordRule() });
  const signal = AbortSignal.abort(new Error("the user left"));
  await expect(compressor.rerank(DOCUMENTS, QUERY, { signal })).rejects.toThrow("the user left");
});

test("the engine loads with the first request and ranks in a retriever", async () => {
  if (!hasEngine("langchain_engine")) return;
  const compressor = new CrossrankRerank({ model: defaultModel(), load: ENGINE, topN: 2 });
  const found = await (await retriever(compressor)).invoke(QUERY);
  expect(found.map(({ id }) => id)).toEqual(BEST.map(String));
  expect(found[0]!.metadata["relevanceScore"]).toBeGreaterThan(0.9);
  await compressor.dispose();
}, 60_000);
