// Copies the default model to dist/default-model/files and writes src/default-model/generated.ts, which knows its hashes.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

const models = new URL("../../models/", import.meta.url);
const folder = new URL("default/", models);
const copies = new URL("../dist/default-model/files/", import.meta.url);
const target = new URL("../src/default-model/generated.ts", import.meta.url);

mkdirSync(copies, { recursive: true });
for (const name of ["config.json", "tokenizer.json", "model.safetensors", "LICENSE", "NOTICE"]) {
  copyFileSync(new URL(name, folder), new URL(name, copies));
}

const facts = (name) => {
  const bytes = readFileSync(new URL(name, folder));
  return `{ bytes: ${bytes.length}, sha256: "${createHash("sha256").update(bytes).digest("hex")}" }`;
};
const known = JSON.parse(readFileSync(new URL("models.json", models), "utf8")).find(({ name }) => name === "default");
const config = readFileSync(new URL("config.json", folder), "utf8");

writeFileSync(
  target,
  `// Written by scripts/default-model.mjs from models/default; run it when that changes.
export const ABOUT = {
  name: ${JSON.stringify(known.repo.split("/").at(-1))},
  maxTokens: ${known.max_tokens},
  window: ${JSON.stringify(known.window)},
  languages: ${JSON.stringify(known.languages)},
} as const;

export const CONFIG_JSON = ${JSON.stringify(config)};

export const CONFIG = ${facts("config.json")};
export const TOKENIZER = ${facts("tokenizer.json")};
export const WEIGHTS = ${facts("model.safetensors")};
`,
);
