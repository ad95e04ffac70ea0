import { customProvider, createProviderRegistry, rerank as rerankV6 } from "ai";
import { createProviderRegistry as createRegistryV7, customProvider as customProviderV7, rerank as rerankV7 } from "ai7";
import { describe, expect, test } from "vitest";
import { createCrossrank, crossrank } from "../../src/adapters/ai-sdk.js";
import { BEST, defaultModel, DOCUMENTS, ENGINE, hasEngine, QUERY, WordRule } from "./rankers.js";

// One type for both, since a union of generic functions cannot be called; tests/package compiles each by itself.
const VERSIONS: [string, typeof rerankV6][] = [
  ["ai 6", rerankV6],
  ["ai 7", rerankV7 as unknown as typeof rerankV6],
];

type Logged = { warnings: unknown[]; provider?: string };
const logged: Logged[] = [];
globalThis.AI_SDK_LOG_WARNINGS = (call: Logged) => void logged.push(call);

describe.each(VERSIONS)("%s", (version, rerank) => {
  const documents = [...DOCUMENTS];

  test("rerank() gives the best documents first, with places and scores", async () => {
    const { ranking, rerankedDocuments, originalDocuments, response } = await rerank({
      model: crossrank(new WordRule()),
      query: QUERY,
      documents,
      topN: 2,
    });
    expect(ranking).toEqual([
      { originalIndex: 1, score: expect.closeTo(5 / 6), document: DOCUMENTS[1] },
      { originalIndex: 3, score: expect.closeTo(1 / 6), document: DOCUMENTS[3] },
    ]);
    expect(rerankedDocuments).toEqual(BEST.map((index) => DOCUMENTS[index]));
    expect(originalDocuments).toEqual(documents);
    expect(response).toMatchObject({ modelId: "words", id: expect.any(String), timestamp: expect.any(Date) });
  });

  test("objects stay objects, so that the engine reads them in their own order of keys", async () => {
    const rule = new WordRule();
    const objects = documents.map((text, index) => ({ title: `${index}`, text }));
    const { rerankedDocuments } = await rerank({ model: crossrank(rule), query: QUERY, documents: objects, topN: 1 });
    expect(rerankedDocuments).toEqual([objects[1]]);
    expect(rule.requests[0]!.documents).toEqual(objects);
  });

  test("what the AI SDK has no words for goes through providerOptions", async () => {
    const rule = new WordRule();
    const providerOptions = { crossrank: { rankFields: ["text"], maxTokensPerDoc: 64 } };
    await rerank({ model: crossrank(rule), query: QUERY, documents, providerOptions });
    expect(rule.requests[0]).toMatchObject({ rankFields: ["text"], maxTokensPerDoc: 64, topN: null });
  });

  test("an aborted call rejects with the signal's reason", async () => {
    const abortSignal = AbortSignal.abort(new Error("the user left"));
    const call = rerank({ model: crossrank(new WordRule()), query: QUERY, documents, abortSignal });
    await expect(call).rejects.toThrow("the user left");
  });

  test("a document that a deadline left unread is left out", async () => {
    const rule = new WordRule();
    const late = {
      async rerank(request: Parameters<WordRule["rerank"]>[0]) {
        const response = await rule.rerank(request);
        const [read, ...unread] = response.results;
        const without = unread.map(({ index }) => ({ index }) as typeof read & object);
        return { ...response, results: [read!, ...without] };
      },
    };
    const { ranking } = await rerank({ model: crossrank(late), query: QUERY, documents });
    expect(ranking.map(({ originalIndex }) => originalIndex)).toEqual([1]);
  });

  test("the provider tells of the device and of the work", async () => {
    const { providerMetadata } = await rerank({ model: crossrank(new WordRule()), query: QUERY, documents });
    expect(providerMetadata?.["crossrank"]).toMatchObject({ device: "wasm", usage: { pairs: 4 } });
  });

  test("the answer's warnings are the AI SDK's", async () => {
    logged.length = 0;
    await rerank({ model: crossrank(new WordRule()), query: QUERY, documents });
    const warning = { type: "other", message: "scores are shares of words" };
    expect(logged).toMatchObject([{ provider: "crossrank", warnings: [warning] }]);
  });

  test("the engine is loaded once for two calls", async () => {
    if (!hasEngine(`${version.replace(" ", "_")}_engine`)) return;
    const model = defaultModel();
    let loads = 0;
    const onProgress = ({ status }: { status: string }) => void (loads += Number(status === "ready"));
    const provider = createCrossrank({ ...ENGINE, onProgress });
    for (const documents of [[...DOCUMENTS], [...DOCUMENTS].reverse()]) {
      const { rerankedDocuments } = await rerank({ model: provider(model), query: QUERY, documents, topN: 2 });
      expect(rerankedDocuments).toEqual(BEST.map((index) => DOCUMENTS[index]));
    }
    expect(loads).toBe(1);
    await provider.dispose();
  }, 60_000);
});

test("registries of ai 6 and ai 7 find a model by its name", async () => {
  const rerankingModels = { best: crossrank(new WordRule()) };
  const v6 = createProviderRegistry({ mine: customProvider({ rerankingModels }) }).rerankingModel("mine:best");
  const v7 = createRegistryV7({ mine: customProviderV7({ rerankingModels }) }).rerankingModel("mine:best");
  const documents = [...DOCUMENTS];
  expect((await rerankV6({ model: v6, query: QUERY, documents })).ranking[0]?.originalIndex).toBe(1);
  expect((await rerankV7({ model: v7, query: QUERY, documents })).ranking[0]?.originalIndex).toBe(1);
});

test("a model is named by what was asked for", () => {
  const provider = createCrossrank();
  const names = ["bge-v2-m3", new URL("https://models.example/mine/"), { name: "mine", files: {} }, new WordRule()];
  expect(names.map((choice) => provider.reranking(choice).modelId)).toEqual([
    "bge-v2-m3",
    "https://models.example/mine/",
    "mine",
    "crossrank",
  ]);
});
