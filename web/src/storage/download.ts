import { RerankError } from "../errors.js";
import type { KeptFile } from "./cache.js";
import { type Feed, StartOver, type WantedFile, placeOf } from "./feed.js";
import { type Arriving, Backoff, type Version, interrupted, isSameFile, openRemote } from "./network.js";

/** A connection that brought as much as this before it broke is not counted as a failure. */
const PROGRESS_BYTES = 1 << 20;
/** Errors that damaged bytes may be the cause of, the sink's among them. */
const DATA_ERRORS = ["integrity_mismatch", "weights_mismatch", "model_unsupported"];

/** A file at an address. */
export interface RemoteFile extends WantedFile {
  source: string;
}

export interface DownloadOptions {
  /** What an earlier visit left, and where this one writes; absent if nothing is to be kept. */
  kept?: KeptFile;
  signal: AbortSignal | undefined;
  /** What the browser's own cache may do. */
  cache: RequestCache;
  /** Told how many bytes are about to be kept. */
  beforeKeeping?(bytes: number): Promise<void>;
}

/**
 * Feeds a whole kept file.
 *
 * @throws `StartOver` if it is damaged.
 */
export async function replay(kept: KeptFile, feed: Feed): Promise<void> {
  feed.announced = kept.bytes;
  try {
    for await (const chunk of kept.read()) await feed.push(chunk);
    if (feed.end() !== kept.sha256) throw feed.mismatch(`sha256 ${kept.sha256}`, "another");
  } catch (error) {
    throw await asDoubtful(error, kept);
  }
  feed.done();
}

/** Downloads one file, continuing what is there of it, and keeps it once its hash is right. */
export class Download {
  #version: Version;
  /** Whether bytes of more than one answer, or visit, are put together. */
  #isPatched = false;
  #hasAskedForRoom = false;

  constructor(
    private readonly file: RemoteFile,
    private readonly feed: Feed,
    private readonly options: DownloadOptions,
  ) {
    this.#version = options.kept?.version ?? {};
  }

  /** @throws `StartOver` if the feed got bytes that may not be the file's. */
  async run(): Promise<void> {
    const { kept } = this.options;
    try {
      await this.#receive();
      const digest = this.feed.end();
      await kept?.commit(digest);
    } catch (error) {
      if (this.#isPatched) throw await asDoubtful(error, kept);
      if (isDataError(error)) await kept?.remove();
      throw error;
    } finally {
      await kept?.settle();
    }
    this.feed.done();
  }

  async #receive(): Promise<void> {
    for (const backoff = new Backoff(); ; ) {
      const before = this.feed.received;
      try {
        return await this.#attempt(backoff.isLast);
      } catch (error) {
        if (this.feed.received >= before + PROGRESS_BYTES) backoff.reset();
        await backoff.pause(error, this.options.signal);
      }
    }
  }

  /** Gets what is missing; the last attempt asks for all of it, as some servers fail where a rest is asked for. */
  async #attempt(isLast: boolean): Promise<void> {
    const { feed, file } = this;
    const start = feed.received || (this.options.kept?.bytes ?? 0);
    feed.announced ??= this.#version.length;
    if (start > 0 && start === feed.length) return this.#continue();
    let arriving = await this.#open(isLast ? 0 : start);
    try {
      const isHashed = file.sha256 !== undefined;
      if (start > 0 && arriving.start <= start && isSameFile(this.#version, arriving.version, isHashed)) {
        await this.#continue();
      } else {
        arriving = await this.#startAnew(arriving);
      }
      await this.#take(arriving);
    } finally {
      arriving.cancel();
    }
  }

  #open(start: number): Promise<Arriving> {
    const { signal, cache } = this.options;
    return openRemote(this.file.source, start, { signal, cache });
  }

  /** What arrives follows what is there, which is fed first if an earlier visit left it. */
  async #continue(): Promise<void> {
    const { kept } = this.options;
    this.#isPatched = true;
    if (!kept || this.feed.received > 0) return;
    for await (const chunk of kept.read()) await this.feed.push(chunk);
  }

  /** Nothing that is there is of use: another file lies at the address now, or nothing tells that it does not. */
  async #startAnew(arriving: Arriving): Promise<Arriving> {
    const { kept } = this.options;
    await kept?.begin(arriving.version);
    if (this.feed.received > 0) {
      arriving.cancel();
      throw new StartOver(changed(this.file));
    }
    if (arriving.start > 0) {
      arriving.cancel();
      return this.#startAnew(await this.#open(0));
    }
    this.#version = arriving.version;
    this.feed.announced = arriving.version.length;
    return arriving;
  }

  async #take(arriving: Arriving): Promise<void> {
    const { feed, file } = this;
    const { kept, beforeKeeping } = this.options;
    if (!this.#hasAskedForRoom) await beforeKeeping?.((file.bytes ?? feed.announced ?? 0) - feed.received);
    this.#hasAskedForRoom = true;
    // A server that cannot continue sends what is there already once more.
    let surplus = feed.received - arriving.start;
    for await (const chunk of arriving.body) {
      const news = chunk.subarray(surplus);
      surplus -= chunk.length - news.length;
      if (news.length === 0) continue;
      await feed.push(news);
      await kept?.write(news);
    }
    const isShort = feed.received < (feed.length ?? 0);
    // All that the server has, though not what is wanted: asking again would not help.
    if (isShort && feed.received !== arriving.version.length) throw interrupted(file.source);
  }
}

const isDataError = (error: unknown) => error instanceof Error && "code" in error && DATA_ERRORS.includes(`${error.code}`);

function changed(file: RemoteFile): RerankError {
  const message = `${placeOf(file)} may have changed while it was downloaded`;
  return new RerankError("network", message, "try again; a hash, or an ETag, would tell whether it has");
}

/** An error over bytes that this machine may have damaged: only a fresh download's errors are the server's. */
async function asDoubtful(error: unknown, kept?: KeptFile): Promise<unknown> {
  if (!isDataError(error)) return error;
  await kept?.remove();
  return new StartOver(error);
}
