import type { Bytes } from "./chunks.js";
import type { Piece, Store } from "./store.js";

/** Only in workers. */
interface SyncAccessHandle {
  write(chunk: Bytes, options: { at: number }): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle?(): Promise<SyncAccessHandle> };

/** A folder of the origin's private file system; rejects where files cannot be written. */
export async function openPrivateFiles(folder: string): Promise<Store> {
  const root = await navigator.storage.getDirectory();
  const directory = await root.getDirectoryHandle(folder, { create: true });
  const { prototype } = FileSystemFileHandle;
  if (!("createSyncAccessHandle" in prototype || "createWritable" in prototype)) {
    throw new Error("files of the private file system can be written in workers only");
  }
  return {
    kind: "opfs",
    read: (name) => orAbsent(async () => (await (await directory.getFileHandle(name)).getFile()).stream()),
    create: async (name) => createPiece(await directory.getFileHandle(name, { create: true })),
    remove: async (name) => void (await orAbsent(() => directory.removeEntry(name))),
    names: async () => {
      const names: string[] = [];
      for await (const name of directory.keys()) names.push(name);
      return names;
    },
  };
}

async function createPiece(handle: FileHandle): Promise<Piece> {
  if (!handle.createSyncAccessHandle) {
    const writable = await handle.createWritable();
    return { write: (chunk) => writable.write(chunk), close: () => writable.close() };
  }
  const access = await handle.createSyncAccessHandle();
  let at = 0;
  access.truncate(0);
  return {
    write(chunk) {
      const written = access.write(chunk, { at });
      // Some browsers write what fits and say nothing.
      if (written < chunk.length) throw new DOMException("the disk is full", "QuotaExceededError");
      at += written;
    },
    async close() {
      try {
        access.flush();
      } finally {
        access.close();
      }
    },
  };
}

async function orAbsent<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  }
}
