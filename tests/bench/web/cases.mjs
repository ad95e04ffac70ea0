// Models with the texts they read, and whether two sides agree about them.
import { join } from "node:path";
import { makeModel } from "./models.mjs";
import { knownWords, lognormalLengths, texts } from "./texts.mjs";

/** Models that both sides read. The Jina-shaped one takes three times as long a token: fewer documents, fewer rounds. */
export const MODELS = {
  default: { documents: 50, rounds: 5, dtypes: ["f32", "q8"] },
  jina: { documents: 10, rounds: 2, dtypes: ["f32"] },
};

/** How far logits of the sides may be apart, × max(1, |logit|); in q8 each has steps of its own. */
export const TOLERANCE = { f32: 1e-4, q8: 1 };

/** Special tokens of a pair: [CLS] … [SEP] … [SEP], and <s> … </s></s> … </s>. */
const SPECIAL_TOKENS = { bert: 3, "xlm-roberta": 4 };

/** A model and texts of `lengths` tokens a pair. */
export function makeCase(name, lengths) {
  const words = knownWords(join(makeModel(name), "ours/tokenizer.json"));
  const special = SPECIAL_TOKENS[/^(jina|bge)/.test(name) ? "xlm-roberta" : "bert"];
  return { name, request: texts(words, lengths, { special }), tokens: lengths.reduce((sum, n) => sum + n, 0) };
}

export const raggedCase = (name, count) => makeCase(name, lognormalLengths(count));

/**
 * How far two answers' logits are apart, |Δ| / max(1, |logit|).
 * @throws if that is more than `tolerance`, or documents further apart than that are in another order
 */
export function compare(ours, peer, tolerance = TOLERANCE.f32) {
  const logits = new Map(peer.results.map(({ index, logit }) => [index, logit]));
  const scale = (logit) => Math.max(1, Math.abs(logit));
  const apart = Math.max(...ours.results.map(({ index, logit }) => Math.abs(logit - logits.get(index)) / scale(logit)));
  if (ours.results.length !== peer.results.length || !(apart <= tolerance)) {
    throw new Error(`the sides do not agree: logits are ${apart} apart`);
  }
  ours.results.slice(1).forEach(({ index, logit }, at) => {
    const before = logits.get(ours.results[at].index);
    if (logits.get(index) - before > 2 * tolerance * scale(logit)) throw new Error(`document ${index} is ranked otherwise`);
  });
  return apart;
}
