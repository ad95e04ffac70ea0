import { RerankError } from "../errors.js";
import type { CacheChoice } from "../types.js";
import { type Bytes, chunksOf } from "./chunks.js";
import type { Version } from "./network.js";
import { FOLDER, type Piece, type Store, allStores, openStore } from "./store.js";

/** A file is kept in pieces: what has come of it survives, in stores that cannot append, too. */
const PIECE_BYTES = 8 << 20;

/** What is known of a kept file; it is whole only with `sha256`. */
interface Note {
  address: string;
  version: Version;
  /** Bytes of every piece. */
  pieces: number[];
  /** Of what was kept, found when it came. */
  sha256?: string;
}

/** What a browser keeps of models between visits, or the reason why nothing more is kept. */
export class Cache {
  #refusal: string | undefined;

  private constructor(
    private readonly store: Store,
    private readonly choice: CacheChoice,
  ) {}

  /** Undefined where nothing can be kept, or is to be. */
  static async open(choice: CacheChoice): Promise<Cache | undefined> {
    const store = await openStore(choice);
    return store && new Cache(store, choice);
  }

  /** Why files are not kept; undefined if they are. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Keeps nothing more from now on. */
  refuse(reason: string): void {
    this.#refusal ??= reason;
  }

  /**
   * Asks the browser before anything is written.
   *
   * @throws `storage_full` if there is no room and the caller named this cache.
   */
  async askForRoom(bytes: number): Promise<void> {
    // Safari has told since 17.
    const { quota, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
    if (quota === undefined || bytes <= quota - usage) return;
    const reason = `${bytes} bytes are to be kept and the browser gives room for ${Math.max(0, quota - usage)}`;
    if (this.choice === "auto") return this.refuse(reason);
    throw new RerankError("storage_full", reason, 'free some space, or use cache: "auto" to go on without');
  }

  /** Runs `task` on the kept file while no other tab writes it or, with `exclusive`, reads it. */
  async locked<T>(
    address: string,
    mode: LockMode,
    signal: AbortSignal | undefined,
    task: (file: KeptFile) => Promise<T>,
  ): Promise<T> {
    const key = await keyOf(address);
    const run = async () => task(await KeptFile.open(this, this.store, key, address));
    return navigator.locks.request(lockOf(key), { mode, ...(signal && { signal }) }, run);
  }

  /** What was noted about an address. */
  async recall(address: string): Promise<unknown> {
    return readNote(this.store, `${await keyOf(address)}.model`);
  }

  /** Notes something about an address; a cache that cannot be written is no error. */
  async remember(address: string, value: unknown): Promise<void> {
    await writeNote(this.store, `${await keyOf(address)}.model`, value).catch(() => {});
  }
}

/** What there is of one file, whole or not. Failures to write end in `Cache.refusal`, never in an error. */
export class KeptFile {
  #piece: Piece | undefined;
  #pieceBytes = 0;

  private constructor(
    private readonly cache: Cache,
    private readonly store: Store,
    private readonly key: string,
    private readonly note: Note,
  ) {}

  static async open(cache: Cache, store: Store, key: string, address: string): Promise<KeptFile> {
    const note = (await readNote(store, `${key}.json`)) as Note | undefined;
    const isOurs = note?.address === address && Array.isArray(note.pieces);
    return new KeptFile(cache, store, key, isOurs ? note : { address, version: {}, pieces: [] });
  }

  get bytes(): number {
    return this.note.pieces.reduce((sum, bytes) => sum + bytes, 0);
  }

  get version(): Version {
    return this.note.version;
  }

  /** The hash of the whole file; undefined if it is not whole. */
  get sha256(): string | undefined {
    return this.note.sha256;
  }

  /** What was kept, in order; throws `integrity_mismatch` if some of it is gone. */
  async *read(): AsyncGenerator<Bytes, void, undefined> {
    try {
      for (const [index, bytes] of this.note.pieces.entries()) yield* this.#readPiece(index, bytes);
    } catch (cause) {
      const message = `${this.note.address} is damaged in the browser's cache`;
      throw new RerankError("integrity_mismatch", message, "load again to download it", { cause });
    }
  }

