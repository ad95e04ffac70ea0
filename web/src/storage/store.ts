import { RerankError } from "../errors.js";
import type { CacheChoice } from "../types.js";
import { openCacheStorage } from "./cache-storage.js";
import type { Bytes } from "./chunks.js";
import { openPrivateFiles } from "./opfs.js";

/** Named pieces of bytes that outlive the visit. */
export interface Store {
  readonly kind: "opfs" | "cache-storage";
  read(name: string): Promise<ReadableStream<Bytes> | undefined>;
  /** Starts a piece over; it is there to be read once it is closed. */
  create(name: string): Promise<Piece>;
  remove(name: string): Promise<void>;
  names(): Promise<string[]>;
}

/** A piece that is being written. */
export interface Piece {
  write(chunk: Bytes): void | Promise<void>;
  close(): Promise<void>;
}

/** The folder, or cache, of this layout; another layout would take another name. */
export const FOLDER = "crossrank-v1";

const OPENERS = [
  { kind: "opfs", name: "a private file system", open: openPrivateFiles },
  { kind: "cache-storage", name: "Cache Storage", open: openCacheStorage },
] as const;

/**
 * Opens the chosen store, or with `auto` the first that opens; undefined if there is none to use. Web Locks
 * are part of it: without them two tabs would spoil each other's files. All browsers with wasm SIMD have them.
 */
export async function openStore(choice: CacheChoice): Promise<Store | undefined> {
  if (choice === "none") return undefined;
  const openers = OPENERS.filter(({ kind }) => choice === "auto" || choice === kind);
  let cause: unknown;
  for (const { open } of globalThis.navigator?.locks ? openers : []) {
    try {
      return await open(FOLDER);
    } catch (error) {
      cause = error;
    }
  }
  if (choice === "auto") return undefined;
  const [wanted] = openers;
  if (!wanted) throw new RerankError("invalid_input", `there is no cache ${JSON.stringify(choice)}`, CHOICES);
  const message = `cache: "${choice}" needs ${wanted.name}, which there is none of here`;
  throw new RerankError("invalid_input", message, 'use cache: "auto"', { cause });
}

const CHOICES = 'use "auto", "opfs", "cache-storage" or "none"';

/** The store that `auto` takes here. */
export async function cacheKind(): Promise<"opfs" | "cache-storage" | "none"> {
  return (await openStore("auto"))?.kind ?? "none";
}

/** All stores there are. */
export async function allStores(): Promise<Store[]> {
  const opened = await Promise.allSettled(OPENERS.map(({ kind }) => openStore(kind)));
  return opened.flatMap((store) => (store.status === "fulfilled" && store.value ? [store.value] : []));
}
