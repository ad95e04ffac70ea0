/** Functions of the caller, and what stops them. */

/**
 * A signal that is aborted with the first of `signals`; `release` lets go of them. (`AbortSignal.any` is
 * younger than the browsers that are to work.)
 */
export function firstOf(signals: readonly (AbortSignal | undefined)[]): { signal: AbortSignal; release: () => void } {
  const first = new AbortController();
  const released = new AbortController();
  for (const signal of signals) {
    if (signal?.aborted) first.abort(signal.reason);
    signal?.addEventListener("abort", () => first.abort(signal.reason), { once: true, signal: released.signal });
  }
  return { signal: first.signal, release: () => released.abort() };
}

/** A caller's function whose exceptions stay the caller's: they are reported, and stop nothing. */
export function guarded<A extends unknown[]>(callback: (...values: A) => void): (...values: A) => void {
  return (...values) => {
    try {
      callback(...values);
    } catch (error) {
      if (typeof reportError === "function") reportError(error);
      else console.error(error);
    }
  };
}
