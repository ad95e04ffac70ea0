// Written by scripts/models.mjs from models/models.json; change that and run it.
import type { KnownModel } from "./hub.js";

/** The models that have a name, by name. */
export const MODELS: readonly KnownModel[] = [
  {
    name: "MiniLM-L6",
    aliases: [
      "ms-marco-MiniLM-L-6-v2",
      "cross-encoder/ms-marco-MiniLM-L-6-v2",
      "cross-encoder/ms-marco-MiniLM-L6-v2",
    ],
    repo: "cross-encoder/ms-marco-MiniLM-L-6-v2",
    revision: "main",
    maxTokens: 512,
    window: "cohere",
    languages: "en",
    files: [
      {
        path: "config.json",
      },
      {
        path: "tokenizer.json",
      },
      {
        path: "model.safetensors",
      },
    ],
  },
  {
    name: "bge-base",
    aliases: [
      "bge-reranker-base",
      "BAAI/bge-reranker-base",
    ],
    repo: "BAAI/bge-reranker-base",
    revision: "main",
    maxTokens: 512,
    window: "cohere",
    languages: "multilingual",
    files: [
      {
        path: "config.json",
      },
      {
        path: "tokenizer.json",
      },
      {
        path: "model.safetensors",
        bytes: 1112206140,
        sha256: "ced967c45fd1902eb92716c9ceeca7c95a936770ea9db611f5a841b926e33fbd",
      },
    ],
  },
  {
    name: "bge-large",
    aliases: [
      "bge-reranker-large",
      "BAAI/bge-reranker-large",
    ],
    repo: "BAAI/bge-reranker-large",
    revision: "main",
    maxTokens: 512,
    window: "cohere",
    languages: "multilingual",
    files: [
      {
        path: "config.json",
      },
      {
        path: "tokenizer.json",
      },
      {
        path: "model.safetensors",
        bytes: 2239618772,
        sha256: "c5ae4e262c60ed2fb507ec587358285377ec36ee0a2e6da029f0534272b06d36",
      },
    ],
  },
  {
    name: "bge-v2-m3",
    aliases: [
      "bge-reranker-v2-m3",
      "BAAI/bge-reranker-v2-m3",
    ],
    repo: "BAAI/bge-reranker-v2-m3",
    revision: "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e",
    maxTokens: 8192,
    window: "cohere",
    languages: "multilingual",
    files: [
      {
        path: "config.json",
        bytes: 795,
        sha256: "13dcd6c31d9fec9d1d8e158702072f62d7fa7d312a64b9fe057bec9a08cfe41a",
      },
      {
        path: "tokenizer.json",
        bytes: 17098273,
        sha256: "69564b696052886ed0ac63fa393e928384e0f8caada38c1f4864a9bfbf379c15",
      },
      {
        path: "model.safetensors",
        bytes: 2271071852,
        sha256: "d9e3e081faff1eefb84019509b2f5558fd74c1a05a2c7db22f74174fcedb5286",
      },
    ],
  },
  {
    name: "bge-v2-m3-q8",
    aliases: [
      "bge-reranker-v2-m3-Q8_0",
      "gpustack/bge-reranker-v2-m3-GGUF",
    ],
    repo: "gpustack/bge-reranker-v2-m3-GGUF",
    revision: "3093af03b1a635e67b084b1d8c03c5f5e020fd05",
    maxTokens: 8192,
    window: "cohere",
    languages: "multilingual",
    files: [
      {
        path: "bge-reranker-v2-m3-Q8_0.gguf",
        bytes: 635676416,
        sha256: "a43c7c9b11a4c1517e5bf95151960e1621d1b72f7a493364b01e386cf1aaa1d3",
      },
    ],
  },
  {
    name: "default",
    aliases: [
      "ms-marco-MiniLM-L-12-v2",
      "minilm-l12",
      "cross-encoder/ms-marco-MiniLM-L-12-v2",
      "cross-encoder/ms-marco-MiniLM-L12-v2",
    ],
    repo: "cross-encoder/ms-marco-MiniLM-L-12-v2",
    revision: "main",
    maxTokens: 512,
    window: "cohere",
    languages: "en",
    files: [
      {
        path: "config.json",
      },
      {
        path: "tokenizer.json",
      },
      {
        path: "model.safetensors",
      },
    ],
  },
  {
    name: "jina-v2",
    aliases: [
      "jina-reranker-v2-base-multilingual",
      "jinaai/jina-reranker-v2-base-multilingual",
    ],
    repo: "jinaai/jina-reranker-v2-base-multilingual",
    revision: "9cfeff2df7d40d1b78e75e5e9cebec92a99813c9",
    maxTokens: 1024,
    window: "jina",
    languages: "multilingual",
    files: [
      {
        path: "config.json",
        bytes: 1102,
        sha256: "af16fe07e9b623d5a47b42bde0daba1b6510344212c03363145c51a81e9e4572",
      },
      {
        path: "tokenizer.json",
        bytes: 17082734,
        sha256: "3a56def25aa40facc030ea8b0b87f3688e4b3c39eb8b45d5702b3a1300fe2a20",
      },
      {
        path: "model.safetensors",
        bytes: 556892306,
      },
    ],
  },
  {
    name: "jina-v2-q8",
    aliases: [
      "jina-reranker-v2-base-multilingual-Q8_0",
      "gpustack/jina-reranker-v2-base-multilingual-GGUF",
    ],
    repo: "gpustack/jina-reranker-v2-base-multilingual-GGUF",
    revision: "09a0e5b9f3d193a4f1e771ba6ceccdf1153d3a9a",
    maxTokens: 1024,
    window: "jina",
    languages: "multilingual",
    files: [
      {
        path: "jina-reranker-v2-base-multilingual-Q8_0.gguf",
      },
    ],
  },
  {
    name: "mmarco-mMiniLM",
    aliases: [
      "mmarco-mMiniLMv2-L12-H384-v1",
      "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
    ],
    repo: "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
    revision: "main",
    maxTokens: 512,
    window: "cohere",
    languages: "multilingual",
    files: [
      {
        path: "config.json",
      },
      {
        path: "tokenizer.json",
      },
      {
        path: "model.safetensors",
      },
    ],
  },
];
