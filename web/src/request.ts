import { type Rule, FLAG, FUNCTION, SIGNAL, TEXT, WHOLE, invalid, isText, readOptions, shown } from "./options.js";
import type { Cascade, Document, RerankRequest, ScoreOptions, SnakeCaseRequest } from "./types.js";
import type { EngineRequest } from "./wasm/surface.js";

/** A request that may go to the engine, and what only this side needs of it. */
export interface CheckedRequest {
  engine: EngineRequest;
  documents: readonly Document[];
  returnDocuments: boolean;
  rawScores: boolean;
  onPartial: RerankRequest["onPartial"];
  onProgress: RerankRequest["onProgress"];
  signal: AbortSignal | undefined;
}

const isScore = (value: unknown) => typeof value === "number" && value >= 0 && value <= 1;
const isDuration = (value: unknown) => typeof value === "number" && Number.isFinite(value) && value >= 0;
const isFieldList = (value: unknown) => Array.isArray(value) && value.length > 0 && value.every(isText);

const CASCADE: Record<keyof Cascade, Rule> = { maxTokens: WHOLE, keep: WHOLE };

const RULES: Record<keyof RerankRequest, Rule> = {
  query: [isText, "the text to search for"],
  documents: [(value) => Array.isArray(value) && value.length > 0, "a list of at least one string or object"],
  topN: WHOLE,
  rankFields: [isFieldList, "a list of at least one field, or leave it out"],
  maxTokensPerDoc: WHOLE,
  returnDocuments: FLAG,
  rawScores: FLAG,
  minScore: [isScore, "a score from 0 to 1"],
  deadlineMs: [isDuration, "milliseconds, 0 or more"],
  cascade: [(value) => typeof value === "object", "{ maxTokens, keep }"],
  model: TEXT,
  onPartial: FUNCTION,
  onProgress: FUNCTION,
  signal: SIGNAL,
};

const SNAKE_CASE: Record<keyof SnakeCaseRequest, keyof RerankRequest> = {
  top_n: "topN",
  rank_fields: "rankFields",
  max_tokens_per_doc: "maxTokensPerDoc",
  return_documents: "returnDocuments",
  raw_scores: "rawScores",
  min_score: "minScore",
  deadline_ms: "deadlineMs",
};

/** More tokens than any document has; whole numbers of JavaScript are larger than the engine's. */
const ALL_TOKENS = 2 ** 31 - 1;

/** @throws `invalid_input` */
export function readRequest(given: RerankRequest & SnakeCaseRequest): CheckedRequest {
  const request = readOptions(given, "the request", RULES, SNAKE_CASE) as Partial<RerankRequest>;
  const { query, documents, topN, rankFields, maxTokensPerDoc, minScore, deadlineMs, cascade } = request;
  if (query === undefined) throw invalid("the request has no query", "pass the text to search for");
  if (documents === undefined) throw invalid("the request has no documents", "pass at least one");
  return {
    engine: {
      query,
      // Holes of a sparse list are read as what they are: undefined.
      documents: Array.from(documents, plainDocument),
      ...(topN != null && { topN: Math.min(topN, documents.length) }),
      ...(rankFields != null && { rankFields: [...rankFields] }),
      ...(maxTokensPerDoc != null && { maxTokensPerDoc: Math.min(maxTokensPerDoc, ALL_TOKENS) }),
      ...(minScore != null && { minScore }),
      ...(deadlineMs != null && { deadlineMs }),
      ...(cascade != null && { cascade: readCascade(cascade) }),
    },
    // The caller may change the list before the answer comes.
    documents: [...documents],
    returnDocuments: request.returnDocuments ?? false,
    rawScores: request.rawScores ?? false,
    onPartial: request.onPartial,
    onProgress: request.onProgress,
    signal: request.signal,
  };
}

function readCascade(given: Cascade): Cascade {
  const { maxTokens, keep } = readOptions(given, "cascade", CASCADE, { max_tokens: "maxTokens" }) as Partial<Cascade>;
  if (maxTokens === undefined || keep === undefined) throw invalid("cascade lacks maxTokens or keep", "pass both");
  return { maxTokens: Math.min(maxTokens, ALL_TOKENS), keep: Math.min(keep, ALL_TOKENS) };
}

/** A document as JSON would carry it: what a worker is sent is then the same as what is read without one. */
function plainDocument(document: unknown, index: number): Document {
  if (typeof document === "string") return document;
  const problem = `document ${index} is ${shown(document)}`;
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw invalid(problem, "pass a string, or an object of fields");
  }
  let plain: unknown;
  try {
    plain = JSON.parse(JSON.stringify(document));
  } catch (cause) {
    throw invalid(`document ${index} has no JSON form`, "leave out cycles and BigInts", cause);
  }
  if (typeof plain === "string" || (typeof plain === "object" && plain !== null)) return plain as Document;
  throw invalid(problem, "pass a string, or an object of fields");
}

const SCORE_RULES: Record<keyof ScoreOptions, Rule> = { maxLength: WHOLE, signal: SIGNAL };

export interface CheckedPairs extends ScoreOptions {
  pairs: [string, string][];
}

/** @throws `invalid_input` */
export function readPairs(pairs: readonly (readonly [string, string])[], given: ScoreOptions): CheckedPairs {
  const { maxLength, signal } = readOptions(given, "computeScore", SCORE_RULES) as ScoreOptions;
  if (!Array.isArray(pairs)) throw invalid(`the pairs are ${shown(pairs)}`, "pass a list of [query, document]");
  const checked = Array.from(pairs, (pair: unknown, index): [string, string] => {
    const [query, document] = Array.isArray(pair) && pair.length === 2 ? pair : [];
    if (typeof query === "string" && typeof document === "string") return [query, document];
    throw invalid(`pair ${index} is ${shown(pair)}`, "pass [query, document], both strings");
  });
  return {
    pairs: checked,
    ...(maxLength !== undefined && { maxLength: Math.min(maxLength, ALL_TOKENS) }),
    ...(signal && { signal }),
  };
}
