import { expect, test } from "vitest";
import { engineError, isFatal } from "../src/engine.js";
import { RerankError, asRerankError, closedError } from "../src/errors.js";
import { packError, unpackError } from "../src/protocol.js";

/** As a worker's error reaches its page. */
const sent = (error: unknown) => unpackError(structuredClone(packError(error)));

test("a RerankError comes out of a worker as one, with its code, hint, stack and causes", () => {
  const root = new TypeError("no connection");
  const error = new RerankError("network", "cannot reach it", "try again", { cause: new RerankError("closed", "middle", "", { cause: root }) });
  const found = sent(error);
  expect(found).toBeInstanceOf(RerankError);
  expect(found).toMatchObject({ name: "RerankError", code: "network", message: "cannot reach it", hint: "try again" });
  expect(found.stack).toBe(error.stack);
  expect(found.cause).toBeInstanceOf(RerankError);
  expect((found.cause as Error).cause).toMatchObject({ name: "TypeError", message: "no connection" });
});

test("errors of others keep their names, and what is no error becomes one", () => {
  expect(sent(new DOMException("stopped", "AbortError"))).toMatchObject({ name: "AbortError", message: "stopped" });
  expect(sent(new RangeError("far"))).toMatchObject({ name: "RangeError", message: "far" });
  expect(sent("a string")).toMatchObject({ name: "Error", message: "a string" });
  expect(sent(new Error("outer", { cause: "text" })).cause).toMatchObject({ message: "text" });
});

test("an error that is its own cause does not send for ever", () => {
  const error = new Error("round");
  error.cause = error;
  let depth = 0;
  for (let at: unknown = sent(error); at instanceof Error; at = at.cause) depth += 1;
  expect(depth).toBe(5);
});

test("what a module throws keeps its code, and gets a hint where it has none", () => {
  const thrown = (code: string, message: string, hint: string) => engineError(Object.assign(new Error(message), { code, hint }), "cpu");
  expect(thrown("invalid_input", "the query is empty", "pass one")).toMatchObject({ code: "invalid_input", hint: "pass one" });
  expect(thrown("model_unsupported", "hidden_act is not supported", "").hint).not.toBe("");
  const lost = thrown("device_lost", "the device failed: gone\nCaused by:\n  a driver", "");
  expect(lost).toMatchObject({ message: "the device failed: gone", cause: { message: expect.stringContaining("a driver") } });
  expect(isFatal(lost)).toBe(true);
});

test("a trap ends its module: a lost GPU, or memory that has ended", () => {
  const trap = new WebAssembly.RuntimeError("unreachable");
  expect(engineError(trap, "gpu")).toMatchObject({ code: "device_lost", cause: trap });
  const error = engineError(trap, "cpu");
  expect(error).toMatchObject({ code: "internal", hint: expect.stringContaining("memory") });
  expect([isFatal(error), isFatal(new RerankError("internal", "a"))]).toEqual([true, false]);
});

test("anything else is an internal error that keeps its cause", () => {
  const error = new RerankError("closed", "a");
  expect(asRerankError(error)).toBe(error);
  const cause = new TypeError("x is not a function");
  expect(asRerankError(cause)).toMatchObject({ code: "internal", message: cause.message, cause });
  // A caller's own errors may have codes, too.
  expect(engineError(Object.assign(new Error("EACCES: denied"), { code: "EACCES" }), "cpu").code).toBe("internal");
  expect(closedError()).toMatchObject({ code: "closed", message: "this reranker is closed" });
});
