// Runs in pages and workers: one use of the storage, told and answered in plain data.
import { absoluteChoice, cacheKind, clearCache, deliver, resolveModel } from "/dist/storage/index.js";
import { Recorder, Sha256 } from "/recorder.mjs";

/** Counts what it is given and keeps none of it. */
class Counter {
  opened = 0;
  received = 0;
  async open() {
    this.opened += 1;
    this.received = 0;
  }
  beginFile() {}
  push(chunk) {
    this.received += chunk.length;
  }
  sha256() {
    return new Sha256();
  }
}

/**
 * Resolves and delivers `choice`; `abortAt` bytes of weights the delivery is aborted, `abortAfterMs` likewise.
 * The error, if it fails, as plain data.
 */
export async function run({ choice, cache = "auto", baseUrl, abortAt, abortAfterMs, counts = false, clears = false }) {
  if (clears) return clearCache();
  const controller = new AbortController();
  const sink = counts ? new Counter() : new Recorder();
  const events = [];
  const begun = performance.now();
  let abortedAt;
  const abort = () => {
    abortedAt ??= performance.now();
    controller.abort(new Error("stopped by the test"));
  };
  if (abortAfterMs !== undefined) setTimeout(abort, abortAfterMs);
  sink.onPush = () => void (sink.received >= abortAt && abort());
  const result = { kind: await cacheKind() };
  try {
    const { signal } = controller;
    const model = await resolveModel(absoluteChoice(choice), { baseUrl, signal, cache });
    result.delivered = await deliver(model, sink, { cache, signal, onProgress: (event) => events.push(event) });
  } catch ({ name, code, message, hint }) {
    result.error = { name, code, message, hint };
  }
  const ms = Math.round(performance.now() - begun);
  const msAfterAbort = abortedAt === undefined ? undefined : Math.round(performance.now() - abortedAt);
  if (abortedAt !== undefined) await released();
  return { ...result, opened: sink.opened, received: sink.received, hashes: sink.hashes?.(), events, ms, msAfterAbort };
}

/** What an aborted delivery still writes is there when it lets go of its files; a page that is closed before loses it. */
async function released() {
  while ((await navigator.locks.query()).held.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

if (globalThis.WorkerGlobalScope) {
  addEventListener("message", async ({ data }) => postMessage(await run(data)));
}
