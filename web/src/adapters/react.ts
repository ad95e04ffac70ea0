"use client";

import { useCallback, useEffect, useRef, useState } from "react";
import { firstOf } from "../calls.js";
import { RerankError } from "../errors.js";
import { Reranker } from "../index.js";
import type { LoadOptions, ModelChoice, ProgressEvent, RerankRequest, RerankResponse } from "../types.js";
import { modelKey, optionsKey } from "./lazy.js";

/** `idle` without a model. */
export type RerankerStatus = "idle" | "loading" | "ready" | "error";

export interface RerankerState {
  status: RerankerStatus;
  /** There when `status` is `ready`; it belongs to the hook, which disposes it. */
  reranker: Reranker | null;
  /** Bytes of the files that have begun; `total` grows with every file. */
  progress: { loaded: number; total: number };
  /** Why it could not be loaded. */
  error: Error | null;
}

export interface UseReranker extends RerankerState {
  /** Waits for the model, then reranks. The same function at every render. */
  rerank(request: RerankRequest): Promise<RerankResponse>;
}

/**
 * Loads a model when the component is mounted, never on a server, and disposes it when it is unmounted or another
 * model or option is given. `null` loads nothing yet. An object as `model` must be the same at every render.
 */
export function useReranker(model: ModelChoice | null, options: LoadOptions = {}): UseReranker {
  const [state, setState] = useState(() => (model === null ? IDLE : LOADING));
  const loading = useRef<Promise<Reranker> | null>(null);

  useEffect(() => {
    if (model === null) {
      setState(IDLE);
      return;
    }
    setState(LOADING);
    const mounted = new AbortController();
    const show = (state: RerankerState) => mounted.signal.aborted || setState(state);
    const started = load(model, options, mounted.signal, (progress) => show({ ...LOADING, progress }));
    loading.current = started;
    started.then(
      (reranker) => show({ ...IDLE, status: "ready", reranker }),
      (error: Error) => show({ ...IDLE, status: "error", error }),
    );
    return () => {
      mounted.abort();
      loading.current = null;
      started.then((reranker) => reranker.dispose()).catch(() => undefined);
    };
  }, [modelKey(model), optionsKey(options)]);

  const rerank = useCallback(async (request: RerankRequest) => {
    if (!loading.current) {
      const hint = "give useReranker a model, and call rerank after the component is mounted";
      throw new RerankError("closed", "there is no model to rerank with", hint);
    }
    return (await loading.current).rerank(request);
  }, []);
  return { ...state, rerank };
}

const IDLE: RerankerState = { status: "idle", reranker: null, progress: { loaded: 0, total: 0 }, error: null };
const LOADING: RerankerState = { ...IDLE, status: "loading" };

async function load(
  model: ModelChoice,
  options: LoadOptions,
  mounted: AbortSignal,
  show: (progress: RerankerState["progress"]) => void,
): Promise<Reranker> {
  // StrictMode unmounts at once and mounts again: only what is mounted after that loads.
  await Promise.resolve();
  mounted.throwIfAborted();
  const watch = watchBytes(show);
  const onProgress = (event: ProgressEvent) => {
    watch(event);
    options.onProgress?.(event);
  };
  const { signal, release } = firstOf([mounted, options.signal]);
  return Reranker.load(model, { ...options, signal, onProgress }).finally(release);
}

/** Tells of every hundredth of the bytes: a render for every chunk would be thousands. */
function watchBytes(show: (progress: RerankerState["progress"]) => void): (event: ProgressEvent) => void {
  const files = new Map<string, { loaded: number; total: number }>();
  let shown = "";
  return (event) => {
    if (event.status !== "progress") return;
    files.set(event.file, event);
    const loaded = [...files.values()].reduce((sum, file) => sum + file.loaded, 0);
    const total = [...files.values()].reduce((sum, file) => sum + file.total, 0);
    const step = `${Math.floor((100 * loaded) / total)}/${total}`;
    if (step === shown) return;
    shown = step;
    show({ loaded, total });
  };
}
