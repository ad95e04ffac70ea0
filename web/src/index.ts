export {
  CrossrankClient,
  type CrossrankClientOptions,
  type CohereRequestOptions,
  type CohereRerankRequest,
  type CohereRerankResponse,
} from "./cohere.js";
export { RerankError } from "./errors.js";
export { Reranker } from "./reranker.js";
export { clearCache } from "./storage/index.js";
export type * from "./types.js";
