// Writes src/storage/models.generated.ts from models/models.json, the one list of known models.
import { readFileSync, writeFileSync } from "node:fs";

const list = new URL("../../models/models.json", import.meta.url);
const target = new URL("../src/storage/models.generated.ts", import.meta.url);

/** What is unknown is left out. */
const known = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));

const models = JSON.parse(readFileSync(list, "utf8"))
  .map(({ name, aliases, repo, revision, max_tokens, window, languages, files }) =>
    known({ name, aliases, repo, revision, maxTokens: max_tokens, window, languages, files: files.map(known) }),
  )
  .sort((left, right) => (left.name < right.name ? -1 : 1));

const literal = JSON.stringify(models, null, 2)
  .replace(/^(\s*)"(\w+)":/gm, "$1$2:")
  .replace(/([^[{,])$/gm, (end) => (end === "" ? end : `${end},`))
  .replace(/,$/, "");

writeFileSync(
  target,
  `// Written by scripts/models.mjs from models/models.json; change that and run it.
import type { KnownModel } from "./hub.js";

/** The models that have a name, by name. */
export const MODELS: readonly KnownModel[] = ${literal};
`,
);
