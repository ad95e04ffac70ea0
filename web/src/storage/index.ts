export { clearCache } from "./cache.js";
export { type DeliverOptions, type Delivered, deliver } from "./deliver.js";
export { type ResolveOptions, absoluteChoice, resolveModel } from "./resolve.js";
export type { ModelSink } from "./sink.js";
export { cacheKind } from "./store.js";
