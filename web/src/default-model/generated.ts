// Written by scripts/default-model.mjs from models/default; run it when that changes.
export const ABOUT = {
  name: "ms-marco-MiniLM-L-12-v2",
  maxTokens: 512,
  window: "cohere",
  languages: "en",
} as const;

export const CONFIG_JSON = "{\n  \"architectures\": [\n    \"BertForSequenceClassification\"\n  ],\n  \"attention_probs_dropout_prob\": 0.1,\n  \"hidden_act\": \"gelu\",\n  \"hidden_dropout_prob\": 0.1,\n  \"hidden_size\": 384,\n  \"id2label\": {\n    \"0\": \"LABEL_0\"\n  },\n  \"initializer_range\": 0.02,\n  \"intermediate_size\": 1536,\n  \"label2id\": {\n    \"LABEL_0\": 0\n  },\n  \"layer_norm_eps\": 1e-12,\n  \"max_position_embeddings\": 512,\n  \"model_type\": \"bert\",\n  \"num_attention_heads\": 12,\n  \"num_hidden_layers\": 12,\n  \"pad_token_id\": 0,\n  \"position_embedding_type\": \"absolute\",\n  \"type_vocab_size\": 2,\n  \"vocab_size\": 30522\n}\n";

export const CONFIG = { bytes: 566, sha256: "d7302ed849a40eda5d93e113acc16fcd77447b6af135659627d40f017fafa434" };
export const TOKENIZER = { bytes: 711661, sha256: "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448" };
export const WEIGHTS = { bytes: 34457964, sha256: "0fc5b446b61c5b444bc71461b54789ec04518d19c003f249d629d88a44c3359e" };
