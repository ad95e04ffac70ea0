import { existsSync, readFileSync } from "node:fs";
import type { Ranker } from "../../src/adapters/lazy.js";
import type { Document, ModelDefinition, RerankRequest } from "../../src/types.js";

export const QUERY = "How many people live in Berlin?";
/** By the rule and by the model: 1 first, then 3; 0 and 2 say nothing of the query. */
export const DOCUMENTS = [
  "Apples ripen when autumn comes.",
  "Berlin has a population of 3.5 million: so many people live in the city.",
  "The recipe asks for two eggs and a pinch of salt.",
  "Berlin is well known for its museums.",
] as const;
/** The best two. */
export const BEST = [1, 3] as const;

const words = (text: string) => new Set(text.toLowerCase().match(/\w+/g));
const textOf = (document: Document) => (typeof document === "string" ? document : Object.values(document).join(" "));

/** Scores a document by the share of the query's words that it has: for what only an adapter converts. */
export class WordRule implements Ranker {
  /** What it was asked, for tests of what an adapter passes on. */
  readonly requests: RerankRequest[] = [];

  async rerank(request: RerankRequest) {
    this.requests.push(request);
    request.signal?.throwIfAborted();
    const asked = words(request.query);
    const results = request.documents.map((document, index) => {
      const found = words(textOf(document));
      return { index, relevanceScore: [...asked].filter((word) => found.has(word)).length / asked.size };
    });
    results.sort((a, b) => b.relevanceScore - a.relevanceScore);
    return {
      id: "00000000-0000-4000-8000-000000000000",
      results: results.slice(0, request.topN ?? undefined),
      meta: {
        apiVersion: { version: "2" },
        billedUnits: { searchUnits: 1 },
        tokens: { inputTokens: 0, outputTokens: 0 },
        warnings: ["scores are shares of words"],
        model: "words",
        device: "wasm" as const,
        usage: { pairs: results.length, batches: 1, tokenizeMs: 0, computeMs: 0, elapsedMs: 0 },
      },
    };
  }
}

const root = new URL("../../../", import.meta.url);

/** The default model from the repository, as a page gives it: bytes in memory. */
export function defaultModel(): ModelDefinition {
  const names = ["config.json", "tokenizer.json", "model.safetensors"];
  const file = (name: string) => ({ source: new Blob([readFileSync(new URL(`models/default/${name}`, root))]) });
  return { name: "default", files: Object.fromEntries(names.map((name) => [name, file(name)])) };
}

/** Whether the engine was built; without it a test prints why it did nothing. */
export function hasEngine(test: string): boolean {
  const built = existsSync(new URL("web/dist/wasm/crossrank_cpu.wasm", root));
  if (!built) console.log(`skipped: ${test}: ./build.sh wasm has not run`);
  return built;
}

/** The engine on the CPU, its module from `./build.sh wasm`. */
export const ENGINE = { device: "wasm", worker: false, cache: "none", wasm: new URL("web/dist/wasm/", root) } as const;
