/** Bytes in memory of their own, as browsers take them for writing. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of a stream that are read at once. */
const CHUNK_BYTES = 1 << 18;

/** Readers in use. Chromium forgets a file's stream that only waits for its reader, which then waits for ever. */
const readers = new Set<{ cancel(): Promise<void> }>();

/** Waits for a read, or fails where it takes too long. */
type Patience = <T>(read: Promise<T>) => Promise<T>;

/**
 * The stream's pieces as they come; whoever stops early cancels it. A piece is gone when the next one is asked
 * for: all are read into the same memory, where the browser can, as the garbage of gigabytes would pile up.
 */
export async function* chunksOf(
  stream: ReadableStream<Bytes>,
  wait: Patience = (read) => read,
): AsyncGenerator<Bytes, void, undefined> {
  const { reader, read } = open(stream);
  readers.add(reader);
  try {
    for (;;) {
      const { done, value } = await wait(read());
      if (done || !value) return;
      yield value;
    }
  } finally {
    // Not awaited: a stream that is stuck would hold up its reader, too.
    reader.cancel().catch(() => {});
    readers.delete(reader);
  }
}

function open(stream: ReadableStream<Bytes>) {
  try {
    const reader = stream.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(CHUNK_BYTES);
    const read = async () => {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (value) buffer = value.buffer;
      return { done, value };
    };
    return { reader, read };
  } catch {
    const reader = stream.getReader();
    return { reader, read: () => reader.read() };
  }
}

/** All pieces in one. */
export function joined(chunks: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(chunks.reduce((bytes, chunk) => bytes + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
