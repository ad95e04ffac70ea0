// Answers with the page's own files without a network, and isolates the page, as hosts of plain files cannot be told to:
// from the second visit on it has threads. Models are kept by the package, not here.
/* global CROSSRANK_SHELL */

importScripts("shell.js"); // { version, files }: written by build.mjs, so a new build is a new worker

const CACHE = `crossrank-page-${CROSSRANK_SHELL.version}`;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(CROSSRANK_SHELL.files.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const isOld = (name) => name.startsWith("crossrank-page-") && name !== CACHE;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const scope = new URL(self.registration.scope);
  if (request.method !== "GET" || !url.href.startsWith(scope.href)) return;
  if (request.mode === "navigate") return event.respondWith(kept(new URL("index.html", scope).href, request));
  const file = url.pathname.slice(scope.pathname.length);
  if (CROSSRANK_SHELL.files.includes(file)) event.respondWith(kept(request, request));
  else if (file.endsWith(".wasm")) event.respondWith(keptOnUse(request));
});

async function kept(key, request) {
  const cache = await caches.open(CACHE);
  // A module that is started anew has a query of its own.
  return isolated((await cache.match(key, { ignoreSearch: true })) ?? (await fetch(request)));
}

// The page and the scripts of its workers must all say so.
function isolated(response) {
  // A redirect of the host's is the browser's to follow.
  if (!response.ok) return response;
  const { body, status, statusText, headers } = response;
  const isolating = new Headers(headers);
  isolating.set("cross-origin-opener-policy", "same-origin");
  isolating.set("cross-origin-embedder-policy", "require-corp");
  return new Response(body, { status, statusText, headers: isolating });
}

// A visitor needs one of the modules, and only after asking for a ranking.
async function keptOnUse(request) {
  const cache = await caches.open(CACHE);
  const hit = await cache.match(request);
  if (hit) return hit;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}
