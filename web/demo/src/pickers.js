// Model and machine: what can be chosen, and what the page says about it.

import { Reranker } from "crossrank";
import defaultModel from "crossrank/default-model";

import { element, made } from "./dom.js";
import { megabytes, roughly, sentence } from "./format.js";

/**
 * @typedef {object} KnownModel a line of models/models.json
 * @property {string} name
 * @property {string} repo
 * @property {string} licence
 * @property {string | null} licence_note
 * @property {"en" | "multilingual"} languages
 * @property {number} max_tokens
 * @property {number} parameters
 * @property {{ path: string, bytes: number | null }[]} files
 */

const OWN_FILES = "own files";
const ADDRESS = "address";

/** Files that are a model's, not documents. */
export const isWeights = (/** @type {{ name: string }} */ { name }) => /\.(safetensors|gguf)$/i.test(name);

export class Pickers {
  model = element("model", HTMLSelectElement);
  files = element("model-files", HTMLInputElement);
  address = element("model-address", HTMLInputElement);
  dtype = element("dtype", HTMLSelectElement);
  candidates = element("candidates", HTMLInputElement);
  /** @type {KnownModel[]} */
  #known = [];

  /** @param {{ onCandidates: () => void, onModel: () => void }} listeners */
  constructor({ onCandidates, onModel }) {
    this.model.append(new Option(`${defaultModel.name} (small, English)`, "default", true, true));
    this.model.append(new Option("Files on this computer", OWN_FILES));
    this.model.append(new Option("A repository of huggingface.co", ADDRESS));
    for (const picker of [this.model, this.files, this.dtype, element("devices", HTMLElement)]) {
      picker.addEventListener("change", () => (this.#describe(), onModel()));
    }
    this.address.addEventListener("input", onModel);
    this.candidates.addEventListener("change", onCandidates);
    this.#describe();
  }

  /** Adds the models of the list, once it is here. */
  async listModels() {
    const response = await fetch("models.json");
    this.#known = /** @type {KnownModel[]} */ (await response.json()).filter(({ name }) => name !== "default");
    const group = made("optgroup", "", { label: "From huggingface.co" });
    group.append(...this.#known.map(({ name }) => new Option(name, name)));
    this.model.append(group);
  }

  /** Says what this machine can do, and takes away what it cannot. */
  async describeMachine() {
    const support = await Reranker.support();
    const webgpu = element("devices", HTMLElement).querySelector('input[value="webgpu"]');
    if (webgpu instanceof HTMLInputElement) webgpu.disabled = !support.webgpu;
    const taken = support.device === "webgpu" ? "WebGPU" : "WebAssembly";
    element("device-note", HTMLElement).textContent =
      `Automatic takes ${taken}: about ${roughly(support.estimatedMs)} for 50 documents with the default model.`;
    return support;
  }

  /**
   * Takes a model's own files.
   * @param {readonly File[]} files
   */
  takeFiles(files) {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    this.files.files = transfer.files;
    this.model.value = OWN_FILES;
    element("settings-group", HTMLDetailsElement).open = true;
    this.files.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** @param {string | undefined} note why a GPU was not taken */
  noteDevice(note) {
    if (note !== undefined) element("device-note", HTMLElement).textContent = sentence(note);
  }

  /** @returns {import("./session.js").Settings | string} what to load, or what is missing */
  settings() {
    const checked = element("devices", HTMLElement).querySelector("input:checked");
    const device = /** @type {import("../../src/types.js").DeviceChoice} */ (
      checked instanceof HTMLInputElement ? checked.value : "auto"
    );
    const dtype = /** @type {import("../../src/types.js").Dtype | ""} */ (this.dtype.value);
    const model = this.#choice();
    if (!model) return this.own ? "Choose the model's files first." : "Type the model's repository first.";
    return { model, device, ...(dtype && { dtype }) };
  }

  /** Documents of the first stage that the model reads. */
  get count() {
    const count = Math.floor(this.candidates.valueAsNumber);
    return Number.isFinite(count) ? Math.min(Math.max(count, 1), 1000) : 50;
  }

  /** Whether the model is files on this computer. */
  get own() {
    return this.model.value === OWN_FILES;
  }

  get modelName() {
    /** @type {Record<string, string>} */
    const names = { default: defaultModel.name, [OWN_FILES]: "the chosen files", [ADDRESS]: this.address.value.trim() };
    return names[this.model.value] ?? this.model.value;
  }

  /** Bytes of the chosen model's files, if they are known. */
  get bytes() {
    if (this.model.value === "default") return sum(Object.values(defaultModel.files).map((file) => file.bytes));
    if (this.own) return sum(Array.from(this.files.files ?? [], (file) => file.size));
    return sum(this.#known.find(({ name }) => name === this.model.value)?.files.map((file) => file.bytes) ?? []);
  }

  #choice() {
    if (this.model.value === "default") return defaultModel;
    if (this.own) return this.files.files?.length ? this.files.files : undefined;
    return this.model.value === ADDRESS ? this.address.value.trim() : this.model.value;
  }

  #describe() {
    element("model-files-field", HTMLElement).hidden = !this.own;
    this.address.hidden = this.model.value !== ADDRESS;
    element("model-note", HTMLElement).textContent = this.own ? this.#ownNote() : this.#note();
  }

  #ownNote() {
    const names = Array.from(this.files.files ?? [], (file) => file.name);
    if (names.length > 0) return `${names.join(", ")}: ${megabytes(this.bytes ?? 0)}`;
    return "config.json, tokenizer.json and the safetensors files, or one gguf file. They stay on this computer.";
  }

  #note() {
    if (this.model.value === ADDRESS) return "owner/name, or the address of one gguf file. This page can load from no other host.";
    const known = this.#known.find(({ name }) => name === this.model.value);
    const size = this.bytes ? `${megabytes(this.bytes)}, downloaded once and kept.` : "Size not known beforehand.";
    if (!known) return size;
    const languages = known.languages === "en" ? "English" : "Many languages";
    const licence = known.licence_note ? `${known.licence} (${known.licence_note})` : known.licence;
    return `${languages}, ${known.max_tokens.toLocaleString("en")} tokens. ${licence}. ${size}`;
  }
}

/** @param {readonly (number | null | undefined)[]} sizes */
function sum(sizes) {
  let total = 0;
  for (const size of sizes) {
    if (typeof size !== "number") return undefined;
    total += size;
  }
  return total || undefined;
}
