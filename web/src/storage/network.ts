import { RerankError } from "../errors.js";
import { type Bytes, chunksOf } from "./chunks.js";

/** A failure that may well be gone in a moment: no connection, a broken one, HTTP 429 or 5xx. */
export class Transient extends RerankError {}

/** What a server says about the file behind an address; across origins it may hide any of it. */
export interface Version {
  etag?: string;
  lastModified?: string;
  /** Bytes of the whole file, as sent. */
  length?: number;
}

/** A file, or its rest, on its way. */
export interface Arriving {
  /** The byte it begins with: 0 where a server cannot continue. */
  start: number;
  version: Version;
  /** Fails with `Transient` where the connection breaks. */
  body: AsyncGenerator<Bytes, void, undefined>;
  /** Ends the connection; whoever reads the body to its end, or leaves it, need not. */
  cancel(): void;
}

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  /** The browser's own cache. */
  cache?: RequestCache | undefined;
}

/** Failures in a row before a file is given up. */
const MAX_FAILURES = 5;
const FIRST_PAUSE_MS = 250;
/** Longest silence of a server. */
const MAX_SILENCE_MS = 60_000;

/** An address for people: what a query may hold is nobody's business. */
export const shown = (address: string): string => address.replace(/[?#].*$/s, "");

/**
 * Opens a file from byte `start` on. There is no If-Range: across origins it would need a preflight that
 * Hugging Face's servers refuse. Whoever continues a file compares its version.
 */
export async function openRemote(address: string, start: number, options: RequestOptions): Promise<Arriving> {
  const response = await send(address, "GET", start, options);
  // The part is longer than the file: it is another file.
  if (response.status === 416) return openRemote(address, 0, options);
  await check(address, response);
  const range = response.status === 206 ? contentRange(response) : undefined;
  const version = versionOf(response);
  if (response.status === 206) {
    const rest = version.length;
    delete version.length;
    const length = range?.length ?? (rest === undefined ? undefined : start + rest);
    if (length !== undefined) version.length = length;
  }
  const begins = response.status === 206 ? (range?.start ?? start) : 0;
  const cancel = () => void response.body?.cancel().catch(() => {});
  return { start: begins, version, body: bodyOf(address, response, options.signal), cancel };
}

/** What the server says about a file; undefined if there is none. */
export async function look(address: string, options: RequestOptions): Promise<Version | undefined> {
  const response = await send(address, "HEAD", 0, options);
  if (response.status === 404 || response.status === 410 || isWebPage(response)) return undefined;
  // Some servers do not answer HEAD: only the download will tell.
  return response.ok ? versionOf(response) : {};
}

/** Reads a small file as JSON. */
export async function readJson(address: string, options: RequestOptions): Promise<unknown> {
  const response = await send(address, "GET", 0, options);
  await check(address, response);
  try {
    return await response.json();
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new RerankError("model_unreadable", `${shown(address)} is not JSON`, "check the address", { cause });
  }
}

/** Tries `attempt` again after transient failures, with longer and longer pauses. */
export async function persist<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
  for (const backoff = new Backoff(); ; ) {
    try {
      return await attempt();
    } catch (error) {
      await backoff.pause(error, signal);
    }
  }
}

/** Longer and longer pauses, until it is time to give up. */
export class Backoff {
  #failures = 0;

  /** Whether one more failure is the end. */
  get isLast(): boolean {
    return this.#failures === MAX_FAILURES - 1;
  }

  reset(): void {
    this.#failures = 0;
  }

  /** Waits; rejects with `error` if it will not go away, or has not for too long. */
  async pause(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    this.#failures += 1;
    if (!(error instanceof Transient) || this.#failures === MAX_FAILURES) throw error;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (this.#failures - 1));
      signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
    signal?.throwIfAborted();
  }
}

async function send(address: string, method: string, start: number, options: RequestOptions): Promise<Response> {
  const { signal = null, cache = "default" } = options;
  const headers: HeadersInit = start > 0 ? { Range: `bytes=${start}-` } : {};
  try {
    return await fetch(address, { method, headers, cache, signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const hint = "check the network and load again: it resumes; a server of another origin must allow CORS";
    throw new Transient("network", `cannot reach ${shown(address)}`, hint, { cause });
  }
}

async function check(address: string, response: Response): Promise<void> {
  if (response.ok && !isWebPage(response)) return;
  await response.body?.cancel();
  throw response.ok ? webPage(shown(address)) : refusal(shown(address), response.status);
}

const isWebPage = (response: Response) => /^\s*text\/html\b/i.test(response.headers.get("content-type") ?? "");

/** The error where a page came in place of a file. */
export function webPage(address: string): RerankError {
  const hint = "the address is probably wrong: many servers answer unknown addresses with a page";
  return new RerankError("model_unreadable", `${address} is a web page, not a model's file`, hint);
}

function refusal(address: string, status: number): RerankError {
  const message = `${address} answered HTTP ${status}`;
  switch (status) {
    case 404:
    case 410:
      return new RerankError("model_not_found", message, "check the address");
    case 401:
    case 403:
      // Hugging Face says 401 of repositories that do not exist.
      return new RerankError("model_not_found", message, "check the name; or it needs a login: serve its files yourself");
    default:
      return status === 429 || status >= 500
        ? new Transient("network", message, "try again later")
        : new RerankError("network", message, "check the address and the server");
  }
}

function versionOf({ headers }: Response): Version {
  const etag = headers.get("etag");
  const lastModified = headers.get("last-modified");
  const length = headers.get("content-encoding") === null ? headers.get("content-length") : null;
  return {
    ...(etag !== null && { etag }),
    ...(lastModified !== null && { lastModified }),
    ...(length !== null && { length: Number(length) }),
  };
}

/** The first byte and the length of the whole file in `bytes 5-9/10`. */
function contentRange({ headers }: Response): { start: number; length?: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  if (match === null) return undefined;
  return { start: Number(match[1]), ...(match[2] !== "*" && { length: Number(match[2]) }) };
}

async function* bodyOf(
  address: string,
  { body }: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<Bytes, void, undefined> {
  if (body) yield* chunksOf(body, (read) => unlessSilent(address, signal, read));
}

/** The next bytes, or an error if none come. */
async function unlessSilent<T>(address: string, signal: AbortSignal | undefined, next: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no bytes for ${MAX_SILENCE_MS} ms`)), MAX_SILENCE_MS);
  });
  try {
    return await Promise.race([next, silence]);
  } catch (cause) {
    signal?.throwIfAborted();
    throw interrupted(address, cause);
  } finally {
    clearTimeout(timer);
  }
}

/** The error of a connection that ended before the file did. */
export function interrupted(address: string, cause?: unknown): Transient {
  const message = `the connection to ${shown(address)} broke`;
  return new Transient("network", message, "load again: it resumes", { cause });
}

/**
 * Whether bytes that came before and bytes that come now are of the same file: nothing that both times say
 * about it differs, and it has a hash that will tell, or a validator that told.
 */
export function isSameFile(before: Version, now: Version, isHashed: boolean): boolean {
  const isProven =
    (before.etag?.startsWith('"') && before.etag === now.etag) ||
    (before.lastModified !== undefined && before.lastModified === now.lastModified);
  return agrees(before, now) && (isHashed || isProven === true);
}

/** Whether nothing that both say about a file differs. */
export function agrees(before: Version, now: Version): boolean {
  const same = (left: unknown, right: unknown) => left === undefined || right === undefined || left === right;
  return (
    same(before.etag, now.etag) && same(before.lastModified, now.lastModified) && same(before.length, now.length)
  );
}
