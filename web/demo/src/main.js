// The page: documents and a query in, two orders out.

import { RerankError } from "crossrank";

import { drawChart } from "./chart.js";
import { Collection } from "./collection.js";
import { Comparison } from "./comparison.js";
import { element, made, motionAllowed } from "./dom.js";
import { Download } from "./download.js";
import { acceptDrops } from "./drop.js";
import { Figures } from "./figures.js";
import { counted, duration, megabytes, sentence } from "./format.js";
import { keepOffline } from "./offline.js";
import { Pickers, isWeights } from "./pickers.js";
import { SAMPLE_DOCUMENTS, SAMPLE_QUERIES } from "./sample.js";
import { Session } from "./session.js";
import { Status } from "./status.js";

/** @typedef {import("../../src/types.js").RerankResult} RerankResult */

/** A pause in typing after which documents are split and counted again. */
const TYPING_PAUSE_MS = 150;
const SAMPLE = SAMPLE_DOCUMENTS.join("\n");
/** Where the results lie below the form. */
const NARROW = matchMedia("(max-width: 1100px)");

const query = element("query", HTMLInputElement);
const pasted = element("pasted", HTMLTextAreaElement);
const collection = new Collection();
const comparison = new Comparison();
const pickers = new Pickers({ onCandidates: refresh, onModel: invite });
const session = new Session();
const status = new Status();
const figures = new Figures();
/** @type {import("./chart.js").Run[]} */
const runs = [];
/** @type {AbortController | undefined} */
let running;
let ranking = false;
let current = Promise.resolve();
/** Settles when files fetched from then on are kept. */
const kept = keepOffline((yes) => {
  const offline = element("offline", HTMLElement);
  offline.textContent = yes ? "Kept for offline use" : "Not kept for offline use";
  offline.classList.toggle("kept", yes);
});

/** The first stage again; a ranking that is under way would be of something else. */
function refresh() {
  if (ranking) running?.abort();
  const started = performance.now();
  const candidates = collection.best(query.value, pickers.count);
  const elapsedMs = performance.now() - started;
  element("count", HTMLElement).textContent = String(collection.entries.length);
  comparison.showFirstStage(candidates, collection.entries.length, elapsedMs);
  element("samples", HTMLElement).hidden = pasted.value !== SAMPLE;
  for (const sample of element("samples", HTMLElement).children) {
    sample.setAttribute("aria-pressed", String(sample.textContent === query.value));
  }
  invite();
}

/** Says how to come to a reranked order, where there is none. */
function invite() {
  const settings = pickers.settings();
  if (comparison.candidates.length === 0) return comparison.invite("Paste documents, drop files, or take the sample.");
  if (typeof settings === "string") return comparison.invite(settings);
  if (session.holds(settings)) return comparison.invite("Press Rerank: the model reads the query with each document.");
  if (pickers.own) return comparison.invite("Press Rerank. The model's files are read where they are.");
  const size = pickers.bytes ? `, ${megabytes(pickers.bytes)},` : "";
  comparison.invite(`Press Rerank. The model${size} is loaded once and kept; after that no network is needed.`);
}

/** Ranks, after a run that was just stopped has ended; not while one goes on. */
function start() {
  if (!running || running.signal.aborted) current = current.then(run);
}

async function run() {
  const settings = pickers.settings();
  if (typeof settings === "string") return status.say(settings);
  if (query.value.trim() === "") return query.focus(), status.say("Type a query first.");
  if (comparison.candidates.length === 0) return pasted.focus(), status.say("Add documents first.");
  running = new AbortController();
  status.begin();
  try {
    await rank(await load(settings, running.signal), running.signal);
  } catch (error) {
    if (running.signal.aborted) return status.say("Stopped.");
    status.fail(error);
    // A worker that died is not coming back: after all but a wrong request the next run loads anew.
    if (!(error instanceof RerankError && error.code === "invalid_input")) await session.close();
  } finally {
    ranking = false;
    running = undefined;
    status.end();
  }
}

/**
 * @param {import("./session.js").Settings} settings
 * @param {AbortSignal} signal
 */
async function load(settings, signal) {
  if (session.reranker && session.holds(settings)) return session.reranker;
  status.say(`Loading ${pickers.modelName}.`);
  await kept;
  const download = new Download();
  const reranker = await session.load(settings, {
    signal,
    onProgress: (event) => {
      download.note(event);
      const total = Math.max(download.total, pickers.bytes ?? 0);
      if (total > 0) status.progress(download.loaded / total, `${megabytes(download.loaded)} of ${megabytes(total)}`);
    },
  });
  figures.loaded(reranker.info, download);
  pickers.noteDevice(reranker.info.deviceNote);
  return reranker;
}

/**
 * @param {import("crossrank").Reranker} reranker
 * @param {AbortSignal} signal
 */
