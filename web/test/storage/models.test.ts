import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findModel } from "../../src/storage/hub.js";
import { MODELS } from "../../src/storage/models.generated.js";

const native = JSON.parse(readFileSync(new URL("../../../models/models.json", import.meta.url), "utf8"));

test("the list is the native program's, by name", () => {
  const names = native.map(({ name }: { name: string }) => name).sort();
  expect(MODELS.map(({ name }) => name)).toEqual(names);
  for (const entry of native) {
    const model = findModel(entry.name);
    expect(model).toMatchObject({ aliases: entry.aliases, repo: entry.repo, revision: entry.revision });
    expect(model).toMatchObject({ maxTokens: entry.max_tokens, window: entry.window, languages: entry.languages });
    for (const file of entry.files) {
      const { path, bytes, sha256 } = file;
      const known = { path, ...(bytes !== null && { bytes }), ...(sha256 !== null && { sha256 }) };
      expect(model?.files).toContainEqual(known);
    }
  }
});

test("writing the list again changes nothing", () => {
  const path = fileURLToPath(new URL("../../src/storage/models.generated.ts", import.meta.url));
  const before = readFileSync(path, "utf8");
  execFileSync(process.execPath, [fileURLToPath(new URL("../../scripts/models.mjs", import.meta.url))]);
  expect(readFileSync(path, "utf8")).toBe(before);
});

test("names and aliases are found in any case", () => {
  expect(findModel("baai/BGE-reranker-v2-m3")?.name).toBe("bge-v2-m3");
  expect(findModel("bge")).toBeUndefined();
});
