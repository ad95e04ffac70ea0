// The loaded model. A change of model, device or weights loads anew.

import { Reranker } from "crossrank";

/**
 * @typedef {object} Settings
 * @property {import("../../src/types.js").ModelChoice} model
 * @property {import("../../src/types.js").DeviceChoice} device
 * @property {import("../../src/types.js").Dtype} [dtype]
 */

export class Session {
  /** @type {Reranker | undefined} */
  reranker;
  /** @type {Settings | undefined} */
  #settings;

  /** @param {Settings} settings */
  holds(settings) {
    const held = this.#settings;
    return this.reranker !== undefined && held?.model === settings.model && held.device === settings.device && held.dtype === settings.dtype;
  }

  /**
   * @param {Settings} settings
   * @param {{ signal: AbortSignal, onProgress: (event: import("../../src/types.js").ProgressEvent) => void }} watch
   * @returns {Promise<Reranker>}
   */
  async load(settings, { signal, onProgress }) {
    if (this.reranker && this.holds(settings)) return this.reranker;
    await this.close();
    const { model, ...options } = settings;
    this.reranker = await Reranker.load(model, { ...options, signal, onProgress });
    this.#settings = settings;
    return this.reranker;
  }

  async close() {
    const old = this.reranker;
    this.reranker = undefined;
    this.#settings = undefined;
    await old?.dispose();
  }
}
