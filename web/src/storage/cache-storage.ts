import type { Store } from "./store.js";

/** A cache of Cache Storage; a piece is in memory until it is closed. */
export async function openCacheStorage(folder: string): Promise<Store> {
  const cache = await caches.open(folder);
  // A cache takes addresses only; nothing can be served from this one.
  const address = (name: string) => `https://${folder}.invalid/${name}`;
  return {
    kind: "cache-storage",
    read: async (name) => (await cache.match(address(name)))?.body ?? undefined,
    create: async (name) => {
      // Blobs at once: the memory of a chunk is used again.
      const chunks: Blob[] = [];
      return {
        write: (chunk) => void chunks.push(new Blob([chunk])),
        close: () => cache.put(address(name), new Response(new Blob(chunks))),
      };
    },
    remove: async (name) => void (await cache.delete(address(name))),
    names: async () => (await cache.keys()).map(({ url }) => url.slice(address("").length)),
  };
}
