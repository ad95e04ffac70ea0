// The first stage: BM25 in memory, as Robertson & Zaragoza, "The Probabilistic Relevance Framework" (2009), give it,
// with Lucene's idf, which is never negative.

import { words } from "./words.js";

/** How soon more occurrences of a word stop counting; Lucene's default. */
export const K1 = 1.2;
/** How much a document's length counts, from 0 to 1; Lucene's default. */
export const B = 0.75;

/** @typedef {{ index: number, score: number }} Hit */

/** An inverted index over texts. */
export class Bm25 {
  /** @type {Map<string, { index: number, count: number }[]>} */
  #postings = new Map();
  /** @type {number[]} */
  #lengths = [];

  /**
   * @param {readonly string[]} texts
   * @param {{ k1?: number, b?: number, split?: (text: string) => string[] }} [options]
   */
  constructor(texts, { k1 = K1, b = B, split = words } = {}) {
    this.k1 = k1;
    this.b = b;
    this.split = split;
    texts.forEach((text, index) => this.#add(index, split(text)));
    const total = this.#lengths.reduce((sum, length) => sum + length, 0);
    this.averageLength = total / Math.max(texts.length, 1);
  }

  /**
   * @param {number} index
   * @param {string[]} terms
   */
  #add(index, terms) {
    this.#lengths.push(terms.length);
    const counts = new Map();
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
    for (const [term, count] of counts) {
      const posting = this.#postings.get(term);
      if (posting) posting.push({ index, count });
      else this.#postings.set(term, [{ index, count }]);
    }
  }

  /**
   * A word that stands in the query twice counts twice.
   * @param {string} query
   * @returns {Float64Array} one score a text, 0 where no word is shared
   */
  scores(query) {
    const scores = new Float64Array(this.#lengths.length);
    for (const term of this.split(query)) {
      const posting = this.#postings.get(term) ?? [];
      const idf = Math.log(1 + (scores.length - posting.length + 0.5) / (posting.length + 0.5));
      for (const { index, count } of posting) {
        const length = /** @type {number} */ (this.#lengths[index]) / this.averageLength;
        scores[index] = /** @type {number} */ (scores[index]) + (idf * count) / (count + this.k1 * (1 - this.b + this.b * length));
      }
    }
    return scores;
  }

  /**
   * All texts, best first; equal scores in the order of the texts.
   * @param {string} query
   * @returns {Hit[]}
   */
  order(query) {
    const hits = Array.from(this.scores(query), (score, index) => ({ index, score }));
    return hits.sort((a, b) => b.score - a.score || a.index - b.index);
  }
}
