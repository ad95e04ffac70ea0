import { expect, test } from "vitest";
import { type Bytes, chunksOf } from "../../src/storage/chunks.js";

const CHUNKS = [[1, 2, 3], [4], [5, 6]];

function streamOf(type?: "bytes"): ReadableStream<Bytes> {
  const left = CHUNKS.map((bytes) => new Uint8Array(bytes));
  const pull = (controller: ReadableStreamDefaultController<Bytes> | ReadableByteStreamController) => {
    const next = left.shift();
    if (next) return controller.enqueue(next);
    controller.close();
    // As a source of bytes must end the read that waits.
    if ("byobRequest" in controller) controller.byobRequest?.respond(0);
  };
  return new ReadableStream({ pull, ...(type && { type }) } as UnderlyingSource<Bytes>);
}

test.each([undefined, "bytes" as const])("gives every byte of a stream of type %s once, in order", async (type) => {
  const bytes: number[] = [];
  for await (const chunk of chunksOf(streamOf(type))) bytes.push(...chunk);
  expect(bytes).toEqual(CHUNKS.flat());
});

test("takes the memory of a chunk back for the next one", async () => {
  const chunks: Bytes[] = [];
  for await (const chunk of chunksOf(streamOf("bytes"))) chunks.push(chunk);
  expect(chunks.map(({ byteLength }) => byteLength)).toEqual([0, 0, 0]);
});

test("ends the stream of whoever stops early", async () => {
  let reason = "still open";
  const stream = new ReadableStream<Bytes>({ pull: (to) => to.enqueue(new Uint8Array(1)), cancel: () => void (reason = "cancelled") });
  for await (const _ of chunksOf(stream)) break;
  expect(reason).toBe("cancelled");
});
