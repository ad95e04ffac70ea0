// What was measured: time, tokens, download and memory.

import { element, made } from "./dom.js";
import { counted, duration, megabytes } from "./format.js";

/** @typedef {import("../../src/types.js").ModelInfo} ModelInfo */
/** @typedef {import("../../src/types.js").Support} Support */
/** @typedef {import("../../src/types.js").RerankMeta} RerankMeta */

/** In the order of the page; what is not known yet is left out. */
const NAMES = /** @type {const} */ ([
  "Model",
  "Runs on",
  "Last run",
  "Speed",
  "Work",
  "Model files",
  "Weights",
  "Memory of the page",
  "Kept for offline",
  "GPU",
  "Processor",
]);

export class Figures {
  /** @type {Map<typeof NAMES[number], string>} */
  #lines = new Map();

  /** @param {Support} support */
  found({ webgpu, adapter, simd }) {
    const gpu = adapter ? `${adapter.description}${adapter.software ? ", in software" : ""}` : "none";
    this.#lines.set("GPU", webgpu || !adapter ? gpu : `${gpu}, which lacks what is needed`);
    this.#lines.set("Processor", simd ? "WebAssembly with SIMD" : "no WebAssembly SIMD, which is needed");
    this.#draw();
  }

  /**
   * @param {ModelInfo} info
   * @param {import("./download.js").Download} download
   */
  loaded(info, download) {
    this.#lines.set("Model", info.name);
    this.#lines.set("Runs on", info.device === "webgpu" ? `WebGPU, ${info.adapter}` : "WebAssembly");
    if (download.loaded > 0) {
      this.#lines.set("Model files", `${megabytes(download.loaded)} read in ${duration(download.elapsedMs)}`);
    }
    this.#lines.set("Weights", `${megabytes(info.weightBytes)}; ${megabytes(info.keptBytes)} as ${info.dtype}`);
    this.#draw();
  }

  /**
   * @param {RerankMeta} meta
   * @param {number} documents
   * @param {number} ms as the page saw it
   */
  ran(meta, documents, ms) {
    this.#lines.set("Last run", `${duration(ms)}, ${counted(documents, "document")}`);
    this.#lines.set("Speed", `${((documents / ms) * 1000).toPrecision(3)} documents a second`);
    const { inputTokens } = meta.tokens;
    this.#lines.set("Work", `${counted(inputTokens, "token")} in ${counted(meta.usage.batches, "pass", "passes")}`);
    this.#draw();
  }

  /** What the browser tells about memory and storage; it may take a while, or tell nothing. */
  async measureMachine() {
    const { usage } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
    if (usage) this.#lines.set("Kept for offline", megabytes(usage));
    this.#draw();
    const bytes = await pageMemory();
    this.#lines.set("Memory of the page", bytes ? megabytes(bytes) : "not told here");
    this.#draw();
  }

  #draw() {
    const pairs = NAMES.filter((name) => this.#lines.has(name)).map((name) => {
      const line = made("div");
      line.append(made("dt", name), made("dd", this.#lines.get(name)));
      return line;
    });
    element("figure-list", HTMLElement).replaceChildren(...pairs);
  }
}

/**
 * Bytes of this page and its workers. Browsers tell them only to pages that are cross-origin isolated.
 * @returns {Promise<number | undefined>}
 */
async function pageMemory() {
  const clock = /** @type {Performance & { measureUserAgentSpecificMemory?: () => Promise<{ bytes: number }> }} */ (performance);
  if (!globalThis.crossOriginIsolated || !clock.measureUserAgentSpecificMemory) return undefined;
  try {
    return (await clock.measureUserAgentSpecificMemory()).bytes;
  } catch {
    return undefined;
  }
}
