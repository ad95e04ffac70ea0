// How far the files of a model have come, from the events of a load.

/** @typedef {import("../../src/types.js").ProgressEvent} ProgressEvent */

export class Download {
  /** @type {Map<string, { loaded: number, total: number }>} */
  #files = new Map();
  #began = 0;
  #ended = 0;

  /** @param {ProgressEvent} event */
  note(event) {
    this.#began ||= performance.now();
    if (event.status !== "progress") return;
    this.#files.set(event.file, { loaded: event.loaded, total: event.total });
    this.#ended = performance.now();
  }

  get loaded() {
    return this.#sum((file) => file.loaded);
  }

  get total() {
    return this.#sum((file) => file.total);
  }

  /** Milliseconds from the first event to the last. */
  get elapsedMs() {
    return this.#ended - this.#began;
  }

  /** @param {(file: { loaded: number, total: number }) => number} size */
  #sum(size) {
    return Array.from(this.#files.values(), size).reduce((sum, bytes) => sum + bytes, 0);
  }
}
