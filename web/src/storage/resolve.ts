import { RerankError } from "../errors.js";
import type { CacheChoice, ModelChoice, ModelDefinition, ModelFile } from "../types.js";
import { Cache } from "./cache.js";
import { definitionInFolder, definitionOfGguf } from "./folder.js";
import {
  HUB,
  type KnownModel,
  type Repository,
  findModel,
  folderOf,
  listAddress,
  listedDefinition,
  parseHubAddress,
  parseRepository,
  unknownModel,
} from "./hub.js";
import { definitionOfPicked } from "./picked.js";
import { joinAddress } from "./place.js";

export interface ResolveOptions {
  /** Where Hugging Face repositories are served from. @default "https://huggingface.co" */
  baseUrl?: string | URL | undefined;
  signal?: AbortSignal | undefined;
  /** Where it is noted, for visits without a network, which files a model has. @default "none" */
  cache?: CacheChoice | undefined;
}

interface Context {
  base: string;
  signal: AbortSignal | undefined;
  cache: Cache | undefined;
}

/**
 * Finds the files of a model: by a name of models.json, a Hugging Face repository, the address of a folder or
 * of one GGUF file, or among the files a user picked. The network is asked only where the choice does not say
 * which weight files there are, and what their hashes are.
 *
 * @throws `model_not_found`, `model_unreadable`, `invalid_input`, `integrity_mismatch`, `network`, and the
 * signal's reason.
 */
export async function resolveModel(choice: ModelChoice, options: ResolveOptions = {}): Promise<ModelDefinition> {
  const { baseUrl = HUB, signal, cache = "none" } = options;
  signal?.throwIfAborted();
  if (typeof choice !== "string" && !(choice instanceof URL)) {
    return "files" in choice ? choice : definitionOfPicked(Array.from(choice));
  }
  const base = `${baseUrl}`.replace(/\/+$/, "");
  const context = { base, signal, cache: await Cache.open(cache) };
  const known = typeof choice === "string" ? findModel(choice) : undefined;
  if (known) return knownModel(known, context);
  const address = addressOf(choice);
  const repository = address ? parseHubAddress(address, base) : parseRepository(`${choice}`);
  if (repository) return anyRepository(repository, context);
  if (!address) throw unknownModel(`${choice}`);
  return address.pathname.endsWith(".gguf") ? definitionOfGguf(address.href) : folderModel(address.href, context);
}

/** A choice as a worker can take it: relative addresses are the page's, not those of the worker's script. */
export function absoluteChoice(choice: ModelChoice): string | ModelDefinition | File[] {
  if (choice instanceof URL) return choice.href;
  if (typeof choice === "string") return findModel(choice) ? choice : (addressOf(choice)?.href ?? choice);
  return "files" in choice ? choice : Array.from(choice);
}

/** The address that a choice is; undefined if it can only be a name. */
function addressOf(choice: string | URL): URL | undefined {
  const isAddress = choice instanceof URL || /^(\.{0,2}\/|[a-z][a-z+.-]*:\/)|(\/|\.gguf)$/i.test(choice);
  if (!isAddress) return undefined;
  try {
    return new URL(choice, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch (cause) {
    const hint = "give it whole, with https: or file:";
    throw new RerankError("invalid_input", `${JSON.stringify(`${choice}`)} is not an address`, hint, { cause });
  }
}

async function knownModel({ files, ...model }: KnownModel, context: Context): Promise<ModelDefinition> {
  const { name, repo, revision, maxTokens, window, languages } = model;
  const folder = folderOf({ repo, revision }, context.base);
  const listed = files.map(({ path, ...facts }) => [path, { source: joinAddress(folder, path), ...facts }]);
  const definition = { name, window, languages, ...(maxTokens !== undefined && { maxTokens }) };
  // The hub is asked for what models.json does not know.
  const isComplete = files.every(({ bytes, sha256 }) => bytes !== undefined && sha256 !== undefined);
  const found = isComplete ? undefined : await listedModel({ repo, revision }, context);
  if (!found) return { ...definition, files: Object.fromEntries(listed) };
  const known = new Map(files.map(({ path, ...facts }) => [path, facts]));
  const agreed = Object.entries(found.files).map(([path, file]) => [path, agreedFile(path, file, known.get(path))]);
  return { ...definition, files: Object.fromEntries(agreed) };
}

/** What the hub and models.json know of a file, together. */
function agreedFile(path: string, served: ModelFile, known: Partial<ModelFile> = {}): ModelFile {
  for (const fact of ["bytes", "sha256"] as const) {
    const [right, found] = [known[fact], served[fact]];
    if (right === undefined || found === undefined || right === found) continue;
    const message = `${path} has ${fact} ${found} at the hub where ${right} is right`;
    throw new RerankError("integrity_mismatch", message, "its owner has changed it; name a revision: owner/name@revision");
  }
  return { ...served, ...known };
}

async function anyRepository(repository: Repository, context: Context): Promise<ModelDefinition> {
  const found = await listedModel(repository, context);
  if (found) return found;
  const { repo, file } = repository;
  const folder = folderOf(repository, context.base);
  if (file !== undefined) return definitionOfGguf(joinAddress(folder, file));
  return { ...(await folderModel(folder, context)), name: repo };
}

/** As natively: what a revision stands for is asked once, and stays until the cache is cleared. */
async function listedModel(repository: Repository, context: Context): Promise<ModelDefinition | undefined> {
  const { base, signal, cache } = context;
  const key = `${listAddress(repository, base)}#${repository.file ?? ""}`;
  const noted = await cache?.recall(key);
  if (noted !== undefined) return noted as ModelDefinition;
  const found = await listedDefinition(repository, base, signal);
  if (found) await cache?.remember(key, found);
  return found;
}

/** What lies in a folder may change: it is looked into every time, but without a network. */
async function folderModel(folder: string, { signal, cache }: Context): Promise<ModelDefinition> {
  try {
    const definition = await definitionInFolder(folder, signal);
    await cache?.remember(folder, definition);
    return definition;
  } catch (error) {
    const isOffline = error instanceof RerankError && error.code === "network";
    const noted = isOffline ? await cache?.recall(folder) : undefined;
    if (noted === undefined) throw error;
    return noted as ModelDefinition;
  }
}