  async *#readPiece(index: number, bytes: number): AsyncGenerator<Bytes, void, undefined> {
    const stream = await this.store.read(this.#name(index));
    let rest = bytes;
    for await (const chunk of stream ? chunksOf(stream) : []) {
      rest -= chunk.length;
      yield chunk;
    }
    if (rest !== 0) throw new Error(`piece ${index} has ${bytes - rest} of ${bytes} bytes`);
  }

  /** Starts over: the bytes of `version` follow. */
  async begin(version: Version): Promise<void> {
    await this.remove();
    this.note.version = version;
  }

  async write(chunk: Bytes): Promise<void> {
    await this.#unlessFull(async () => {
      this.#piece ??= await this.store.create(this.#name(this.note.pieces.length));
      this.#pieceBytes += chunk.length;
      await this.#piece.write(chunk);
      if (this.#pieceBytes >= PIECE_BYTES) await this.#closePiece();
    });
  }

  /** What was written so far is there for a later visit. */
  async settle(): Promise<void> {
    await this.#unlessFull(() => this.#closePiece());
  }

  /** The file is whole, and this is its hash. */
  async commit(sha256: string): Promise<void> {
    await this.#unlessFull(async () => {
      await this.#closePiece();
      this.note.sha256 = sha256;
      await this.#save();
    });
  }

  async remove(): Promise<void> {
    await this.#piece?.close().catch(() => {});
    this.#piece = undefined;
    this.#pieceBytes = 0;
    this.note.pieces = [];
    delete this.note.sha256;
    await removeFile(this.store, this.key);
  }

  #name = (index: number) => `${this.key}.part${index}`;

  async #closePiece(): Promise<void> {
    if (!this.#piece) return;
    const piece = this.#piece;
    this.#piece = undefined;
    await piece.close();
    this.note.pieces.push(this.#pieceBytes);
    this.#pieceBytes = 0;
    await this.#save();
  }

  #save = () => writeNote(this.store, `${this.key}.json`, this.note);

  async #unlessFull(write: () => Promise<void>): Promise<void> {
    if (this.cache.refusal !== undefined) return;
    try {
      await write();
    } catch (error) {
      this.cache.refuse(`the browser's storage failed: ${error instanceof Error ? error.message : error}`);
      await this.remove().catch(() => {});
    }
  }
}

/** Deletes every kept model, but for files that another tab is using at this moment. */
export async function clearCache(): Promise<void> {
  for (const store of await allStores()) {
    const keys = new Set((await store.names()).map((name) => name.replace(/\..*$/, "")));
    for (const key of keys) {
      const options: LockOptions = { ifAvailable: true };
      await navigator.locks.request(lockOf(key), options, (lock) => (lock ? removeAll(store, key) : undefined));
    }
  }
}

const lockOf = (key: string) => `${FOLDER}/${key}`;

async function keyOf(address: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(address)));
  return Array.from(hash.subarray(0, 20), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The note goes first: without it the pieces are nothing. */
async function removeFile(store: Store, key: string): Promise<void> {
  await store.remove(`${key}.json`);
  for (const name of await store.names()) if (name.startsWith(`${key}.part`)) await store.remove(name);
}

async function removeAll(store: Store, key: string): Promise<void> {
  await removeFile(store, key);
  await store.remove(`${key}.model`);
}

async function readNote(store: Store, name: string): Promise<unknown> {
  const stream = await store.read(name);
  if (!stream) return undefined;
  const text = await new Response(stream).text();
  try {
    return JSON.parse(text);
  } catch {
    // Written halfway by a tab that was closed.
    return undefined;
  }
}

async function writeNote(store: Store, name: string, value: unknown): Promise<void> {
  const piece = await store.create(name);
  try {
    await piece.write(new TextEncoder().encode(JSON.stringify(value)));
  } finally {
    await piece.close();
  }
}
