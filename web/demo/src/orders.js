// One order on the page: a list of rows, kept by document so that a row moves instead of being drawn again.

import { element, made, motionAllowed } from "./dom.js";
import { moveMark, moveWords } from "./ranking.js";

/**
 * @typedef {object} RowContent
 * @property {number} key the document's place in the first stage
 * @property {string} text
 * @property {string} source the file it came from, or nothing
 * @property {string} score
 * @property {number} share from 0 to 1, the length of the bar
 * @property {number | undefined} [move]
 * @property {boolean} [moves] whether this order shows moves
 */

export class OrderList {
  /** @type {Map<number, HTMLElement>} */
  rows = new Map();

  /** @param {string} id */
  constructor(id) {
    this.list = element(id, HTMLOListElement);
    this.template = element("row", HTMLTemplateElement);
    new ResizeObserver(() => this.#offerWhole()).observe(this.list);
  }

  /** @param {readonly RowContent[]} contents in their order */
  show(contents) {
    const before = new Map(Array.from(this.rows, ([key, row]) => [key, row.offsetTop]));
    const kept = new Set(contents.map((content) => content.key));
    for (const [key, row] of this.rows) {
      if (!kept.has(key)) this.#remove(key, row);
    }
    contents.forEach((content, rank) => {
      const row = this.rows.get(content.key) ?? this.#add(content);
      fill(row, content, rank);
      if (this.list.children[rank] !== row) this.list.insertBefore(row, this.list.children[rank] ?? null);
    });
    this.#offerWhole();
    if (motionAllowed()) this.#glide(before);
  }

  clear() {
    for (const [key, row] of this.rows) this.#remove(key, row);
  }

  /**
   * @param {number} key
   * @param {HTMLElement} row
   */
  #remove(key, row) {
    row.remove();
    this.rows.delete(key);
  }

  /** @param {RowContent} content */
  #add(content) {
    const row = /** @type {HTMLElement} */ (
      /** @type {DocumentFragment} */ (this.template.content.cloneNode(true)).firstElementChild
    );
    row.dataset.key = String(content.key);
    part(row, ".text").textContent = content.text;
    part(row, ".source").textContent = content.source;
    part(row, ".more").addEventListener("click", () => toggle(row));
    this.rows.set(content.key, row);
    return row;
  }

  /** Texts are cut to two lines; a button shows the rest where there is more. */
  #offerWhole() {
    const closed = [...this.rows.values()].filter((row) => !row.classList.contains("open"));
    const isCut = closed.map((row) => part(row, ".text").scrollHeight > part(row, ".text").clientHeight + 1);
    closed.forEach((row, at) => (part(row, ".more").hidden = !isCut[at]));
  }

  /**
   * Rows glide from where they were.
   * @param {Map<number, number>} before
   */
  #glide(before) {
    for (const [key, row] of this.rows) {
      const top = before.get(key);
      const distance = top === undefined ? 0 : top - row.offsetTop;
      if (distance === 0) continue;
      const from = { transform: `translateY(${distance}px)` };
      row.animate([from, { transform: "none" }], { duration: 280, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
  }
}

/**
 * @param {HTMLElement} row
 * @param {RowContent} content
 * @param {number} rank from 0
 */
function fill(row, content, rank) {
  part(row, ".number").textContent = String(rank + 1);
  part(row, ".score").textContent = content.score;
  row.style.setProperty("--share", content.share.toFixed(3));
  row.classList.toggle("waiting", content.score === "");
  row.classList.toggle("unmatched", content.share === 0);
  if (!content.moves) return;
  const move = part(row, ".move");
  move.replaceChildren(
    made("span", moveMark(content.move), { "aria-hidden": "true" }),
    made("span", moveWords(content.move), { class: "for-ears" }),
  );
  row.classList.toggle("up", (content.move ?? 0) > 0);
}

/** @param {HTMLElement} row */
function toggle(row) {
  const open = row.classList.toggle("open");
  const button = part(row, ".more");
  button.textContent = open ? "Less" : "More";
  button.setAttribute("aria-expanded", String(open));
}

/**
 * @param {HTMLElement} row
 * @param {string} selector
 */
function part(row, selector) {
  return /** @type {HTMLElement} */ (row.querySelector(selector));
}
