// A file server for tests that misbehaves on request, and remembers what it was asked.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join, relative, sep } from "node:path";

/**
 * How one path is served. Without anything: whole, with Range, Content-Length, ETag and Last-Modified.
 *
 * @typedef {object} Behaviour
 * @property {number} [status] instead of 200, with no file
 * @property {Uint8Array | string} [body] instead of the file
 * @property {number} [cutAfter] bytes after which the connection breaks
 * @property {number} [times] requests that this is for, after which the path is served as ever; default: all
 * @property {boolean} [ignoresRange] answers 200 with everything
 * @property {boolean} [breaksOnRange] hangs up on requests with Range
 * @property {boolean} [breaks] hangs up on every request
 * @property {number} [msPerChunk] a pause after every 64 KiB
 * @property {number} [stallsAfter] bytes after which nothing more comes, though the connection stays
 * @property {boolean} [hidesLength] sends it in chunks of unknown number
 * @property {boolean} [hidesVersion] sends neither ETag nor Last-Modified
 * @property {string} [etag]
 * @property {Record<string, string>} [headers]
 */

const CHUNK_BYTES = 1 << 16;

/** The paths of all files below a folder. */
export const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());

/** The files below a folder for `serve`, by their addresses below `prefix`. */
export const filesOf = (folder, prefix = "/") =>
  Object.fromEntries(filesBelow(folder).map((path) => [prefix + relative(folder, path).split(sep).join("/"), readFileSync(path)]));

/**
 * Serves `files` by path (`/models/a/config.json`), on a port of its own.
 *
 * @param {Record<string, Uint8Array | string>} files
 * @param {{ cors?: "none" | "plain" | "exposed", headers?: Record<string, string> }} [options] whether other
 * origins may read files, and with `exposed` all headers, too; headers of every answer
 */
export async function serve(files, { cors = "none", headers = {} } = {}) {
  const behaviours = new Map();
  const requests = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://server").pathname);
    const { method, url } = request;
    requests.push({ method, path, url, range: request.headers.range, origin: request.headers.origin });
    if (cors !== "none") response.setHeader("access-control-allow-origin", "*");
    if (cors === "exposed") response.setHeader("access-control-expose-headers", "*");
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const behaviour = take(behaviours, path);
    answer(request, response, behaviour.body ?? files[path], path, behaviour).catch(() => response.destroy());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${server.address().port}`;
  return {
    address,
    files,
    requests,
    /** The requests for paths that end so, with a body. */
    gets: (end) => requests.filter(({ method, path }) => method === "GET" && path.endsWith(end)),
    /** @param {string} path @param {Behaviour} behaviour */
    set: (path, behaviour) => void behaviours.set(path, { ...behaviour }),
    reset: () => (behaviours.clear(), void requests.splice(0)),
    close: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}

function take(behaviours, path) {
  const behaviour = behaviours.get(path) ?? {};
  if (behaviour.times !== undefined && --behaviour.times <= 0) behaviours.delete(path);
  return { ...behaviour };
}

async function answer(request, response, file, path, behaviour) {
  if (behaviour.breaks || (behaviour.breaksOnRange && request.headers.range)) return response.destroy();
  for (const [name, value] of Object.entries(behaviour.headers ?? {})) response.setHeader(name, value);
  if (behaviour.status) return response.writeHead(behaviour.status).end("no");
  if (file === undefined) return response.writeHead(404, { "content-type": "text/html" }).end("<html>not found</html>");
  const bytes = Buffer.from(file);
  if (!response.hasHeader("content-type")) response.setHeader("content-type", typeOf(path));
  if (!behaviour.hidesVersion) {
    response.setHeader("etag", behaviour.etag ?? `"${createHash("md5").update(bytes).digest("hex")}"`);
    response.setHeader("last-modified", "Tue, 24 Nov 2026 00:00:00 GMT");
  }
  const start = behaviour.ignoresRange ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start >= bytes.length && start > 0) return response.writeHead(416).end();
  const range = start > 0 ? { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
  const length = behaviour.hidesLength ? {} : { "content-length": bytes.length - start };
  response.writeHead(start > 0 ? 206 : 200, { ...range, ...length });
  if (request.method === "HEAD") return response.end();
  await send(response, bytes.subarray(start), behaviour);
}

async function send(response, bytes, { cutAfter = Infinity, stallsAfter = Infinity, msPerChunk = 0 }) {
  const end = Math.min(bytes.length, cutAfter, stallsAfter);
  for (let at = 0; at < end && !response.destroyed; at += CHUNK_BYTES) {
    const isRoomy = response.write(bytes.subarray(at, Math.min(at + CHUNK_BYTES, end)));
    if (!isRoomy) await roomOrEnd(response);
    if (msPerChunk > 0) await new Promise((resolve) => setTimeout(resolve, msPerChunk));
  }
  if (bytes.length > cutAfter) {
    // What was written is to arrive before the connection breaks.
    await new Promise((resolve) => setTimeout(resolve, 50));
    response.destroy();
  } else if (bytes.length <= stallsAfter) response.end();
}

const roomOrEnd = (response) =>
  new Promise((resolve) => {
    const go = () => (response.off("drain", go), response.off("close", go), resolve());
    response.on("drain", go).on("close", go);
  });

function typeOf(path) {
  const types = { html: "text/html", js: "text/javascript", mjs: "text/javascript", json: "application/json", wasm: "application/wasm" };
  return types[path.split(".").at(-1)] ?? "application/octet-stream";
}

/** The same bytes for the same seed, without pattern. */
export function randomBytes(length, seed = 1) {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
