// Two orders of the same documents, and how far each document moved.

/** @typedef {import("../../src/types.js").RerankResult} RerankResult */
/** @typedef {{ place: number, score: number | undefined, move: number | undefined }} Row */

/**
 * The reranked order while or after a run: scored documents best first, the others behind them as the first stage
 * had them. `place` counts from 0 in the first stage; a positive `move` is upwards; both score and move are
 * undefined where the model has not been yet.
 * @param {number} count documents that were given to the model, in first-stage order
 * @param {readonly RerankResult[]} results
 * @returns {Row[]}
 */
export function rerankedRows(count, results) {
  const scored = results.filter((result) => typeof result.relevanceScore === "number");
  /** @type {Row[]} */
  const rows = scored.map(({ index, relevanceScore }, rank) => ({
    place: index,
    score: relevanceScore,
    move: index - rank,
  }));
  const seen = new Set(scored.map((result) => result.index));
  for (let place = 0; place < count; place += 1) {
    if (!seen.has(place)) rows.push({ place, score: undefined, move: undefined });
  }
  return rows;
}

/** @param {number | undefined} move */
export function moveMark(move) {
  if (move === undefined) return "";
  return move > 0 ? `▲${move}` : move < 0 ? `▼${-move}` : "–";
}

/**
 * The same for ears.
 * @param {number | undefined} move
 */
export function moveWords(move) {
  if (move === undefined) return "not scored yet";
  return move > 0 ? `up ${move}` : move < 0 ? `down ${-move}` : "same place";
}
