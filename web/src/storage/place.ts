import { RerankError } from "../errors.js";

export const CONFIG = "config.json";
export const TOKENIZER = "tokenizer.json";
export const WEIGHTS = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

/** The address of a file in a folder; the folder's query, if any, goes along. */
export function joinAddress(folder: string, name: string): string {
  const address = new URL(folder);
  const path = name.split("/").map(encodeURIComponent).join("/");
  address.pathname = `${address.pathname.replace(/\/$/, "")}/${path}`;
  return address.href;
}

/** The last part of an address' path, or of a path. */
export function lastPart(path: string): string {
  const [name = ""] = /[^/]+(?=\/?$)/.exec(path) ?? [];
  return decodeURIComponent(name);
}

/** The weight files among `names`: one, or the shards that an index names; undefined if there are none. */
export async function weightNames(
  names: readonly string[],
  readIndex: () => Promise<unknown>,
): Promise<string[] | undefined> {
  if (names.includes(WEIGHTS)) return [WEIGHTS];
  return names.includes(INDEX) ? shardNames(await readIndex()) : undefined;
}

/** The weight files that an index names, in order. */
export function shardNames(index: unknown): string[] {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  const names = typeof map === "object" && map !== null ? [...new Set<unknown>(Object.values(map))] : [];
  // Nothing that would lead out of the folder.
  const isPlain = (name: unknown): name is string => typeof name === "string" && /^[\w-][\w.-]*\.safetensors$/.test(name);
  if (names.length > 0 && names.every(isPlain)) return names.sort();
  throw new RerankError("model_unreadable", `${INDEX} names no shards`, "get it again from where it came from");
}
