// Clients in JavaScript against the real server: `node --test tests/clients/clients.test.mjs`.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { createInterface } from "node:readline";
import * as sdk7 from "@ai-sdk/cohere";
import * as sdk6 from "@ai-sdk/cohere-3";
import { ContextualCompressionRetriever } from "@langchain/classic/retrievers/contextual_compression";
import { CohereRerank } from "@langchain/cohere";
import { Document } from "@langchain/core/documents";
import { BaseRetriever } from "@langchain/core/retrievers";
import * as ai7 from "ai";
import * as ai6 from "ai6";
import { CohereClient, CohereClientV2 } from "cohere-ai";
import * as cohere7 from "cohere-ai-7";

const program = process.env.CROSSRANK_PROGRAM ?? "target/release/crossrank";
const query = "How long does cooked rice keep in the fridge?";
const documents = [
  "Rice paddies are flooded fields for growing rice.",
  "Cooked rice keeps for four to six days in the refrigerator in an airtight container.",
  "The fridge was invented in the nineteenth century.",
  "Leftover rice should be cooled within an hour and eaten within a day, says the food agency.",
  "Basmati is a long-grained rice from the Indian subcontinent.",
];

const server = spawn(program, ["serve", "--port", "0", "--log", "warn"], { stdio: ["ignore", "pipe", "inherit"] });
after(() => server.kill());
const [url] = await once(createInterface(server.stdout), "line");
const token = "any-key";

/** The indices, best first, as the command line ranks them. */
function orderOf(documents) {
  const flags = ["rerank", "--query", query, "--documents", "-", "--format", "json"];
  const ranked = execFileSync(program, flags, { input: JSON.stringify(documents), stdio: ["pipe", "pipe", "ignore"] });
  return JSON.parse(ranked).results.map(({ index }) => index);
}
const order = orderOf(documents);
assert.notDeepEqual(order, order.toSorted(), "a test that found the input order right would prove nothing");

for (const [release, { CohereClient: V1, CohereClientV2: V2 }] of [
  ["8", { CohereClient, CohereClientV2 }],
  ["7", cohere7],
]) {
  test(`cohere-ai ${release}, V1 with objects`, async () => {
    const client = new V1({ token, environment: url });
    const records = documents.map((text) => ({ text, source: "here" }));
    const { results } = await client.rerank({
      model: "rerank-english-v3.0", query, documents: records, topN: 3, returnDocuments: true,
    });
    assert.deepEqual(results.map(({ index }) => index), order.slice(0, 3));
    assert.equal(results[0].document.text, documents[order[0]]);
  });

  test(`cohere-ai ${release}, V2`, async () => {
    const { results, meta } = await new V2({ token, environment: url }).rerank({ model: "rerank-v3.5", query, documents });
    assert.deepEqual(results.map(({ index }) => index), order);
    assert.equal(meta.billedUnits.searchUnits, 1);
  });

  test(`cohere-ai ${release}, V2 with a base URL that ends in a version`, async () => {
    const client = new V2({ token, environment: `${url}/v2` });
    const { results } = await client.rerank({ model: "rerank-v3.5", query, documents, topN: 1 });
    assert.deepEqual(results.map(({ index }) => index), order.slice(0, 1));
  });

  test(`cohere-ai ${release} says why a request is impossible`, async () => {
    const client = new V2({ token, environment: url });
    await assert.rejects(client.rerank({ model: "rerank-v3.5", query, documents: [] }), /there are no documents/);
  });
}

for (const [name, client] of [
  ["CohereClient", new cohere7.CohereClient({ token, environment: url })],
  ["CohereClientV2", new cohere7.CohereClientV2({ token, environment: url })],
]) {
  test(`@langchain/cohere in a ContextualCompressionRetriever, ${name}`, async () => {
    class Everything extends BaseRetriever {
      lc_namespace = ["test"];
      async _getRelevantDocuments() {
        return documents.map((pageContent, page) => new Document({ pageContent, metadata: { page } }));
      }
    }
    const baseCompressor = new CohereRerank({ client, model: "rerank-english-v3.0", topN: 3 });
    const retriever = new ContextualCompressionRetriever({ baseCompressor, baseRetriever: new Everything() });
    const found = await retriever.invoke(query);
    assert.deepEqual(found.map(({ metadata }) => metadata.page), order.slice(0, 3));
    assert.ok(found[0].metadata.relevanceScore > found[2].metadata.relevanceScore);
  });
}

for (const [release, { createCohere }, { rerank }] of [
  ["7", sdk7, ai7],
  ["6", sdk6, ai6],
]) {
  const model = createCohere({ baseURL: `${url}/v2`, apiKey: token }).reranking("rerank-v3.5");

  test(`AI SDK ${release}, rerank() through @ai-sdk/cohere`, async () => {
    const { ranking } = await rerank({ model, query, documents, topN: 4 });
    assert.deepEqual(ranking.map(({ originalIndex }) => originalIndex), order.slice(0, 4));
  });

  test(`AI SDK ${release} with objects, which it sends as JSON text`, async () => {
    const records = documents.map((text) => ({ text }));
    const { ranking } = await rerank({ model, query, documents: records });
    const expected = orderOf(records.map((record) => JSON.stringify(record)));
    assert.deepEqual(ranking.map(({ originalIndex }) => originalIndex), expected);
  });
}
