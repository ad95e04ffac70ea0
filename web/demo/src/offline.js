// Keeps the page for visits without a network. The package keeps the model itself.

/** A worker that starts before the page is kept fetches past the keeper; waiting longer than this helps nobody. */
const PATIENCE_MS = 3000;

/**
 * @param {(kept: boolean) => void} tell
 * @returns {Promise<void>} settles when files fetched from here on are kept, or cannot be
 */
export async function keepOffline(tell) {
  if (!("serviceWorker" in navigator)) return tell(false);
  const ready = navigator.serviceWorker
    .register("sw.js")
    .then(() => navigator.serviceWorker.ready)
    .then(() => tell(true), () => tell(false));
  await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}
