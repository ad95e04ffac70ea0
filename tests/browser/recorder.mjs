// A sink that keeps what it is given, for tests of what delivers it. Runs in pages, workers and Node.

/** Records what is pushed since the sink was last opened. */
export class Recorder {
  opened = 0;
  /** @type {{ config?: Uint8Array, tokenizer?: Uint8Array }} */
  small = {};
  files = new Map();
  /**
   * Told every chunk; may throw, or return a promise.
   *
   * @type {(chunk: Uint8Array, recorder: Recorder) => void | Promise<void>}
   */
  onPush = () => {};

  async open({ config, tokenizer }) {
    this.opened += 1;
    this.small = { config, tokenizer };
    this.files.clear();
  }

  beginFile(name, bytes) {
    this.files.set(name, { bytes, chunks: [] });
  }

  push(chunk) {
    [...this.files.values()].at(-1).chunks.push(chunk.slice());
    return this.onPush(chunk, this);
  }

  sha256() {
    return new Sha256();
  }

  get received() {
    return [...this.files.values()].flatMap(({ chunks }) => chunks).reduce((sum, { length }) => sum + length, 0);
  }

  /** The hashes of all that came, by file. */
  hashes() {
    const entries = [...this.files].map(([name, { chunks }]) => [name, hashOf(chunks)]);
    const small = Object.entries(this.small).filter(([, bytes]) => bytes);
    return { ...Object.fromEntries(entries), ...Object.fromEntries(small.map(([name, bytes]) => [name, hashOf([bytes])])) };
  }
}

export function hashOf(chunks) {
  const hash = new Sha256();
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest();
}

/** The first 32 bits of the fractional parts of `root`s of the first primes. */
function primeBits(count, root) {
  const primes = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes.map((prime) => ((root(prime) % 1) * 2 ** 32) | 0);
}
const K = primeBits(64, Math.cbrt);
const START = primeBits(8, Math.sqrt);
const rotate = (word, by) => (word >>> by) | (word << (32 - by));

/** FIPS 180-4, in the order the bytes come; browsers have it for whole messages only. */
export class Sha256 {
  #state = [...START];
  #block = new Uint8Array(64);
  // Kept: for gigabytes the garbage would be more than the test is about.
  #words = new Int32Array(64);
  #length = 0;

  update(chunk) {
    for (let at = 0; at < chunk.length; ) {
      const used = this.#length % 64;
      const part = chunk.subarray(at, at + 64 - used);
      this.#block.set(part, used);
      this.#length += part.length;
      at += part.length;
      if (this.#length % 64 === 0) this.#compress();
    }
  }

  digest() {
    const bits = this.#length * 8;
    const padding = new Uint8Array(((119 - (this.#length % 64)) % 64) + 9);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, BigInt(bits));
    this.update(padding);
    return this.#state.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  free() {}

  #compress() {
    const words = this.#words;
    const view = new DataView(this.#block.buffer);
    for (let t = 0; t < 16; t++) words[t] = view.getInt32(4 * t);
    for (let t = 16; t < 64; t++) {
      const [near, far] = [words[t - 2], words[t - 15]];
      const s1 = rotate(near, 17) ^ rotate(near, 19) ^ (near >>> 10);
      const s0 = rotate(far, 7) ^ rotate(far, 18) ^ (far >>> 3);
      words[t] = s1 + words[t - 7] + s0 + words[t - 16];
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let t = 0; t < 64; t++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const first = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + words[t]) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    const next = [a, b, c, d, e, f, g, h];
    this.#state = this.#state.map((word, index) => (word + next[index]) | 0);
  }
}
