import { afterAll, beforeEach } from "vitest";
import type { ModelDefinition, ModelFile, ProgressEvent } from "../../src/types.js";
import { deliver } from "../../src/storage/index.js";
import { Recorder } from "../../../tests/browser/recorder.mjs";
import { randomBytes, serve, sha256 } from "../../../tests/browser/server.mjs";

export { Recorder, randomBytes, serve, sha256 };

export const WEIGHTS = randomBytes(3_000_000);
export const CONFIG = '{"model_type":"bert"}';
export const TOKENIZER = '{"version":"1.0"}';

/** A server with one model in `/m/`, which is well-behaved again before every test. */
export async function modelServer(options = {}) {
  const files = { "/m/config.json": CONFIG, "/m/tokenizer.json": TOKENIZER, "/m/model.safetensors": WEIGHTS };
  const server = await serve({ ...files }, options);
  beforeEach(() => {
    server.reset();
    for (const path of Object.keys(server.files)) delete server.files[path];
    Object.assign(server.files, files);
  });
  afterAll(() => server.close());
  return server;
}

/** The model in `/m/` of a server, with the hash of its weights unless `weights` says otherwise. */
export function modelAt(address: string, weights: Partial<ModelFile> = { sha256: sha256(WEIGHTS) }): ModelDefinition {
  return {
    name: "m",
    files: {
      "config.json": { source: `${address}/m/config.json` },
      "tokenizer.json": { source: `${address}/m/tokenizer.json` },
      "model.safetensors": { source: `${address}/m/model.safetensors`, ...weights },
    },
  };
}

/** Delivers without a cache; what came and what was reported. */
export async function deliverTo(recorder: Recorder, model: ModelDefinition, signal?: AbortSignal) {
  const events: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent) => void events.push(event);
  const delivered = await deliver(model, recorder, { cache: "auto", signal, onProgress });
  return { delivered, events };
}
