// Numbers as people read them.

/** @param {number} bytes */
export function megabytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1) return "under 1 ms";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/**
 * Two digits, for what was estimated.
 * @param {number} ms
 */
export function roughly(ms) {
  const seconds = Number((ms / 1000).toPrecision(2));
  return seconds < 0.1 ? "a tenth of a second" : `${seconds} ${seconds === 1 ? "second" : "seconds"}`;
}

/**
 * @param {number} count
 * @param {string} noun in the singular
 * @param {string} [plural]
 */
export function counted(count, noun, plural = `${noun}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
}

/**
 * A message of the package as a sentence.
 * @param {string} message
 */
export function sentence(message) {
  const begun = message.replace(/^[a-z]+(?=[ :,])/, (word) => word.charAt(0).toUpperCase() + word.slice(1));
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/**
 * A score from 0 to 1, three places.
 * @param {number} score
 */
export function probability(score) {
  return score > 0 && score < 0.0005 ? "<0.001" : score.toFixed(3);
}

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ place) => /** @type {number} */ (sorted[place]);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
}
