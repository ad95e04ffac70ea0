/** The script of a reranker's own worker: takes calls from the page, one session for its whole life. */
import { packError, type Answers, type Call, type FromWorker, type ToWorker } from "./protocol.js";
import { type Session, openSession } from "./session.js";
import { RerankError } from "./errors.js";
import type { Watch } from "./wasm/surface.js";

/** What is used of a worker's global scope. */
interface Scope {
  postMessage(message: FromWorker): void;
  onmessage: (event: MessageEvent<ToWorker>) => void;
}

const scope = globalThis as unknown as Scope;
const running = new Map<number, AbortController>();
let session: Session | undefined;

scope.onmessage = ({ data }) => {
  if (data.type === "abort") running.get(data.id)?.abort();
  else void take(data);
};
void announce();

async function take(call: Call & { id: number }): Promise<void> {
  const { id } = call;
  const stop = new AbortController();
  running.set(id, stop);
  try {
    scope.postMessage({ type: "done", id, value: await answer(call, id, stop.signal) });
  } catch (error) {
    scope.postMessage({ type: "failed", id, error: packError(error), alive: session?.alive ?? false });
  } finally {
    running.delete(id);
  }
}

async function answer(call: Call, id: number, signal: AbortSignal): Promise<Answers[keyof Answers]> {
  switch (call.type) {
    case "open":
      session = await openSession(call.settings, {
        signal,
        onProgress: (event) => scope.postMessage({ type: "event", id, event }),
      });
      return session.info;
    case "rerank":
      return opened().rerank(call.request, watch(call, id, signal));
    case "score":
      return opened().computeScore(call.pairs, call.maxLength, signal);
  }
}

function watch(call: Call & { type: "rerank" }, id: number, signal: AbortSignal): Watch {
  return {
    signal,
    ...(call.wantsProgress && {
      onProgress: (pairsDone, pairsTotal) => scope.postMessage({ type: "progress", id, pairsDone, pairsTotal }),
    }),
    ...(call.wantsPartial && { onPartial: (results) => scope.postMessage({ type: "partial", id, results }) }),
  };
}

function opened(): Session {
  if (!session) throw new RerankError("internal", "the worker has no model yet");
  return session;
}

/** Tells that the script runs, and gives the page a lock to wait for: it is free when this worker has ended. */
async function announce(): Promise<void> {
  const name = `crossrank-${Math.random().toString(36).slice(2)}-${Date.now()}`;
  const started = (lock: string | undefined) => scope.postMessage({ type: "started", lock });
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  if (!locks) return started(undefined);
  await locks
    .request(name, () => {
      started(name);
      return new Promise<never>(() => {});
    })
    // Pages without an origin of their own may not use locks.
    .catch(() => started(undefined));
}
