import { firstOf, guarded } from "./calls.js";
import { RerankError, asRerankError, closedError } from "./errors.js";
import { readLoadOptions } from "./load-options.js";
import { openRemoteSession } from "./remote.js";
import { readPairs, readRequest } from "./request.js";
import { toResponse, toResults } from "./response.js";
import type { LoadWatch, OpenSession, Session, SessionSettings } from "./session.js";
import { orAborted } from "./storage/abort.js";
import { support } from "./support.js";
import type * as types from "./types.js";
import type { Watch } from "./wasm/surface.js";

/** Loads the session's own code only where it runs without a worker. */
const openHere: OpenSession = async (settings, watch) => (await import("./session.js")).openSession(settings, watch);

/** Work for a session; `notes` is what its caller should know of the way to it. */
type Task<T> = (session: Session, signal: AbortSignal, notes: readonly string[]) => Promise<T>;

/** How a reranker was loaded, and loads again. */
interface Loading {
  open: OpenSession;
  settings: SessionSettings;
  onProgress: LoadWatch["onProgress"];
}

/** A cross-encoder that ranks documents by a query. Requests wait for one another, in their order. */
export class Reranker implements AsyncDisposable {
  readonly #loading: Loading;
  #session: Session;
  #queue: Promise<unknown> = Promise.resolve();
  /** Why it was closed. */
  #end: RerankError | undefined;
  readonly #closing = new AbortController();
  /** Why a GPU that was in use is not any more. */
  #deviceNote: string | undefined;

  private constructor(loading: Loading, session: Session) {
    this.#loading = loading;
    this.#session = session;
  }

  /**
   * Loads a model: downloads what is not cached, and makes it ready on a GPU or in WebAssembly.
   *
   * @param model a name of models.json, a Hugging Face repository `owner/name`, the address of a folder or of a
   * GGUF file, files the user picked, or `crossrank/default-model`
   * @throws `RerankError`, or the reason of `options.signal`
   */
  static async load(model: types.ModelChoice, options: types.LoadOptions = {}): Promise<Reranker> {
    const { settings, threads, worker, watch } = readLoadOptions(model, options);
    const { signal } = watch;
    signal?.throwIfAborted();
    const onProgress = watch.onProgress && guarded(watch.onProgress);
    // A load that is aborted says no more.
    const untilAborted = onProgress && ((event: types.ProgressEvent) => void (signal?.aborted || onProgress(event)));
    const open = worker === false ? openHere : openRemoteSession(worker === true ? undefined : worker, threads);
    try {
      const session = await orAborted(signal, open(settings, { signal, onProgress: untilAborted }));
      return new Reranker({ open, settings, onProgress }, session);
    } catch (error) {
      signal?.throwIfAborted();
      throw asRerankError(error);
    }
  }

  /** What this machine can do, found out without a download. */
  static support(): Promise<types.Support> {
    return support();
  }

  /** What was loaded, and where it runs. */
  get info(): types.ModelInfo {
    return { ...this.#session.info, ...(this.#deviceNote !== undefined && { deviceNote: this.#deviceNote }) };
  }

  /**
   * Ranks documents, best first.
   *
   * @throws `RerankError`, or the reason of `request.signal`
   */
  async rerank(request: types.RerankRequest & types.SnakeCaseRequest): Promise<types.RerankResponse> {
    const checked = readRequest(request);
    const { onPartial, onProgress } = checked;
    const partial = onPartial && guarded(onPartial);
    const progress = onProgress && guarded(onProgress);
    const asked = performance.now();
    return this.#enqueue(checked.signal, async (session, signal, notes) => {
      const { deadlineMs } = checked.engine;
      const waited = performance.now() - asked;
      const left = deadlineMs === undefined ? {} : { deadlineMs: Math.max(0, deadlineMs - waited) };
      const watch: Watch = {
        signal,
        // An aborted request says no more.
        ...(partial && { onPartial: (results) => signal.aborted || partial(toResults(results, checked)) }),
        ...(progress && {
          onProgress: (pairsDone, pairsTotal) => signal.aborted || progress({ pairsDone, pairsTotal }),
        }),
      };
      const answer = await session.rerank({ ...checked.engine, ...left }, watch);
      return toResponse(answer, checked, this.info, notes);
    });
  }

  /**
   * The score of every `[query, document]`, in their order.
   *
   * @throws `RerankError`, or the reason of `options.signal`
   */
  async computeScore(
    pairs: readonly (readonly [query: string, document: string])[],
    options: types.ScoreOptions = {},
  ): Promise<types.PairScore[]> {
    const checked = readPairs(pairs, options);
    return this.#enqueue(checked.signal, (session, signal) =>
      session.computeScore(checked.pairs, checked.maxLength, signal),
    );
  }

  /** Stops what runs and frees everything; what was asked for rejects with code `closed`. */
  async dispose(): Promise<void> {
    this.#end ??= closedError();
    this.#closing.abort(this.#end);
    this.#session.close();
    await this.#queue;
    // One that was just being opened for a lost GPU.
    this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #enqueue<T>(signal: AbortSignal | undefined, task: Task<T>): Promise<T> {
    if (this.#end) throw closedError(this.#end.cause);
    const stop = firstOf([signal, this.#closing.signal]);
    const work = this.#queue.then(() => this.#perform(task, stop.signal));
    // The next request waits until the engine is free, even if the caller of this one does not.
    this.#queue = work.then(stop.release, stop.release);
    return orAborted(stop.signal, work);
  }

  /** Opens a lost GPU once more, and after that lets the CPU do it. */
  async #perform<T>(task: Task<T>, signal: AbortSignal): Promise<T> {
    let lost: RerankError | undefined;
    for (const device of [undefined, this.#loading.settings.device, "wasm"] as const) {
      signal.throwIfAborted();
      if (this.#end) throw closedError(this.#end.cause);
      try {
        if (lost && device) await this.#reopen(device, lost);
        const note = lost && this.#deviceNote;
        return await task(this.#session, signal, note === undefined ? [] : [note]);
      } catch (error) {
        if (!isLost(error) || device === "wasm") throw this.#failed(error);
        lost = error;
      }
    }
    throw lost;
  }

  /** @throws `device_lost` if the GPU could not be opened again. */
  async #reopen(device: types.DeviceChoice, lost: RerankError): Promise<void> {
    const { open, settings, onProgress } = this.#loading;
    const { signal } = this.#closing;
    const { dtype, ...others } = settings;
    const isLast = device === "wasm";
    // WebAssembly does not compute in f16.
    const kept = dtype && !(isLast && dtype === "f16") ? { dtype } : {};
    this.#session.close();
    try {
      this.#session = await open({ ...others, ...kept, device }, { signal, onProgress });
    } catch (cause) {
      signal.throwIfAborted();
      const problem = cause instanceof Error ? cause.message : String(cause);
      if (isLast) throw cause;
      throw new RerankError("device_lost", `${lost.message}; then ${problem}`, lost.hint, { cause });
    }
    // `auto` may take no GPU this time.
    if (this.#session.info.device === "wasm") this.#deviceNote = `the GPU was lost, WebAssembly goes on: ${lost.message}`;
  }

  /** An error after which the session takes no calls closes the reranker. */
  #failed(error: unknown): unknown {
    if (!this.#session.alive) this.#end ??= closedError(error);
    return asRerankError(error);
  }
}

const isLost = (error: unknown): error is RerankError => error instanceof RerankError && error.code === "device_lost";
