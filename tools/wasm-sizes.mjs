// Prints what the WebAssembly modules of a folder weigh, and fails if one is heavier than promised.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

/** Bytes on the wire with gzip -9, promised in docs/browser.md. */
const LIMITS = {
  "crossrank_cpu.wasm": 1_200_000, "crossrank_cpu_relaxed.wasm": 1_200_000, "crossrank_cpu_threads.wasm": 1_300_000,
  "crossrank_gpu.wasm": 3_500_000,
};

const folder = process.argv[2];
const files = readdirSync(folder).filter((name) => /^crossrank_\w+\.(js|wasm)$/.test(name));
const columns = (name, ...figures) => name.padEnd(26) + figures.map((figure) => String(figure).padStart(12)).join("");

console.log(columns("bytes", "raw", "gzip -9", "brotli", "limit"));
for (const name of files.sort()) {
  const bytes = readFileSync(join(folder, name));
  const gzip = gzipSync(bytes, { level: 9 }).length;
  const limit = LIMITS[name];
  console.log(columns(name, bytes.length, gzip, brotliCompressSync(bytes).length, limit ?? ""));
  if (gzip > limit) {
    console.error(`build.sh: ${name} has ${gzip} bytes with gzip, more than ${limit}`);
    process.exitCode = 1;
  }
}
