import { RerankError } from "../errors.js";
import { type Bytes, chunksOf } from "./chunks.js";

/** A file that need not be downloaded. */
export interface LocalFile {
  bytes: number;
  chunks: AsyncIterable<Bytes>;
}

/** Opens a file that lies here: picked by the user, or at a `file:` address. */
export async function openLocal(source: string | Blob): Promise<LocalFile> {
  if (typeof source === "string") return openPath(source);
  return { bytes: source.size, chunks: readable("the picked file", chunksOf(source.stream())) };
}

/** Whether there is a file at a `file:` address. */
export async function isThere(address: string): Promise<boolean> {
  const { existsSync } = await nodeModule<typeof import("node:fs")>("node:fs", address);
  return existsSync(new URL(address));
}

async function openPath(address: string): Promise<LocalFile> {
  const fs = await nodeModule<typeof import("node:fs")>("node:fs", address);
  try {
    const { size } = await fs.promises.stat(new URL(address));
    const chunks = fs.createReadStream(new URL(address)) as AsyncIterable<Bytes>;
    return { bytes: size, chunks: readable(address, chunks) };
  } catch (cause) {
    throw new RerankError("model_not_found", `${address} cannot be read`, "check the path", { cause });
  }
}

async function* readable(place: string, chunks: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, undefined> {
  try {
    yield* chunks;
  } catch (cause) {
    const hint = "it may have been changed or removed since it was picked: pick it again";
    throw new RerankError("model_unreadable", `${place} cannot be read to its end`, hint, { cause });
  }
}

/** A module of Node, by a name that bundlers do not look into. */
async function nodeModule<T>(name: string, address: string): Promise<T> {
  if (globalThis.process?.versions?.node === undefined) {
    const hint = "let the user pick the files, and pass those";
    throw new RerankError("invalid_input", `a page cannot read ${address}`, hint);
  }
  return import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ name) as Promise<T>;
}
