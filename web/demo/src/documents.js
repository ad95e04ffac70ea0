// Documents from what people paste and drop, and the text of a document that the page shows.

import { csvDocuments } from "./csv.js";

/** @typedef {import("../../src/types.js").Document} Document */

/** Files that are read; the first stage holds all of them in memory. */
export const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** What was wrong with a file, in words for the person who chose it. */
export class DocumentError extends Error {}

/**
 * @param {Blob & { name: string }} file
 * @returns {Promise<Document[]>}
 */
export async function readDocuments(file) {
  if (file.size > MAX_FILE_BYTES) throw new DocumentError(`${file.name} is larger than 64 MB; split it first.`);
  const bytes = await file.arrayBuffer();
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new DocumentError(`${file.name} is not UTF-8 text. txt, md, jsonl, json, csv and tsv can be read.`);
  }
  const documents = parseDocuments(file.name, text);
  if (documents.length === 0) throw new DocumentError(`${file.name} holds no text.`);
  return documents;
}

/**
 * The name's ending decides how the text is split.
 * @param {string} name
 * @param {string} text
 * @returns {Document[]}
 */
export function parseDocuments(name, text) {
  const ending = name.toLowerCase().split(".").pop();
  if (ending === "csv" || ending === "tsv") return csvDocuments(text);
  if (ending === "jsonl" || ending === "ndjson" || ending === "json") return jsonDocuments(name, text);
  return ending === "md" || ending === "markdown" ? sections(text) : pastedDocuments(text);
}

/**
 * Pasted text: JSON Lines or a JSON array if it is one; else blocks between blank lines, or lines if there are
 * no blank lines.
 * @param {string} text
 * @returns {Document[]}
 */
export function pastedDocuments(text) {
  const trimmed = text.replaceAll("\r\n", "\n").trim();
  if (/^(\{|\[\s*["{])/.test(trimmed)) {
    try {
      return jsonDocuments("The text", trimmed);
    } catch {
      // Text may begin with a bracket too.
    }
  }
  return blocks(trimmed, /\n[^\S\n]*\n/.test(trimmed) ? /\n[^\S\n]*\n/ : /\n/);
}

/**
 * @param {string} text
 * @param {RegExp} border
 */
function blocks(text, border) {
  return text.split(border).map((block) => block.trim()).filter((block) => block !== "");
}

/**
 * Markdown: a document for every heading with the text below it; blocks where there are no headings.
 * @param {string} text
 */
function sections(text) {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  /** @type {string[][]} */
  const found = [[]];
  let fenced = false;
  for (const line of lines) {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    if (!fenced && /^#{1,6}\s/.test(line)) found.push([line.replace(/^#+\s+/, "").replace(/\s#+\s*$/, "")]);
    else found.at(-1)?.push(line);
  }
  if (found.length === 1) return blocks(text, /\n\s*\n/);
  return found.map((section) => section.join("\n").trim()).filter((section) => section !== "");
}

/**
 * @param {string} name
 * @param {string} text
 * @returns {Document[]}
 */
function jsonDocuments(name, text) {
  const whole = text.trimStart().startsWith("[") ? parsed(name, text, "") : undefined;
  if (Array.isArray(whole)) return whole.map((value, index) => document(name, value, `element ${index + 1}`));
  const lines = text.split("\n").map((line, index) => ({ line, place: `line ${index + 1}` }));
  return lines
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, place }) => document(name, parsed(name, line, place), place));
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} place
 * @returns {unknown}
 */
function parsed(name, text, place) {
  try {
    return JSON.parse(text);
  } catch {
    throw new DocumentError(`${name} is not JSON${place ? ` at ${place}` : ""}. JSON Lines has one value a line.`);
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} place
 * @returns {Document}
 */
function document(name, value, place) {
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return /** @type {Record<string, unknown>} */ (value);
  }
  throw new DocumentError(`${name}, ${place}: a document is a string or an object.`);
}

/**
 * What the page shows of a document and the first stage counts words in: its text, or its fields a line each.
 * `_id` says nothing about the content.
 * @param {Document} value
 */
export function textOf(value) {
  if (typeof value === "string") return value;
  const fields = Object.entries(value).filter(([name, field]) => name !== "_id" && field !== null && field !== "");
  if (fields.length === 1) return fieldText(fields[0]?.[1]);
  return fields.map(([name, field]) => `${name}: ${fieldText(field)}`).join("\n");
}

/** @param {unknown} field */
function fieldText(field) {
  return typeof field === "string" ? field : JSON.stringify(field);
}
