// Latency over the runs of this visit: one dot a run.

import { element, svg } from "./dom.js";
import { counted, duration, median } from "./format.js";

/** @typedef {{ ms: number, documents: number, device: "webgpu" | "wasm" }} Run */

/** How the runs of a device are drawn: as discs and as rings. */
const DEVICES = { wasm: { name: "WebAssembly", mark: "●" }, webgpu: { name: "WebGPU", mark: "○" } };
const WIDTH = 320;
const HEIGHT = 132;
const LEFT = 52;
const BOTTOM = 18;
const TOP = 10;
/** Older runs leave on the left. */
const MAX_RUNS = 20;

/** @param {readonly Run[]} runs oldest first */
export function drawChart(runs) {
  if (runs.length === 0) return drawEmpty();
  const shown = runs.slice(-MAX_RUNS);
  const top = niceCeiling(Math.max(...shown.map((run) => run.ms)));
  const y = (/** @type {number} */ ms) => height(ms / top);
  const step = (WIDTH - LEFT - 16) / (MAX_RUNS - 1);
  const x = (/** @type {number} */ at) => LEFT + 8 + at * step;
  const chart = element("chart", SVGSVGElement);
  const points = shown.map((run, at) => `${x(at)} ${y(run.ms)}`);
  chart.replaceChildren(
    ...[0, top / 2, top].flatMap((ms) => gridLine(y(ms), tick(ms))),
    svg("text", { x: LEFT + 4, y: HEIGHT - 3, class: "tick" }, `run ${runs.length - shown.length + 1}`),
    svg("path", { d: `M${points.join("L")}`, class: "trace" }),
    ...shown.map((run, at) => dot(run, x(at), y(run.ms))),
  );
  const summary = summaryOf(runs);
  chart.setAttribute("aria-label", `Latency. ${summary.replace(/[●○] /g, "")}`);
  element("chart-note", HTMLElement).textContent = summary;
}

function drawEmpty() {
  const text = svg("text", { x: (LEFT + WIDTH) / 2, y: height(0.25) + 4, class: "tick", "text-anchor": "middle" }, "no run yet");
  element("chart", SVGSVGElement).replaceChildren(...[0, 0.5, 1].flatMap((share) => gridLine(height(share), "")), text);
}

/** @param {number} share of the chart's height, from its foot */
function height(share) {
  return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
}

/**
 * @param {number} y
 * @param {string} label
 */
function gridLine(y, label) {
  return [
    svg("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y, class: "grid" }),
    svg("text", { x: LEFT - 8, y: y + 4, class: "tick", "text-anchor": "end" }, label),
  ];
}

/** @param {number} ms */
function tick(ms) {
  return ms === 0 ? "0" : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}

/**
 * @param {Run} run
 * @param {number} x
 * @param {number} y
 */
function dot(run, x, y) {
  const node = svg("circle", { cx: x, cy: y, r: 4, class: run.device });
  const { name } = DEVICES[run.device];
  node.append(svg("title", {}, `${duration(run.ms)}, ${counted(run.documents, "document")}, ${name}`));
  return node;
}

/** @param {readonly Run[]} runs */
function summaryOf(runs) {
  const parts = Object.entries(DEVICES).map(([device, { name, mark }]) => {
    const times = runs.filter((run) => run.device === device).map((run) => run.ms);
    return times.length === 0 ? "" : `${mark} ${name}: ${counted(times.length, "run")}, median ${duration(median(times))}`;
  });
  return parts.filter((part) => part !== "").join("; ");
}

/** @param {number} ms the next of 1, 2, 4 or 10 times a power of ten */
function niceCeiling(ms) {
  const power = 10 ** Math.floor(Math.log10(Math.max(ms, 1)));
  return power * (/** @type {number} */ ([1, 2, 4, 10].find((factor) => factor * power >= ms)));
}
