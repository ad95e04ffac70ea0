/**
 * A loop of SIMD multiplications and additions, 64 of them a round. In words:
 * `(func (export "run") (param $rounds i32) (result f32)`, with eight accumulators of type v128, each
 * `a = f32x4.add(f32x4.mul(a, 0.5), 1)` every round, whose sum's first lane is returned.
 */
const MODULE =
  "AGFzbQEAAAABBgFgAX8BfQMCAQAHBwEDcnVuAAAKvQEBugEBCntDAAAAP/0TIQFDAACAP/0TIQIDQCADIAH95gEgAv3kASEDIAQgAf3mASAC" +
  "/eQBIQQgBSAB/eYBIAL95AEhBSAGIAH95gEgAv3kASEGIAcgAf3mASAC/eQBIQcgCCAB/eYBIAL95AEhCCAJIAH95gEgAv3kASEJIAogAf3m" +
  "ASAC/eQBIQogAEEBayIADQALIAMgBP3kASAFIAb95AH95AEgByAI/eQBIAkgCv3kAf3kAf3kAf0fAAs=";

const FLOPS_PER_ROUND = 64;
const ROUNDS = 10_000;
/** A browser may tell time in whole milliseconds, and compiles well only what has run for a while. */
const MEASUREMENT_MS = 3;
const MEASUREMENTS = 5;
/** Where nothing can be measured: a tenth of what a computer of 2020 does. */
const SLOW = 4e9;

const moduleBytes = () => Uint8Array.from(atob(MODULE), (character) => character.charCodeAt(0));

/** Whether WebAssembly knows 128-bit SIMD, without which the engine does not run. */
export const hasSimd = (): boolean => typeof WebAssembly === "object" && WebAssembly.validate(moduleBytes());

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
