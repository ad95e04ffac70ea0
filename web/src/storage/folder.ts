import { RerankError } from "../errors.js";
import type { ModelDefinition } from "../types.js";
import { isThere } from "./local.js";
import { look, persist, readJson, shown } from "./network.js";
import { CONFIG, INDEX, TOKENIZER, WEIGHTS, joinAddress, lastPart, shardNames } from "./place.js";

/** The model in a folder: its weights are one file or, if that is not there, the shards of an index. */
export async function definitionInFolder(folder: string, signal: AbortSignal | undefined): Promise<ModelDefinition> {
  const at = (name: string) => joinAddress(folder, name);
  const weights = (await isIn(at(WEIGHTS), signal)) ? [WEIGHTS] : await shardsIn(folder, signal);
  const files = [CONFIG, TOKENIZER, ...weights].map((name) => [name, { source: at(name) }]);
  return { name: lastPart(new URL(folder).pathname), files: Object.fromEntries(files) };
}

/** The model in one GGUF file. */
export function definitionOfGguf(address: string): ModelDefinition {
  const name = lastPart(new URL(address).pathname);
  return { name: name.replace(/\.gguf$/, ""), files: { [name]: { source: address } } };
}

async function isIn(address: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (address.startsWith("file:")) return isThere(address);
  return (await persist(signal, () => look(address, { signal, cache: "no-store" }))) !== undefined;
}

async function shardsIn(folder: string, signal: AbortSignal | undefined): Promise<string[]> {
  const address = joinAddress(folder, INDEX);
  try {
    return shardNames(await persist(signal, () => readJson(address, { signal, cache: "no-store" })));
  } catch (cause) {
    if (!(cause instanceof RerankError && cause.code === "model_not_found")) throw cause;
    const message = `${shown(folder)} has neither ${WEIGHTS} nor ${INDEX}`;
    throw new RerankError("model_not_found", message, "check the address", { cause });
  }
}