async function rank(reranker, signal) {
  ranking = true;
  const documents = comparison.candidates.map(({ entry }) => entry.document);
  status.say(`Reading ${counted(documents.length, "document")}.`);
  comparison.showReranked([]);
  if (NARROW.matches) element("results", HTMLElement).scrollIntoView({ behavior: motionAllowed() ? "smooth" : "auto" });
  const partial = perFrame((/** @type {RerankResult[]} */ results) => {
    if (ranking && !signal.aborted) comparison.showReranked(results);
  });
  const started = performance.now();
  const response = await reranker.rerank({
    query: query.value,
    documents,
    signal,
    onPartial: partial,
    onProgress: ({ pairsDone, pairsTotal }) =>
      status.progress(pairsDone / pairsTotal, `${pairsDone} of ${pairsTotal} pairs`),
  });
  const ms = performance.now() - started;
  signal.throwIfAborted();
  ranking = false;
  comparison.showReranked(response.results);
  report(response.meta, documents.length, ms, reranker.info);
}

/**
 * @param {import("../../src/types.js").RerankMeta} meta
 * @param {number} documents
 * @param {number} ms
 * @param {import("../../src/types.js").ModelInfo} info
 */
function report(meta, documents, ms, info) {
  const device = meta.device === "webgpu" ? "WebGPU" : "WebAssembly";
  comparison.note(`${counted(documents, "document")} in ${duration(ms)} on ${device}`);
  const notes = [info.cacheNote, ...meta.warnings].filter((note) => note !== undefined).map(sentence);
  status.say([`Ranked ${counted(documents, "document")} in ${duration(ms)}.`, ...notes].join(" "));
  runs.push({ ms, documents, device: meta.device });
  drawChart(runs);
  figures.ran(meta, documents, ms);
  void figures.measureMachine();
}

/**
 * Calls `show` with the newest value once a frame at most.
 * @template T
 * @param {(value: T) => void} show
 * @returns {(value: T) => void}
 */
function perFrame(show) {
  /** @type {T | undefined} */
  let newest;
  return (value) => {
    if (newest === undefined) requestAnimationFrame(() => (show(/** @type {T} */ (newest)), (newest = undefined)));
    newest = value;
  };
}

/** @param {File[]} files */
async function addFiles(files) {
  if (files.some(isWeights)) return pickers.takeFiles(files);
  // The sample is there to be looked at; own documents take its place.
  if (pasted.value === SAMPLE) setPasted("");
  const problems = await collection.add(files);
  listFiles();
  refresh();
  if (problems.length > 0) status.fail({ message: problems.join(" ") });
  else status.say(`${counted(files.length, "file")} added: ${counted(collection.entries.length, "document")} now.`);
}

function listFiles() {
  const items = collection.files.map((file) => {
    const item = made("li");
    const remove = made("button", "Remove", { type: "button", "aria-label": `Remove ${file.name}` });
    remove.addEventListener("click", () => (collection.remove(file), listFiles(), refresh(), pasted.focus()));
    item.append(made("span", file.name), made("span", String(file.documents.length), { class: "count" }), remove);
    return item;
  });
  element("files", HTMLElement).replaceChildren(...items);
}

/** @param {string} text */
function setPasted(text) {
  pasted.value = text;
  collection.paste(text);
}

function takeSample() {
  collection.files = [];
  listFiles();
  query.value = SAMPLE_QUERIES[0] ?? "";
  setPasted(SAMPLE);
  refresh();
}

function offerSampleQueries() {
  const buttons = SAMPLE_QUERIES.map((text) => {
    const button = made("button", text, { type: "button" });
    button.addEventListener("click", () => {
      query.value = text;
      refresh();
      if (session.reranker) start();
    });
    return button;
  });
  element("samples", HTMLElement).replaceChildren(...buttons);
}

function listen() {
  let pause = 0;
  query.addEventListener("input", refresh);
  pasted.addEventListener("input", () => {
    clearTimeout(pause);
    pause = window.setTimeout(() => (collection.paste(pasted.value), refresh()), TYPING_PAUSE_MS);
  });
  pasted.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element("form", HTMLFormElement).requestSubmit();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
  element("form", HTMLFormElement).addEventListener("submit", (event) => (event.preventDefault(), start()));
  element("cancel", HTMLButtonElement).addEventListener("click", () => running?.abort());
  element("sample", HTMLButtonElement).addEventListener("click", takeSample);
  element("clear", HTMLButtonElement).addEventListener("click", () => {
    collection.files = [];
    listFiles();
    setPasted("");
    refresh();
    pasted.focus();
  });
  const choose = element("choose", HTMLInputElement);
  choose.addEventListener("change", async () => {
    await addFiles(Array.from(choose.files ?? []));
    choose.value = "";
  });
  acceptDrops((files) => void addFiles(files));
}

element("settings-group", HTMLDetailsElement).open = !NARROW.matches;
offerSampleQueries();
listen();
takeSample();
drawChart(runs);
pickers.describeMachine().then((support) => figures.found(support), (error) => status.fail(error));
void figures.measureMachine();
pickers.listModels().catch((error) => status.fail(error));
