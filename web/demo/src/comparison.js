// Both orders of the candidates, side by side.

import { element } from "./dom.js";
import { counted, duration, probability } from "./format.js";
import { connectOrders } from "./gutter.js";
import { OrderList } from "./orders.js";
import { rerankedRows } from "./ranking.js";

/** @typedef {ReturnType<import("./collection.js").Collection["best"]>} Candidates */

export class Comparison {
  /** @type {Candidates} */
  candidates = [];
  #firstStage = new OrderList("first-stage-list");
  #reranked = new OrderList("reranked-list");
  #drawLines = connectOrders(this.#firstStage, this.#reranked);

  /**
   * A new first stage; a reranked order of other documents or another query goes.
   * @param {Candidates} candidates best first
   * @param {number} total documents they were chosen from
   * @param {number} elapsedMs
   */
  showFirstStage(candidates, total, elapsedMs) {
    this.candidates = candidates;
    const best = candidates[0]?.score || 1;
    this.#firstStage.clear();
    this.#firstStage.show(
      candidates.map(({ entry, score }, key) => ({
        key,
        text: entry.text,
        source: entry.source,
        score: score > 0 && score < 0.005 ? "<0.01" : score === 0 ? "0" : score.toFixed(2),
        share: score / best,
      })),
    );
    const all = counted(total, "document");
    const shown = candidates.length < total ? `Best ${candidates.length} of ${all}` : all;
    const unmatched = candidates.filter(({ score }) => score === 0).length;
    const rest = unmatched > 0 ? `; ${unmatched.toLocaleString("en")} share no word` : "";
    element("first-stage-note", HTMLElement).textContent = total > 0 ? `${shown}, in ${duration(elapsedMs)}${rest}` : "";
    this.#reranked.clear();
    this.#begun(false);
    this.note("");
  }

  /** @param {string} text what to do for a reranked order */
  invite(text) {
    element("reranked-empty", HTMLElement).textContent = text;
  }

  /** @param {readonly import("../../src/types.js").RerankResult[]} results of all candidates, or of some so far */
  showReranked(results) {
    this.#reranked.show(
      rerankedRows(this.candidates.length, results).map(({ place, score, move }) => ({
        key: place,
        text: this.candidates[place]?.entry.text ?? "",
        source: this.candidates[place]?.entry.source ?? "",
        score: score === undefined ? "" : probability(score),
        share: score ?? 0,
        move,
        moves: true,
      })),
    );
    this.#begun(true);
  }

  /** @param {string} text */
  note(text) {
    element("reranked-note", HTMLElement).textContent = text;
  }

  /** @param {boolean} begun */
  #begun(begun) {
    element("reranked-empty", HTMLElement).hidden = begun;
    document.body.classList.toggle("has-reranked", begun);
    this.#drawLines();
  }
}
