import { RerankError } from "./errors.js";
import { invalid } from "./options.js";
import { type Answers, type Call, type FromWorker, type ToWorker, unpackError } from "./protocol.js";
import { threadCount } from "./threads.js";
import type { LoadWatch, OpenSession, Session } from "./session.js";
import type { ModelInfo } from "./types.js";
import type { EnginePairScore, EngineRequest, EngineResponse, Watch } from "./wasm/surface.js";

/** A call that has no answer yet. */
interface Pending {
  resolve: (value: Answers[keyof Answers]) => void;
  reject: (error: unknown) => void;
  watch: CallWatch;
}

interface CallWatch extends Watch {
  onEvent?: LoadWatch["onProgress"];
}

/**
 * Loads a model in a worker of its own.
 *
 * @param script the address of worker.js; the one beside this script without it
 * @param threads that it may have, if not as many as there are cores
 */
export const openRemoteSession =
  (script?: string, threads?: number): OpenSession =>
  async (settings, { signal, onProgress }) => {
    signal?.throwIfAborted();
    const session = new RemoteSession(startWorker(script));
    const count = threadCount(threads);
    const given = count > 1 ? { ...settings, threads: { count, deaths: session.hearOfDeaths() } } : settings;
    const watch = { ...(signal && { signal }), onEvent: onProgress };
    try {
      session.info = await session.call({ type: "open", settings: given }, watch);
      signal?.throwIfAborted();
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  };

const CANNOT_START =
  "serve worker.js from the page's own origin and pass its address as `worker`, or pass worker: false; " +
  "a Content-Security-Policy must allow it in worker-src";

function startWorker(script: string | undefined): Worker {
  try {
    // Written out: bundlers find the script by this form.
    if (script === undefined) return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    return new Worker(sameOrigin(script), { type: "module" });
  } catch (cause) {
    throw new RerankError("internal", "the worker cannot be started", CANNOT_START, { cause });
  }
}

/** Browsers start workers of the page's own origin only, but those may import others' scripts. */
function sameOrigin(script: string): string {
  if (new URL(script).origin === globalThis.location?.origin) return script;
  const blob = new Blob([`import ${JSON.stringify(script)};`], { type: "text/javascript" });
  return URL.createObjectURL(blob);
}

class RemoteSession implements Session {
  info!: ModelInfo;
  #pending = new Map<number, Pending>();
  #lastId = 0;
  #hasStarted = false;
  /** Why no more calls are taken. */
  #end: unknown;
  /** Aborted when the worker is of no more use. */
  #ended = new AbortController();

  constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data);
    worker.onmessageerror = () => this.#die("a message could not be read");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message);
    };
  }

  get alive(): boolean {
    return !this.#ended.signal.aborted;
  }

  rerank(request: EngineRequest, watch: Watch): Promise<EngineResponse> {
    const wants = { wantsProgress: watch.onProgress !== undefined, wantsPartial: watch.onPartial !== undefined };
    return this.call({ type: "rerank", request, ...wants }, watch);
  }

  computeScore(
    pairs: [string, string][],
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<EnginePairScore[]> {
    return this.call({ type: "score", pairs, maxLength }, signal ? { signal } : {});
  }

  /** The name of a channel by which threads tell that they die: the worker that waits for them cannot. */
  hearOfDeaths(): string {
    const channel = new BroadcastChannel(`crossrank-${crypto.randomUUID()}`);
    channel.onmessage = ({ data }) => this.#die(`a thread stopped: ${data}`);
    this.#ended.signal.addEventListener("abort", () => channel.close());
    return channel.name;
  }

  close(): void {
    this.#finish(new RerankError("closed", "the worker was closed", "load the model again"));
  }

  async call<C extends Call>(call: C, watch: CallWatch): Promise<Answers[C["type"]]> {
    if (!this.alive) throw this.#end;
    const id = ++this.#lastId;
    const abort = () => this.#post({ type: "abort", id });
    try {
      return await new Promise<Answers[C["type"]]>((resolve, reject) => {
        this.#post({ ...call, id });
        // The worker answers a call with what belongs to its type.
        this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject, watch });
        watch.signal?.addEventListener("abort", abort, { once: true });
        if (watch.signal?.aborted) abort();
      });
    } catch (error) {
      watch.signal?.throwIfAborted();
      throw error;
    } finally {
      this.#pending.delete(id);
      watch.signal?.removeEventListener("abort", abort);
    }
  }

  #post(message: ToWorker): void {
    try {
      this.worker.postMessage(message);
    } catch (cause) {
      throw invalid("the model cannot be sent to a worker", "give its files as addresses, Files or Blobs", cause);
    }
  }

  #take(message: FromWorker): void {
    if (message.type === "started") return this.#started(message.lock);
    const { resolve, reject, watch } = this.#pending.get(message.id) ?? {};
    switch (message.type) {
      case "done":
        return resolve?.(message.value);
      case "failed":
        reject?.(unpackError(message.error));
        if (!message.alive) this.#finish(unpackError(message.error));
        return;
      case "event":
        return watch?.onEvent?.(message.event);
      case "progress":
        return watch?.onProgress?.(message.pairsDone, message.pairsTotal);
      case "partial":
        return watch?.onPartial?.(message.results);
    }
  }

  /** Waits for the lock that the worker holds as long as it lives: browsers tell of some deaths in no other way. */
  #started(lock: string | undefined): void {
    this.#hasStarted = true;
    if (lock === undefined) return;
    const { signal } = this.#ended;
    navigator.locks.request(lock, { signal }, () => this.#die("it was ended from outside")).catch(() => {});
  }

  #die(problem: string): void {
    if (!this.#hasStarted) {
      const message = `the worker's script cannot be started${problem ? `: ${problem}` : ""}`;
      return this.#finish(new RerankError("internal", message, CANNOT_START));
    }
    // A worker that uses a GPU most likely dies of it, and another may do better.
    const code = this.info?.device === "webgpu" ? "device_lost" : "internal";
    this.#finish(new RerankError(code, `the worker died: ${problem}`, "load the model again; its memory may have ended"));
  }

  #finish(error: unknown): void {
    if (!this.alive) return;
    this.#end = error;
    this.#ended.abort();
    this.worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
  }
}
