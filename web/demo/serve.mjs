#!/usr/bin/env node
// A static file server for the demo page: node serve.mjs [FOLDER] [--port 8000] [--plain]
// COOP and COEP are sent, because only then do browsers tell a page its memory; --plain leaves them out.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/**
 * @param {{ folder: string, port?: number, isolated?: boolean }} options port 0 takes a free one
 * @returns {Promise<{ address: string, close: () => Promise<void> }>}
 */
export async function serve({ folder, port = 0, isolated = false }) {
  const server = createServer((request, response) => {
    answer(resolve(folder), request, response, isolated ? ISOLATED : {}).catch(() => response.destroy());
  });
  await new Promise((listening) => server.listen(port, "127.0.0.1", listening));
  const close = () => new Promise((closed) => (server.close(closed), server.closeAllConnections()));
  return { address: `http://127.0.0.1:${server.address().port}/`, close };
}

async function answer(folder, request, response, headers) {
  const path = requestedFile(folder, request.url);
  const file = path && (await stat(path).catch(() => undefined));
  if (!file?.isFile()) return response.writeHead(404, headers).end();
  const type = TYPES[extname(path)] ?? "application/octet-stream";
  const shared = { ...headers, "content-type": type, "accept-ranges": "bytes", "cache-control": "no-cache" };
  const range = requestedRange(request.headers.range, file.size);
  if (range === "unsatisfiable") return response.writeHead(416, { "content-range": `bytes */${file.size}` }).end();
  const { start, end } = range ?? { start: 0, end: file.size - 1 };
  const part = range && { "content-range": `bytes ${start}-${end}/${file.size}` };
  response.writeHead(range ? 206 : 200, { ...shared, ...part, "content-length": end - start + 1 });
  if (request.method === "HEAD" || file.size === 0) return response.end();
  createReadStream(path, { start, end }).on("error", () => response.destroy()).pipe(response);
}

/** The file inside `folder` that an address names; nothing outside of it. */
function requestedFile(folder, address) {
  let path;
  try {
    path = decodeURIComponent(new URL(address, "http://localhost").pathname);
  } catch {
    return undefined;
  }
  const file = normalize(join(folder, path.endsWith("/") ? `${path}index.html` : path));
  return file.startsWith(folder + sep) && !file.includes("\0") ? file : undefined;
}

/** `bytes=a-b`, `bytes=a-` or `bytes=-n`; one range, anything else is the whole file. */
function requestedRange(header, size) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (!first && !last) return undefined;
  const start = first ? Number(first) : Math.max(size - Number(last), 0);
  const end = first && last ? Math.min(Number(last), size - 1) : size - 1;
  return start <= end ? { start, end } : "unsatisfiable";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = { port: { type: "string", default: "8000" }, plain: { type: "boolean", default: false } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const folder = positionals[0] ?? fileURLToPath(new URL("dist", import.meta.url));
  const { address } = await serve({ folder, port: Number(values.port), isolated: !values.plain });
  console.log(`Crossrank's demo: ${address}`);
}
