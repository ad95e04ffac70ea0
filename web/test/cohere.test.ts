// Code written for Cohere's client, compiled against both clients and run with both.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type Cohere, CohereClientV2 } from "cohere-ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CrossrankClient,
  type CohereRequestOptions,
  type CohereRerankRequest,
  type CohereRerankResponse,
  type RerankMeta,
} from "../src/index.js";
import { BEST, defaultModel, DOCUMENTS, ENGINE, hasEngine, QUERY } from "./adapters/rankers.js";

type TheirRequest = Parameters<CohereClientV2["rerank"]>[0];
type TheirOptions = NonNullable<Parameters<CohereClientV2["rerank"]>[1]>;
type TheirResponse = Awaited<ReturnType<CohereClientV2["rerank"]>>;

// Whether one type can stand for another; compile.test.ts runs the compiler over this file.
type CanBe<From, To> = [From] extends [To] ? true : false;
const types = {
  theirRequestsAreOurs: true satisfies CanBe<TheirRequest, CohereRerankRequest>,
  oursAreTheirs: true satisfies CanBe<CohereRerankRequest, TheirRequest>,
  ourResponsesAreTheirs: true satisfies CanBe<CohereRerankResponse, TheirResponse>,
  theirOptionsAreOurs: true satisfies CanBe<TheirOptions, CohereRequestOptions>,
  // @ts-expect-error The comparison can fail, or it would prove nothing.
  aRequestWithoutAQueryIsNone: true satisfies CanBe<Omit<TheirRequest, "query">, CohereRerankRequest>,
};

const request: Cohere.V2RerankRequest = { model: "rerank-v3.5", query: QUERY, documents: [...DOCUMENTS], topN: 3, maxTokensPerDoc: 512, priority: 1 };

/** As a user of Cohere's SDK wrote it. */
async function search(client: CohereClientV2 | CrossrankClient): Promise<Cohere.V2RerankResponse> {
  const response = await client.rerank(request, { timeoutInSeconds: 60, maxRetries: 0, headers: { "x-team": "search" } });
  const texts: string[] = response.results.map(({ index }) => DOCUMENTS[index] ?? "");
  const units: number | undefined = response.meta?.billedUnits?.searchUnits;
  if (texts.length !== 3 || units !== 1) throw new Error(`${texts.length} results for ${units} units`);
  return response;
}

/** What Cohere's API reference says that its server sends, with everything that is optional. */
const DOCUMENTED = {
  id: "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
  results: [
    { index: 1, relevance_score: 0.999071 },
    { index: 3, relevance_score: 0.32713068 },
    { index: 0, relevance_score: 0.1867867 },
  ],
  meta: {
    api_version: { version: "2", is_deprecated: false, is_experimental: false },
    billed_units: { search_units: 1 },
    tokens: { input_tokens: 80, output_tokens: 0 },
    warnings: ["a warning"],
  },
};

/** Cohere's side of the wire. */
const requests: { url: string | undefined; body: unknown }[] = [];
const server = createServer(async (incoming: IncomingMessage, outgoing) => {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  requests.push({ url: incoming.url, body: JSON.parse(Buffer.concat(chunks).toString()) });
  outgoing.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(DOCUMENTED));
});
beforeAll(() => new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening())));
afterAll(() => void server.close());

/** The kinds of all values, by their paths. */
function shapeOf(value: unknown, path = ""): Record<string, string> {
  if (typeof value !== "object" || value === null) return { [path]: typeof value };
  const entries = Array.isArray(value) ? value.map((item) => ["[]", item] as const) : Object.entries(value);
  return Object.assign({}, ...entries.map(([name, item]) => shapeOf(item, `${path}/${name}`))) as Record<string, string>;
}

test("requests, responses and options have the types of Cohere's", () => {
  expect(Object.values(types)).not.toContain(false);
});

describe("the same code", () => {
  test("sends Cohere's client's request to Cohere", async () => {
    const { port } = server.address() as AddressInfo;
    const theirs = await search(new CohereClientV2({ token: "none", environment: `http://127.0.0.1:${port}` }));
    expect(theirs.results).toHaveLength(3);
    const { topN, maxTokensPerDoc, ...others } = request;
    expect(requests).toEqual([{ url: "/v2/rerank", body: { ...others, top_n: topN, max_tokens_per_doc: maxTokensPerDoc } }]);
  });

  test("gets an answer of the same shape here, from the default model, and best first", async () => {
    if (!hasEngine("cohere_shape")) return;
    const { port } = server.address() as AddressInfo;
    const theirs = shapeOf(await search(new CohereClientV2({ token: "none", environment: `http://127.0.0.1:${port}` })));
    const client = new CrossrankClient({ model: defaultModel(), ...ENGINE });
    const answer = await search(client);
    await client.dispose();
    const ours = shapeOf(answer);
    // Nothing that is not Cohere's, and all of its that its schema and its example have.
    expect(theirs).toMatchObject(ours);
    for (const path of ["/id", "/results/[]/index", "/results/[]/relevanceScore", "/meta/apiVersion/version", "/meta/billedUnits/searchUnits"]) {
      expect(ours).toHaveProperty([path], theirs[path]);
    }
    expect(answer.results.slice(0, 2).map(({ index }) => index)).toEqual(BEST);
    const scores = answer.results.map(({ relevanceScore }) => relevanceScore);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.every((score) => score > 0 && score < 1)).toBe(true);
  }, 60_000);
});

describe("CrossrankClient", () => {
  test("rejects with the signal's reason, or with a TimeoutError, and works on", async () => {
    if (!hasEngine("cohere_abort")) return;
    const client = new CrossrankClient({ model: defaultModel(), ...ENGINE });
    const reason = new Error("the user left");
    await expect(client.rerank(request, { abortSignal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(client.rerank(request, { timeoutInSeconds: 0 })).rejects.toMatchObject({ name: "TimeoutError" });
    await expect(client.rerank(request, { timeoutInSeconds: NaN })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(client.rerank({ ...request, topN: 0 })).rejects.toMatchObject({ name: "RerankError", code: "invalid_input" });
    expect((await client.rerank(request)).results).toHaveLength(3);
    await client.dispose();
  }, 60_000);

  test("leaves a reranker that it was given to its owner", async () => {
    let isDisposed = false;
    const reranker = {
      rerank: async () => ({ id: "a", results: [{ index: 0, relevanceScore: 0.5, logit: 0 }], meta: META }),
      dispose: async () => void (isDisposed = true),
    };
    const client = new CrossrankClient(reranker);
    expect(await client.rerank(request)).toEqual({
      id: "a",
      results: [{ index: 0, relevanceScore: 0.5 }],
      meta: { apiVersion: META.apiVersion, billedUnits: META.billedUnits, tokens: META.tokens },
    });
    await client.dispose();
    expect(isDisposed).toBe(false);
  });
});

const META: RerankMeta = {
  apiVersion: { version: "2" },
  billedUnits: { searchUnits: 1 },
  tokens: { inputTokens: 9, outputTokens: 0 },
  warnings: [],
  model: "m",
  device: "wasm",
  usage: { pairs: 1, batches: 1, tokenizeMs: 0, computeMs: 0, elapsedMs: 0 },
};
