// Queries and documents of given lengths, the same on every run, of words that are one token each.
import { readFileSync } from "node:fs";

/** Words that a tokenizer.json knows whole; every word of a Unigram model begins with ▁. */
export function knownWords(tokenizerFile) {
  const { model } = JSON.parse(readFileSync(tokenizerFile, "utf8"));
  const words = model.type === "Unigram" ? model.vocab.map(([piece]) => piece).filter((piece) => piece.startsWith("▁"))
    : Object.keys(model.vocab);
  return words.map((word) => word.replace("▁", "")).filter((word) => /^[a-z]{3,}$/.test(word));
}

/** Mulberry32: numbers from 0 to 1. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lengths whose logarithm is normal, around `median`. */
export function lognormalLengths(count, { median = 200, sigma = 0.6, min = 24, max = 512, seed = 1 } = {}) {
  const uniform = random(seed);
  return Array.from({ length: count }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return Math.round(Math.min(max, Math.max(min, median * Math.exp(sigma * normal))));
  });
}

/**
 * A query and one document for each length, which is the pair's in tokens, `special` tokens included: what fits
 * is neither cut nor split, so that every side reads the same.
 */
export function texts(words, lengths, { special, queryWords = 10, seed = 2 }) {
  const uniform = random(seed);
  const text = (count) => Array.from({ length: count }, () => words[Math.floor(uniform() * words.length)]).join(" ");
  return { query: text(queryWords), documents: lengths.map((length) => text(length - special - queryWords)) };
}
