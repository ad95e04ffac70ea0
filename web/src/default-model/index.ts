import type { ModelDefinition } from "../types.js";
import { ABOUT, CONFIG, CONFIG_JSON, TOKENIZER, WEIGHTS } from "./generated.js";

/**
 * The model that comes with this package: ms-marco-MiniLM-L-12-v2 in q8, for English, 35 MB. A build contains
 * its files only if this module is imported.
 */
const model: ModelDefinition = {
  ...ABOUT,
  files: {
    // Not by its address: bundlers make one of type `data:` of a file so small, which many pages forbid to read.
    "config.json": { source: new Blob([CONFIG_JSON], { type: "application/json" }), ...CONFIG },
    // Written out: bundlers find files by this form.
    "tokenizer.json": { source: new URL("./files/tokenizer.json", import.meta.url).href, ...TOKENIZER },
    "model.safetensors": { source: new URL("./files/model.safetensors", import.meta.url).href, ...WEIGHTS },
  },
};

export default model;
