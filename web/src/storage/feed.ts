import { RerankError } from "../errors.js";
import type { ModelFile, ProgressEvent } from "../types.js";
import { orAborted } from "./abort.js";
import type { Bytes } from "./chunks.js";
import { shown, webPage } from "./network.js";
import type { ModelSink } from "./sink.js";

/** A file of a model, by its name. */
export interface WantedFile extends ModelFile {
  name: string;
  isWeights: boolean;
}

/** Where a file's bytes go. */
export interface Taker {
  /** Told the file's length before its bytes, if it is known. */
  begin?(bytes: number | undefined): void;
  push(chunk: Bytes): void | Promise<void>;
}

/** What every file of one delivery has to do with. */
export interface Delivery {
  model: string;
  sink: ModelSink;
  signal: AbortSignal | undefined;
  onProgress: ((event: ProgressEvent) => void) | undefined;
}

/** Milliseconds between two progress events. */
const REPORT_EVERY_MS = 100;

/** The sink has bytes that turned out to be wrong; all of them are delivered again. */
export class StartOver extends Error {
  constructor(override readonly cause: unknown) {
    super("the files are delivered again");
  }
}

/** One file on its way: every byte passes once, in order, and is hashed, counted and reported. */
export class Feed {
  /** Bytes that have passed. */
  received = 0;
  /** What the server says the length is; told before the first byte. */
  announced: number | undefined;
  #hash: ReturnType<ModelSink["sha256"]> | undefined;
  #reportedAt = 0;

  constructor(
    private readonly file: WantedFile,
    private readonly taker: Taker,
    private readonly delivery: Delivery,
  ) {
    this.#report("initiate");
  }

  async push(chunk: Bytes): Promise<void> {
    const { signal } = this.delivery;
    signal?.throwIfAborted();
    if (this.received === 0) refuseWebPage(placeOf(this.file), chunk);
    this.#begun().update(chunk);
    this.received += chunk.length;
    if (this.received > (this.length ?? Infinity)) throw this.mismatch(`${this.length} bytes`, "more");
    const pushed = this.taker.push(chunk);
    // A sink that is gone would hold up the file, and its lock, for ever.
    if (pushed) await orAborted(signal, pushed);
    this.#reportProgress();
  }

  /** The length there must be; what servers announce of small files may be that of their compressed form. */
  get length(): number | undefined {
    return this.file.bytes ?? (this.file.isWeights ? this.announced : undefined);
  }

  /**
   * The hash of all that has passed.
   *
   * @throws `integrity_mismatch` if it, or the length, is not the known one.
   */
  end(): string {
    const { bytes, sha256 } = this.file;
    if (bytes !== undefined && this.received !== bytes) {
      throw this.mismatch(`${bytes} bytes`, `${this.received} bytes`);
    }
    const digest = this.#begun().digest();
    this.#hash = undefined;
    if (sha256 !== undefined && sha256.toLowerCase() !== digest) {
      throw this.mismatch(`sha256 ${sha256}`, `sha256 ${digest}`);
    }
    return digest;
  }

  done(): void {
    this.#reportProgress(true);
    this.#report("done");
  }

  free(): void {
    this.#hash?.free();
    this.#hash = undefined;
  }

  mismatch(expected: string, found: string): RerankError {
    const message = `${placeOf(this.file)} has ${found} where ${expected} is right`;
    return new RerankError("integrity_mismatch", message, "nothing of it was kept; try again or tell its owner");
  }

  #begun(): ReturnType<ModelSink["sha256"]> {
    if (this.#hash) return this.#hash;
    this.taker.begin?.(this.file.bytes ?? this.announced);
    this.#report("download");
    this.#reportedAt = Date.now();
    this.#hash = this.delivery.sink.sha256();
    return this.#hash;
  }

  #report(status: "initiate" | "download" | "done"): void {
    this.delivery.onProgress?.({ status, name: this.delivery.model, file: this.file.name });
  }

  #reportProgress(isLast = false): void {
    const now = Date.now();
    if (!isLast && now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    const { name, bytes } = this.file;
    const loaded = this.received;
    const expected = bytes ?? this.announced ?? 0;
    const total = isLast ? loaded : Math.max(loaded, expected);
    const progress = isLast ? 100 : expected === 0 ? 0 : (100 * loaded) / total;
    this.delivery.onProgress?.({ status: "progress", name: this.delivery.model, file: name, progress, loaded, total });
  }
}

/** Where a file lies, for people. */
export function placeOf({ name, source }: WantedFile): string {
  return typeof source === "string" ? shown(source) : name;
}

/** Beginnings that no model's file has, but what servers and version control put in its place. */
function refuseWebPage(place: string, chunk: Bytes): void {
  const start = new TextDecoder().decode(chunk.subarray(0, 64)).trimStart().toLowerCase();
  if (start.startsWith("<!doctype") || start.startsWith("<html")) throw webPage(place);
  if (!start.startsWith("version https://git-lfs")) return;
  const message = `${place} is a Git LFS pointer, not the file itself`;
  throw new RerankError("model_unreadable", message, "run `git lfs pull` where it is served from");
}
