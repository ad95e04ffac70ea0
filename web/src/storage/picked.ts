import { RerankError } from "../errors.js";
import type { ModelDefinition } from "../types.js";
import { CONFIG, INDEX, TOKENIZER, weightNames } from "./place.js";

/** The model among the files a user picked: one GGUF file, or config.json, tokenizer.json and the weights. */
export async function definitionOfPicked(picked: readonly File[]): Promise<ModelDefinition> {
  const files = new Map(picked.map((file) => [file.name, file]));
  const names = [...files.keys()];
  const gguf = names.filter((name) => name.endsWith(".gguf"));
  const index = files.get(INDEX);
  const weights =
    gguf.length > 0
      ? gguf
      : ((await weightNames(names, async () => parse(await index?.text()))) ??
        names.filter((name) => name.endsWith(".safetensors")).sort());
  const wanted = gguf.length > 0 ? gguf : [CONFIG, TOKENIZER, ...weights];
  const missing = wanted.filter((name) => !files.has(name));
  if (missing.length > 0 || weights.length === 0 || gguf.length > 1) {
    const found = gguf.length > 1 ? `are ${gguf.length} GGUF files` : `have no ${missing[0] ?? "*.safetensors"}`;
    const message = `the picked files ${found}`;
    const hint = "pick config.json, tokenizer.json and *.safetensors of one model together, or one *.gguf";
    throw new RerankError("invalid_input", message, hint);
  }
  const entries = [...files].filter(([name]) => wanted.includes(name));
  return { name: nameOf(files.get(weights[0] ?? "")), files: Object.fromEntries(entries.map(toFile)) };
}

const toFile = ([name, file]: [string, File]) => [name, { source: file, bytes: file.size }];

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch (cause) {
    throw new RerankError("model_unreadable", `${INDEX} is not JSON`, "pick another copy of it", { cause });
  }
}

/** The folder that was picked, if it was one; or the file's name. */
function nameOf(file: File | undefined): string {
  const folders = file?.webkitRelativePath?.split("/").slice(0, -1) ?? [];
  return folders.at(-1) ?? file?.name.replace(/\.(gguf|safetensors)$/, "") ?? "";
}
