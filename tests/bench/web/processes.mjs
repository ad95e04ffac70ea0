// Memory and processor time of Chromium's renderers and its GPU process, from /proc.
import { readdirSync, readFileSync } from "node:fs";

const PAGE_BYTES = 4096;
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 20;

const read = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // it has ended
  }
};
/** The fields of /proc/PID/stat after the program's name. */
const stat = (pid) => read(pid, "stat").split(") ").at(-1).split(" ");

/** Renderers and GPU processes among this process' descendants. */
export function chromiumProcesses() {
  const parents = new Map(readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => [pid, stat(pid)[1]]));
  const isOurs = (pid) => pid === String(process.pid) || (parents.has(pid) && isOurs(parents.get(pid)));
  return [...parents.keys()].filter((pid) => /--type=(renderer|gpu-process)/.test(read(pid, "cmdline")) && isOurs(pid));
}

const residentBytes = (pids) => pids.reduce((sum, pid) => sum + Number(read(pid, "statm").split(" ")[1] ?? 0) * PAGE_BYTES, 0);

/** Seconds of processor time spent so far. */
export const processorSeconds = () =>
  chromiumProcesses().reduce((sum, pid) => sum + (Number(stat(pid)[11]) + Number(stat(pid)[12])) / TICKS_PER_SECOND, 0);

/** Samples resident memory until `peakBytes` is asked for: the highest sum over all processes. */
export function watchMemory() {
  let peak = 0, pids = [], samples = 0;
  const sample = () => {
    if (samples++ % 10 === 0) pids = chromiumProcesses();
    peak = Math.max(peak, residentBytes(pids));
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return { peakBytes: () => (clearInterval(timer), sample(), peak) };
}
