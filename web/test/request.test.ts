import { expect, test } from "vitest";
import { readPairs, readRequest } from "../src/request.js";
import type { RerankRequest, SnakeCaseRequest } from "../src/types.js";

const read = (request: object) => readRequest(request as RerankRequest & SnakeCaseRequest);
const asked = { query: "q", documents: ["a", "b"] };

test("only what was given goes to the engine", () => {
  expect(read(asked).engine).toEqual({ query: "q", documents: ["a", "b"] });
  expect(read({ ...asked, topN: null, rankFields: undefined, minScore: null, model: null }).engine).toEqual(asked);
  expect(read({ ...asked, minScore: 0, deadlineMs: 0 }).engine).toEqual({ ...asked, minScore: 0, deadlineMs: 0 });
});

test("snake_case is read as camelCase, and both at once are refused", () => {
  const [camel, snake] = [
    { topN: 1, rankFields: ["t"], maxTokensPerDoc: 2, minScore: 0.5, deadlineMs: 3, returnDocuments: true, rawScores: true },
    { top_n: 1, rank_fields: ["t"], max_tokens_per_doc: 2, min_score: 0.5, deadline_ms: 3, return_documents: true, raw_scores: true },
  ];
  expect(read({ ...asked, ...snake })).toEqual(read({ ...asked, ...camel }));
  expect(() => read({ ...asked, topN: 1, top_n: 1 })).toThrow("topN in two spellings");
  expect(read({ ...asked, topN: null, top_n: 1 }).engine.topN).toBe(1);
});

test("numbers larger than the engine's are what they mean", () => {
  const { topN, maxTokensPerDoc } = read({ ...asked, topN: 1e15, maxTokensPerDoc: Number.MAX_SAFE_INTEGER }).engine;
  expect([topN, maxTokensPerDoc]).toEqual([2, 2 ** 31 - 1]);
});

test("a cascade is two whole numbers in either spelling", () => {
  const cascade = { maxTokens: 128, keep: 20 };
  for (const given of [cascade, { max_tokens: 128, keep: 20 }]) {
    expect(read({ ...asked, cascade: given }).engine).toEqual({ ...asked, cascade });
  }
  expect(read({ ...asked, cascade: null }).engine).toEqual(asked);
  for (const [given, message] of [
    [{ maxTokens: 128 }, "cascade lacks maxTokens or keep"],
    [{ ...cascade, keep: 0 }, "keep is 0"],
    [{ ...cascade, topN: 1 }, 'cascade has no option "topN"'],
    [20, "cascade is 20"],
    [[128, 20], "cascade is a list of 2, not an object"],
  ]) {
    expect(() => read({ ...asked, cascade: given })).toThrow(expect.objectContaining({ code: "invalid_input", message }));
  }
});

test("documents are read as JSON carries them, and given back as they were", () => {
  const object = { b: 1, a: undefined, c: { toJSON: () => "inner" } };
  const { engine, documents } = read({ query: "q", documents: ["text", object, { toJSON: () => "outer" }] });
  expect(engine.documents).toEqual(["text", { b: 1, c: "inner" }, "outer"]);
  expect(documents[1]).toBe(object);
});

test("a list that its owner changes while the request runs is answered as it was", () => {
  const documents = ["a", "b"];
  const { documents: kept } = read({ query: "q", documents });
  documents.length = 0;
  expect(kept).toEqual(["a", "b"]);
});

test.each([
  ["topN is 0", "a whole number, 1 or more", { topN: 0 }],
  ["top_n is NaN", "a whole number, 1 or more", { top_n: NaN }],
  ["minScore is -1", "a score from 0 to 1", { minScore: -1 }],
  ["rankFields is a list of 0", "a list of at least one field, or leave it out", { rankFields: [] }],
  ["query is \" \"", "the text to search for", { query: " " }],
  ["documents is a list of 0", "a list of at least one string or object", { documents: [] }],
  ["document 1 is null", "a string, or an object of fields", { documents: ["a", null] }],
  ["document 0 is undefined", "a string, or an object of fields", { documents: [, "a"] }],
  ["signal is an object", "an AbortSignal", { signal: {} }],
])("%s: pass %s", (message, expected, options) => {
  const error = (() => {
    try {
      read({ ...asked, ...options });
    } catch (error) {
      return error;
    }
  })();
  expect(error).toMatchObject({ name: "RerankError", code: "invalid_input", message, hint: `pass ${expected}` });
});

test("a name that is none is refused with the one that was meant", () => {
  const refused = (name: string) => expect(() => read({ ...asked, [name]: 1 }));
  refused("top_k").toThrow(expect.objectContaining({ hint: "did you mean topN?" }));
  refused("topn").toThrow(expect.objectContaining({ hint: "did you mean topN?" }));
  refused("constructor").toThrow('no option "constructor"');
});

test("messages show the beginning of a long text only", () => {
  expect(() => read({ ...asked, topN: "x".repeat(1000) })).toThrow(/^topN is "x{40}…"$/);
});

test("pairs are two strings each", () => {
  expect(readPairs([["q", "d"], ["", ""]], { maxLength: 1e12 })).toEqual({ pairs: [["q", "d"], ["", ""]], maxLength: 2 ** 31 - 1 });
  for (const pairs of [[["q"]], [["q", 1]], ["qd"], [, ["q", "d"]]]) {
    expect(() => readPairs(pairs as [string, string][], {})).toThrow(/^pair 0 is/);
  }
});
