import { RerankError } from "../errors.js";
import type { CacheChoice, ModelDefinition, ProgressEvent } from "../types.js";
import { Cache, type KeptFile } from "./cache.js";
import { type Bytes, joined } from "./chunks.js";
import { orAborted } from "./abort.js";
import { Download, type RemoteFile, replay } from "./download.js";
import { type Delivery, Feed, StartOver, type Taker, type WantedFile } from "./feed.js";
import { openLocal } from "./local.js";
import { agrees, look } from "./network.js";
import { CONFIG, TOKENIZER } from "./place.js";
import type { ModelSink } from "./sink.js";

export interface DeliverOptions {
  cache: CacheChoice;
  /** Stops the download; what has come of it is kept for the next time. */
  signal?: AbortSignal | undefined;
  onProgress?: ((event: ProgressEvent) => void) | undefined;
}

export interface Delivered {
  /** Files without a known hash. */
  unverified: string[];
  /** Why not all files are kept for the next visit, if they were to be. */
  notKept?: string;
}

const SMALL_FILES = [CONFIG, TOKENIZER];
/** Times that files are delivered again because what was kept of them was damaged, or has changed. */
const MAX_RESTARTS = 3;

/**
 * Feeds a model's files to `sink`: the small ones by `open`, then the weights in order, each from this
 * machine if it is there, else from the network. Resolves once every known hash has matched.
 *
 * @throws `network`, `model_not_found`, `model_unreadable`, `integrity_mismatch`, `storage_full`, the
 * signal's reason, and what the sink throws.
 */
export async function deliver(model: ModelDefinition, sink: ModelSink, options: DeliverOptions): Promise<Delivered> {
  const { cache: choice, signal, onProgress } = options;
  signal?.throwIfAborted();
  const files = wantedFiles(model);
  const cache = await Cache.open(choice);
  const delivery = { model: model.name, sink, signal, onProgress };
  await orAborted(signal, deliverAll(files, delivery, cache));
  const notKept = cache ? cache.refusal : choice === "none" ? undefined : "there is no cache here";
  const unverified = files.filter(({ sha256 }) => sha256 === undefined).map(({ name }) => name);
  return { unverified, ...(notKept !== undefined && { notKept }) };
}

async function deliverAll(files: WantedFile[], delivery: Delivery, cache: Cache | undefined): Promise<void> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await new Pass(files, delivery, cache, restarts === 0).run();
    } catch (error) {
      if (!(error instanceof StartOver)) throw error;
      if (restarts === MAX_RESTARTS) throw error.cause;
    }
  }
}

/** One delivery of all files, from the first byte to the last. */
class Pass {
  readonly #requestCache: RequestCache;

  constructor(
    private readonly files: readonly WantedFile[],
    private readonly delivery: Delivery,
    private readonly cache: Cache | undefined,
    isFirst: boolean,
  ) {
    // Gigabytes need not be kept twice; and what was wrong must not come from the browser's own cache again.
    this.#requestCache = !isFirst ? "reload" : cache ? "no-store" : "default";
  }

  async run(): Promise<void> {
    const { sink } = this.delivery;
    const small = new Map<string, Bytes>();
    for (const file of this.files.filter(({ isWeights }) => !isWeights)) {
      small.set(file.name, await this.#collect(file));
    }
    const [config, tokenizer] = [small.get(CONFIG), small.get(TOKENIZER)];
    await sink.open({ ...(config && { config }), ...(tokenizer && { tokenizer }) });
    for (const file of this.files.filter(({ isWeights }) => isWeights)) {
      const begin = (bytes: number | undefined) => sink.beginFile(file.name, lengthOf(file, bytes));
      await this.#deliver(file, { begin, push: (chunk) => sink.push(chunk) });
    }
  }

  async #collect(file: WantedFile): Promise<Bytes> {
    const chunks: Bytes[] = [];
    await this.#deliver(file, { push: (chunk) => void chunks.push(chunk.slice()) });
    return joined(chunks);
  }

