import type { CheckedRequest } from "./request.js";
import type { Document, ModelInfo, RerankResponse, RerankResult } from "./types.js";
import type { EngineResponse, EngineResult } from "./wasm/surface.js";

/** The version of Cohere's API whose shape answers have. */
const API_VERSION = "2";

/** @param notes what the caller should know beside the engine's own warnings */
export function toResponse(
  answer: EngineResponse,
  request: CheckedRequest,
  info: ModelInfo,
  notes: readonly string[],
): RerankResponse {
  const { tokens, searchUnits, pairs, batches, tokenizeMs, computeMs, elapsedMs } = answer.usage;
  return {
    id: randomId(),
    results: toResults(answer.results, request),
    meta: {
      apiVersion: { version: API_VERSION },
      billedUnits: { searchUnits },
      tokens: { inputTokens: tokens, outputTokens: 0 },
      warnings: [...notes, ...answer.warnings.map(({ message }) => message)],
      model: info.name,
      device: info.device,
      usage: { pairs, batches, tokenizeMs, computeMs, elapsedMs },
    },
  };
}

export function toResults(results: readonly EngineResult[], request: CheckedRequest): RerankResult[] {
  const { documents, returnDocuments, rawScores } = request;
  return results.map(({ index, score, logit }) => {
    const result = {
      index,
      ...(score !== undefined && { relevanceScore: score }),
      ...(rawScores && logit !== undefined && { logit }),
      ...(returnDocuments && { document: asObject(documents[index]!) }),
    };
    // Without a score only where a deadline came first, which its caller knows of.
    return result as RerankResult;
  });
}

const asObject = (document: Document) => (typeof document === "string" ? { text: document } : document);

/** A random UUID; pages that were not served securely have no `randomUUID`. */
function randomId(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
