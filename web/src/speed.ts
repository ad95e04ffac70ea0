/**
 * A loop of SIMD multiplications and additions, 64 of them a round. In words:
 * `(func (export "run") (param $rounds i32) (result f32)`, with eight accumulators of type v128, each
 * `a = f32x4.add(f32x4.mul(a, 0.5), 1)` every round, whose sum's first lane is returned.
 */
const MODULE =
  "AGFzbQEAAAABBgFgAX8BfQMCAQAHBwEDcnVuAAAKvQEBugEBCntDAAAAP/0TIQFDAACAP/0TIQIDQCADIAH95gEgAv3kASEDIAQgAf3mASAC" +
  "/eQBIQQgBSAB/eYBIAL95AEhBSAGIAH95gEgAv3kASEGIAcgAf3mASAC/eQBIQcgCCAB/eYBIAL95AEhCCAJIAH95gEgAv3kASEJIAogAf3m" +
  "ASAC/eQBIQogAEEBayIADQALIAMgBP3kASAFIAb95AH95AEgByAI/eQBIAkgCv3kAf3kAf3kAf0fAAs=";

/** A module of one function that is `i8x16.relaxed_swizzle` of two vectors: valid where relaxed SIMD is there. */
const RELAXED_SIMD = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0], // "\0asm", version 1
  ...[1, 5, 1, 96, 0, 1, 123], // a type: nothing to v128
  ...[3, 2, 1, 0], // a function of it
  ...[10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11],
]);

const FLOPS_PER_ROUND = 64;
const ROUNDS = 10_000;
/** A browser may tell time in whole milliseconds, and compiles well only what has run for a while. */
const MEASUREMENT_MS = 3;
const MEASUREMENTS = 5;
/** Where nothing can be measured: a tenth of what a computer of 2020 does. */
const SLOW = 4e9;

const moduleBytes = () => Uint8Array.from(atob(MODULE), (character) => character.charCodeAt(0));

/** Whether WebAssembly knows 128-bit SIMD, without which the engine does not run. */
export const hasSimd = (): boolean => isValid(moduleBytes());

/** Whether it knows relaxed SIMD, whose products of integers are the fastest. */
export const hasRelaxedSimd = (): boolean => isValid(RELAXED_SIMD);

const isValid = (module: BufferSource) => typeof WebAssembly === "object" && WebAssembly.validate(module);

/** The operations a second that one thread does at most, measured in about 15 ms. */
export function measureSimd(): number {
  let run: (rounds: number) => number;
  try {
    run = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes())).exports.run as typeof run;
  } catch {
    // No SIMD, or a policy forbids WebAssembly.
    return SLOW;
  }
  // The best of several: the others were disturbed, or ran before the code was compiled well.
  return Math.max(...Array.from({ length: MEASUREMENTS }, () => measure(run)));
}

function measure(run: (rounds: number) => number): number {
  const start = performance.now();
  for (let rounds = ROUNDS; ; rounds += ROUNDS) {
    run(ROUNDS);
    const ms = performance.now() - start;
    if (ms >= MEASUREMENT_MS) return (rounds * FLOPS_PER_ROUND * 1000) / ms;
  }
}
