// The demo page's parts that need no browser: the first stage, the reading of documents, the moves.
import assert from "node:assert/strict";
import { test } from "node:test";

import { B, Bm25, K1 } from "../../web/demo/src/bm25.js";
import { csvRecords } from "../../web/demo/src/csv.js";
import { DocumentError, parseDocuments, pastedDocuments, readDocuments, textOf } from "../../web/demo/src/documents.js";
import { moveMark, moveWords, rerankedRows } from "../../web/demo/src/ranking.js";
import { words } from "../../web/demo/src/words.js";

const TEXTS = [
  "the quick brown fox jumps over the lazy dog",
  "lazy dogs sleep all day",
  "a quick brown dog and a quick red fox",
  "foxes and dogs",
  "the day the dog slept the fox slept too and the day went on",
];
// bm25s 0.3.16, method="lucene", dtype="float64", words split at spaces.
const KNOWN = [
  { k1: 1.2, b: 0.75, query: "quick fox", scores: [0.611660643497, 0, 0.761664465909, 0, 0.187477043733] },
  { k1: 1.2, b: 0.75, query: "lazy dog day", scores: [0.611660643497, 0.940100657561, 0.233079567884, 0, 0.639331875916] },
  { k1: 1.2, b: 0.75, query: "dog dog fox", scores: [0.699238703653, 0, 0.699238703653, 0, 0.562431131199] },
  { k1: 0.9, b: 0.4, query: "quick fox", scores: [0.727231484877, 0, 0.871664855332, 0, 0.248385484209] },
  { k1: 0.9, b: 0.4, query: "lazy dog day", scores: [0.727231484877, 0.992032563574, 0.277119023513, 0, 0.800731690741] },
  { k1: 2, b: 1, query: "quick fox", scores: [0.435220073257, 0, 0.577830365315, 0, 0.119777000163] },
  { k1: 1.5, b: 0, query: "lazy dog day", scores: [0.565786095235, 0.700374989883, 0.215598600293, 0, 0.71586645021] },
];
const split = (text) => text.split(" ");

test("the first stage gives the scores of bm25s", () => {
  for (const { k1, b, query, scores } of KNOWN) {
    const found = new Bm25(TEXTS, { k1, b, split }).scores(query);
    // Twelve digits are written down above.
    scores.forEach((score, index) => assert.ok(Math.abs(found[index] - score) < 1e-11, `${query} ${index} ${found[index]}`));
  }
});

test("the first stage uses Lucene's k1 and b", () => {
  assert.deepEqual([K1, B], [1.2, 0.75]);
  assert.deepEqual(new Bm25(TEXTS, { split }).scores("quick fox"), new Bm25(TEXTS, { split, k1: 1.2, b: 0.75 }).scores("quick fox"));
});

test("texts with equal scores keep their order", () => {
  assert.deepEqual(new Bm25(["b", "a b", "c", "a b"], { split }).order("a").map(({ index }) => index), [1, 3, 0, 2]);
  assert.deepEqual(new Bm25([]).order("anything"), []);
});

test("words are lower-cased, without stop words and without a plural s", () => {
  assert.deepEqual(words("The Queries of Buses, foxes and glass: ＤＡＴＡ 3.5"), ["query", "buse", "foxe", "glass", "data", "3", "5"]);
  assert.deepEqual(words("Straße Überraschung naïve"), ["straße", "überraschung", "naïve"]);
  assert.deepEqual(words("人工知能の研究").includes("研究"), true);
  assert.deepEqual(words("  …!? "), []);
});

test("pasted text is split at blank lines, or into lines where there are none", () => {
  assert.deepEqual(pastedDocuments("one\ntwo\r\nthree\n"), ["one", "two", "three"]);
  assert.deepEqual(pastedDocuments("one\nstill one\n \ntwo"), ["one\nstill one", "two"]);
  assert.deepEqual(pastedDocuments('{"a":1}\n{"a":2}'), [{ a: 1 }, { a: 2 }]);
  assert.deepEqual(pastedDocuments('["x", {"t": "y"}]'), ["x", { t: "y" }]);
  assert.deepEqual(pastedDocuments("[1] a footnote\n{not json}"), ["[1] a footnote", "{not json}"]);
  assert.deepEqual(pastedDocuments(" \n\n"), []);
});

test("Markdown becomes one document a heading", () => {
  const text = "before\n\n# One #\ntext\n\nmore\n```\n# not a heading\n```\n## Two\n";
  assert.deepEqual(parseDocuments("a.md", text), ["before", "One\ntext\n\nmore\n```\n# not a heading\n```", "Two"]);
  assert.deepEqual(parseDocuments("a.MD", "one\n\ntwo"), ["one", "two"]);
});

test("CSV is read with quotes, line breaks in fields, and any of three delimiters", () => {
  assert.deepEqual(parseDocuments("a.csv", 'title,text\r\n"A, ""b""","two\nlines"\r\n\r\nC,d'), [
    { title: 'A, "b"', text: "two\nlines" },
    { title: "C", text: "d" },
  ]);
  assert.deepEqual(parseDocuments("a.csv", 'a;b\n"1,5";2'), [{ a: "1,5", b: "2" }]);
  assert.deepEqual(parseDocuments("a.tsv", "a\tb\n1\t2,3"), [{ a: "1", b: "2,3" }]);
  assert.deepEqual(parseDocuments("a.csv", "text\nplain\n"), ["plain"]);
  assert.deepEqual(csvRecords('a,"never closed\nb', ","), [["a", "never closed\nb"]]);
});

test("JSON Lines keep objects and their field order", () => {
  const [first] = parseDocuments("a.jsonl", '{"title":"T","_id":"7","body":"B"}\n"text"\n');
  assert.deepEqual(Object.keys(first), ["title", "_id", "body"]);
  assert.equal(textOf(first), "title: T\nbody: B");
  assert.equal(textOf({ _id: "7", text: "only this" }), "only this");
  assert.throws(() => parseDocuments("a.jsonl", '{"a":1}\n{"a":'), { message: /a\.jsonl is not JSON at line 2/ });
  assert.throws(() => parseDocuments("a.jsonl", "7"), { message: /a document is a string or an object/ });
});

test("files that are not text, or empty, are refused by name", async () => {
  const bad = new File([new Uint8Array([0xff, 0xfe, 0x41])], "scan.txt");
  await assert.rejects(readDocuments(bad), (error) => error instanceof DocumentError && /scan\.txt is not UTF-8/.test(error.message));
  await assert.rejects(readDocuments(new File(["\n"], "empty.txt")), /empty\.txt holds no text/);
  assert.deepEqual(await readDocuments(new File(["\ufeffone\ntwo"], "bom.txt")), ["one", "two"]);
});

test("a row says how far its document moved, and documents without a score stay behind in their order", () => {
  const rows = rerankedRows(4, [{ index: 2, relevanceScore: 0.9 }, { index: 0, relevanceScore: 0.5 }]);
  assert.deepEqual(rows.map((row) => row.place), [2, 0, 1, 3]);
  assert.deepEqual(rows.map((row) => moveMark(row.move)), ["▲2", "▼1", "", ""]);
  assert.deepEqual([2, -1, 0, undefined].map(moveWords), ["up 2", "down 1", "same place", "not scored yet"]);
  // After a deadline results carry documents without a score.
  assert.deepEqual(rerankedRows(2, [{ index: 1, relevanceScore: 0.1 }, { index: 0 }]).map((row) => row.score), [0.1, undefined]);
});
