// Serves folders under path prefixes, with browser caching, and remembers what was fetched.
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES = {
  ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm",
  ".html": "text/html",
};

/** Before it, a path gives a script that counts GPU dispatches and then runs the script at the path. */
const COUNTED = "/counted";

/** @param {Record<string, string>} folders by prefix (`/models/`); the longest that fits is taken */
export async function serve(folders) {
  const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
  const fileOf = (path) => {
    const prefix = prefixes.find((start) => path.startsWith(start));
    return prefix && join(folders[prefix], normalize(`/${path.slice(prefix.length)}`));
  };
  const fetched = new Set();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://server").pathname);
    if (path.startsWith(`${COUNTED}/`)) return counted(response, path.slice(COUNTED.length));
    const file = fileOf(path);
    const stat = file && statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) return response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    if (request.method === "GET") fetched.add(path);
    answer(request, response, file, stat);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    /** Paths that were fetched since the last call. */
    takeFetched: () => [...fetched].filter((path) => fetched.delete(path)),
    /** Bytes of a file as it would travel. */
    gzipBytes: (path) => gzipSync(readFileSync(fileOf(path)), { level: 9 }).length,
    close: () => (server.closeAllConnections(), new Promise((closed) => server.close(closed))),
  };
}

function counted(response, path) {
  response.writeHead(200, { "content-type": TYPES[".mjs"] });
  response.end(`import "/dispatches.mjs"; import ${JSON.stringify(path)};`);
}

function answer(request, response, file, { size, mtimeMs }) {
  const etag = `"${size}-${mtimeMs}"`;
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const range = start > 0 ? { "content-range": `bytes ${start}-${size - 1}/${size}` } : {};
  const headers = { etag, "cache-control": "no-cache", "accept-ranges": "bytes" };
  if (request.headers["if-none-match"] === etag) return response.writeHead(304, headers).end();
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(start > 0 ? 206 : 200, { ...headers, ...range, "content-type": type, "content-length": size - start });
  if (request.method === "HEAD") return response.end();
  createReadStream(file, { start, highWaterMark: 1 << 20 }).on("error", () => response.destroy()).pipe(response);
}
