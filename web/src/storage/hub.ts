import { RerankError } from "../errors.js";
import type { ModelDefinition, ModelFile } from "../types.js";
import { MODELS } from "./models.generated.js";
import { persist, readJson } from "./network.js";
import { CONFIG, INDEX, TOKENIZER, joinAddress, lastPart, weightNames } from "./place.js";

/** A model of models.json. */
export interface KnownModel {
  name: string;
  aliases: string[];
  /** Its Hugging Face repository, `owner/name`. */
  repo: string;
  /** Branch, tag or commit. */
  revision: string;
  maxTokens?: number;
  window: "cohere" | "jina";
  languages: "en" | "multilingual";
  files: ({ path: string } & Facts)[];
}

/** What is known of a file before it is downloaded. */
export type Facts = Pick<ModelFile, "bytes" | "sha256">;

/** A repository at one revision, or only one GGUF file of it. */
export interface Repository {
  repo: string;
  revision: string;
  file?: string;
}

export const HUB = "https://huggingface.co";

/** The model of this name or alias, in any case. */
export function findModel(name: string): KnownModel | undefined {
  const wanted = name.toLowerCase();
  return MODELS.find(({ name, aliases }) => [name, ...aliases].some((known) => known.toLowerCase() === wanted));
}

/** The error of a name that names nothing, with the known ones, those that share most with it first. */
export function unknownModel(name: string): RerankError {
  const pairs = (text: string) => Array.from(text.toLowerCase().slice(1), (letter, at) => text[at]?.toLowerCase() + letter);
  const shared = (known: string) => pairs(name).filter((pair) => known.toLowerCase().includes(pair)).length;
  const names = MODELS.map((model) => model.name).sort((left, right) => shared(right) - shared(left));
  const hint = `known are ${names.join(", ")}, besides addresses and Hugging Face repositories as owner/name`;
  return new RerankError("model_not_found", `there is no model ${JSON.stringify(name)}`, hint);
}

/** What `owner/name` or `owner/name@revision` names; undefined if this is neither. */
export function parseRepository(text: string): Repository | undefined {
  const [, repo, revision = "main"] = /^(\w[\w.-]*\/\w[\w.-]*)(?:@(.+))?$/.exec(text) ?? [];
  return repo === undefined || revision.split("/").includes("..") ? undefined : { repo, revision };
}

/** What an address on the hub names: a repository's page, or one of its GGUF files. */
export function parseHubAddress({ origin, pathname }: URL, base: string): Repository | undefined {
  const address = `${origin}${decodeURI(pathname)}`;
  if (!address.startsWith(`${base}/`)) return undefined;
  const parts = /^([^/]+\/[^/]+)(?:\/(?:resolve|blob|tree)\/([^/]+)(?:\/(.+\.gguf))?)?\/?$/;
  const [, repo, revision, file] = parts.exec(address.slice(base.length + 1)) ?? [];
  // On a server of one's own two folders are not yet a repository.
  if (repo === undefined || (revision === undefined && base !== HUB)) return undefined;
  return { repo, revision: revision ?? "main", ...(file !== undefined && { file }) };
}

/** The folder of a repository's files. */
export function folderOf({ repo, revision }: Repository, base: string): string {
  return `${base}/${repo}/resolve/${encodeURIComponent(revision)}/`;
}

/** Where the hub lists a repository's files. */
export function listAddress({ repo, revision }: Repository, base: string): string {
  return `${base}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
}

/**
 * A repository as the hub lists it, at the one commit that the revision stands for now, with the hashes of
 * its large files. Undefined where nothing is listed: on a plain mirror of the files.
 */
export async function listedDefinition(
  repository: Repository,
  base: string,
  signal: AbortSignal | undefined,
): Promise<ModelDefinition | undefined> {
  const listing = await readListing(listAddress(repository, base), signal);
  if (!listing) return undefined;
  const { repo, file } = repository;
  const folder = folderOf({ repo, revision: listing.commit }, base);
  const names = file === undefined ? await wholeModel(listing.files, repo, folder, signal) : [file];
  const missing = names.filter((name) => !listing.files.has(name));
  if (missing.length > 0) {
    const hint = "check the name; Crossrank reads config.json, tokenizer.json and *.safetensors, or one *.gguf";
    throw new RerankError("model_not_found", `${repo} has no ${missing.join(", ")}`, hint);
  }
  const files = names.map((name) => [lastPart(name), { source: joinAddress(folder, name), ...listing.files.get(name) }]);
  return { name: file === undefined ? repo : lastPart(file).replace(/\.gguf$/, ""), files: Object.fromEntries(files) };
}

async function wholeModel(
  files: Map<string, Facts>,
  repo: string,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const readIndex = () => persist(signal, () => readJson(joinAddress(folder, INDEX), { signal }));
  const weights = await weightNames([...files.keys()], readIndex);
  if (weights) return [CONFIG, TOKENIZER, ...weights];
  const gguf = [...files.keys()].filter((name) => name.endsWith(".gguf")).map((name) => joinAddress(folder, name));
  const hint = gguf.length > 0 ? `give the address of one file: ${gguf.join(", ")}` : "take another repository";
  throw new RerankError("model_not_found", `${repo} has no weights in safetensors`, hint);
}

async function readListing(
  address: string,
  signal: AbortSignal | undefined,
): Promise<{ commit: string; files: Map<string, Facts> } | undefined> {
  const answer = await readJson(address, { signal }).catch((error: unknown) => {
    // A hub that cannot be reached is found out by the next request.
    if (error instanceof RerankError) return undefined;
    throw error;
  });
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha) || !Array.isArray(siblings)) return undefined;
  const listed = siblings as { rfilename: string; size?: number; lfs?: { sha256: string } }[];
  const files = listed.map(({ rfilename, size, lfs }): [string, Facts] => [
    rfilename,
    { ...(size !== undefined && { bytes: size }), ...(lfs && { sha256: lfs.sha256 }) },
  ]);
  return { commit: sha, files: new Map(files) };
}
