// The documents on the page: pasted text and chosen files, with the first stage over them.

import { Bm25 } from "./bm25.js";
import { pastedDocuments, readDocuments, textOf } from "./documents.js";

/**
 * @typedef {object} Entry
 * @property {import("../../src/types.js").Document} document
 * @property {string} text
 * @property {string} source
 */
/** @typedef {{ name: string, documents: import("../../src/types.js").Document[] }} ChosenFile */

export class Collection {
  /** @type {ChosenFile[]} */
  files = [];
  /** @type {Entry[]} */
  entries = [];
  #pasted = "";
  #index = new Bm25([]);

  /** @param {string} text */
  paste(text) {
    this.#pasted = text;
    this.#build();
  }

  /**
   * Adds files one by one; what cannot be read is left out.
   * @param {Iterable<File>} files
   * @returns {Promise<string[]>} what was wrong
   */
  async add(files) {
    const problems = [];
    for (const file of files) {
      try {
        this.files.push({ name: file.name, documents: await readDocuments(file) });
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
      }
    }
    this.#build();
    return problems;
  }

  /** @param {ChosenFile} file */
  remove(file) {
    this.files = this.files.filter((other) => other !== file);
    this.#build();
  }

  /**
   * The best of the first stage, best first.
   * @param {string} query
   * @param {number} count
   * @returns {{ entry: Entry, score: number }[]}
   */
  best(query, count) {
    const hits = this.#index.order(query).slice(0, count);
    return hits.map(({ index, score }) => ({ entry: /** @type {Entry} */ (this.entries[index]), score }));
  }

  #build() {
    const pasted = pastedDocuments(this.#pasted).map((document) => entry(document, ""));
    const chosen = this.files.flatMap(({ name, documents }) => documents.map((document) => entry(document, name)));
    this.entries = [...pasted, ...chosen].filter(({ text }) => text.trim() !== "");
    this.#index = new Bm25(this.entries.map(({ text }) => text));
  }
}

/**
 * @param {import("../../src/types.js").Document} document
 * @param {string} source
 * @returns {Entry}
 */
function entry(document, source) {
  return { document, text: textOf(document), source };
}