  async #deliver(file: WantedFile, taker: Taker): Promise<void> {
    const feed = new Feed(file, taker, this.delivery);
    try {
      if (isRemote(file)) await this.#deliverRemote(file, feed);
      else await deliverLocal(file, feed);
    } finally {
      feed.free();
    }
  }

  async #deliverRemote(file: RemoteFile, feed: Feed): Promise<void> {
    const { signal } = this.delivery;
    const options = { signal, cache: this.#requestCache };
    const { cache } = this;
    if (!cache || !file.source.startsWith("http")) return new Download(file, feed, options).run();
    const beforeKeeping = (bytes: number) => cache.askForRoom(bytes + this.#bytesAfter(file));
    const replayed = async (kept: KeptFile) => {
      const isUsable = await isCurrent(kept, file, signal);
      if (isUsable) await replay(kept, feed);
      return isUsable;
    };
    if (await cache.locked(file.source, "shared", signal, replayed)) return;
    await cache.locked(file.source, "exclusive", signal, async (kept) => {
      // Another tab may have downloaded it in the meantime.
      if (await replayed(kept)) return;
      if (kept.sha256 !== undefined) await kept.remove();
      await new Download(file, feed, { ...options, kept, beforeKeeping }).run();
    });
  }

  /** Known bytes of the files that are downloaded after this one. */
  #bytesAfter(file: WantedFile): number {
    const rest = this.files.slice(this.files.indexOf(file) + 1).filter(isRemote);
    return rest.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  }
}

async function deliverLocal(file: WantedFile, feed: Feed): Promise<void> {
  const { bytes, chunks } = await openLocal(file.source);
  feed.announced = bytes;
  for await (const chunk of chunks) await feed.push(chunk);
  feed.end();
  feed.done();
}

/** Whether a kept file is whole and the one that is wanted; the server is asked only where nothing else tells. */
async function isCurrent(kept: KeptFile, file: RemoteFile, signal: AbortSignal | undefined): Promise<boolean> {
  if (kept.sha256 === undefined || (file.bytes ?? kept.bytes) !== kept.bytes) return false;
  if (file.sha256 !== undefined) return file.sha256.toLowerCase() === kept.sha256;
  if (isOfOneCommit(file.source)) return true;
  try {
    const now = await look(file.source, { signal, cache: "no-store" });
    return now === undefined || agrees(kept.version, now);
  } catch {
    signal?.throwIfAborted();
    // Offline.
    return true;
  }
}

/** Whether nothing else can ever lie at this address of a Hugging Face repository. */
const isOfOneCommit = (address: string) => /\/resolve\/[0-9a-f]{40}\//.test(address);

const isRemote = (file: WantedFile): file is RemoteFile =>
  typeof file.source === "string" && !file.source.startsWith("file:");

function wantedFiles({ name: model, files }: ModelDefinition): WantedFile[] {
  const all = Object.entries(files).map(([name, file]) => ({ ...file, name, isWeights: isWeights(name) }));
  const isGguf = all.some(({ name }) => name.endsWith(".gguf"));
  const missing = isGguf ? [] : SMALL_FILES.filter((name) => !(name in files));
  if (!all.some(({ isWeights }) => isWeights)) missing.push("weights (*.safetensors or *.gguf)");
  if (missing.length > 0) {
    const hint = "a model is config.json, tokenizer.json and *.safetensors, or one *.gguf";
    throw new RerankError("invalid_input", `the model ${JSON.stringify(model)} lacks ${missing.join(", ")}`, hint);
  }
  return all.filter(({ name, isWeights }) => isWeights || SMALL_FILES.includes(name));
}

const isWeights = (name: string) => /\.(safetensors|gguf)$/.test(name);

function lengthOf({ name }: WantedFile, bytes: number | undefined): number {
  if (bytes !== undefined) return bytes;
  const hint = "let the server send Content-Length, uncompressed, or give `bytes` with the file";
  throw new RerankError("model_unreadable", `the length of ${name} is not known`, hint);
}
