// Words of a text as a first stage counts them: lower-cased, without Lucene's stop words and without a plural s.

// The stop words of Lucene's EnglishAnalyzer, as Anserini and Pyserini use them.
const STOP_WORDS = new Set(
  ("a an and are as at be but by for if in into is it no not of on or such that the their then there these " +
    "they this to was will with").split(" "),
);

// Scripts that write no spaces between words.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}]/u;

/**
 * @param {string} text
 * @returns {string[]} in the order of the text
 */
export function words(text) {
  const plain = text.normalize("NFKC").toLowerCase();
  const all = UNSPACED.test(plain) ? segmented(plain) : plain.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return all.filter((word) => !STOP_WORDS.has(word)).map(withoutPlural);
}

/** @param {string} text */
function segmented(text) {
  const segments = new Intl.Segmenter(undefined, { granularity: "word" }).segment(text);
  return Array.from(segments).filter((part) => part.isWordLike).map((part) => part.segment);
}

/**
 * The S stemmer: Harman, "How effective is suffixing?", JASIS 42(1), 1991.
 * @param {string} word
 */
export function withoutPlural(word) {
  if (word.length < 4) return word;
  if (/[^ea]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (/[^aeo]es$/.test(word)) return word.slice(0, -1);
  return /[^us]s$/.test(word) ? word.slice(0, -1) : word;
}
