//! `config.json`, read as Hugging Face writes it and checked against what the model computes.

use serde::Deserialize;
use serde_json::Value;

use crate::{GgufMetadata, ModelError};

/// Which published architecture a checkpoint follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// XLM-RoBERTa: positions count up from `pad_token_id + 1`, one token type, the head reads `<s>`.
    XlmRoberta,
    /// BERT: positions from 0, two token types, a pooler before the classifier.
    Bert,
}

/// The dimensions of a cross-encoder, under Hugging Face's names.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The architecture.
    pub family: Family,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Number of encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads of a layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Rows of the word embedding table.
    pub vocab_size: usize,
    /// Rows of the position embedding table.
    pub max_position_embeddings: usize,
    /// How many of them, the first, are not stored: GGUF leaves out those that no text uses.
    pub unstored_positions: usize,
    /// Rows of the token type table.
    pub type_vocab_size: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// The padding token; XLM-RoBERTa's positions start behind it.
    pub pad_token_id: u32,
}

/// The fields of `config.json` that decide anything. Every one may be absent in the wild.
#[derive(Deserialize)]
struct HfConfig {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    pad_token_id: Option<u32>,
    hidden_act: Option<Value>,
    position_embedding_type: Option<Value>,
    num_labels: Option<usize>,
    id2label: Option<serde_json::Map<String, Value>>,
    #[serde(default)]
    is_decoder: bool,
    emb_pooler: Option<Value>,
}

/// Larger dimensions than any published encoder has are a damaged or hostile file.
const MAX_DIMENSION: usize = 1 << 24;
const MAX_LAYERS: usize = 1 << 10;
/// The vocabulary of a GGUF file.
const TOKENS: &str = "tokenizer.ggml.tokens";

impl ModelConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`ModelError::ConfigSyntax`], [`ModelError::ConfigMissing`], and [`ModelError::Unsupported`] with
    /// the field's name for everything the model does not compute.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelError> {
        let hf: HfConfig = serde_json::from_slice(bytes).map_err(ModelError::ConfigSyntax)?;
        let family = hf.family()?;
        hf.require_supported()?;
        let config = Self {
            family,
            hidden_size: dimension("hidden_size", hf.hidden_size, MAX_DIMENSION)?,
            num_hidden_layers: dimension("num_hidden_layers", hf.num_hidden_layers, MAX_LAYERS)?,
            num_attention_heads: dimension("num_attention_heads", hf.num_attention_heads, MAX_DIMENSION)?,
            intermediate_size: dimension("intermediate_size", hf.intermediate_size, MAX_DIMENSION)?,
            vocab_size: dimension("vocab_size", hf.vocab_size, MAX_DIMENSION)?,
            max_position_embeddings: dimension(
                "max_position_embeddings",
                hf.max_position_embeddings,
                MAX_DIMENSION,
            )?,
            unstored_positions: 0,
            type_vocab_size: dimension("type_vocab_size", hf.type_vocab_size, MAX_DIMENSION)?,
            layer_norm_eps: present("layer_norm_eps", hf.layer_norm_eps)?,
            pad_token_id: hf.pad_token_id.unwrap_or(family.default_pad_token_id()),
        };
        config.check_consistency()?;
        Ok(config)
    }

    /// Reads and checks what a GGUF file of an XLM-RoBERTa says of its dimensions.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_gguf(gguf: &GgufMetadata) -> Result<Self, ModelError> {
        for (key, expected) in [("general.architecture", "bert"), ("tokenizer.ggml.model", "t5")] {
            let found = gguf.text(key).ok_or(ModelError::ConfigMissing { field: key })?;
            if found != expected {
                let expected = format!("{expected:?}: XLM-RoBERTa's, as llama.cpp names it");
                return Err(unsupported(key, format!("{found:?}"), expected));
            }
        }
        if gguf.number("bert.attention.causal").is_some_and(|causal| causal != 0.0) {
            return Err(unsupported("bert.attention.causal", true, "false"));
        }
        let size = |key, max| dimension(key, gguf.whole(key).map(|size| size as usize), max);
        let pad_token_id = gguf.whole("tokenizer.ggml.padding_token_id").unwrap_or(1);
        let unstored_positions = pad_token_id as usize + 1;
        let epsilon = "bert.attention.layer_norm_epsilon";
        let config = Self {
            family: Family::XlmRoberta,
            hidden_size: size("bert.embedding_length", MAX_DIMENSION)?,
            num_hidden_layers: size("bert.block_count", MAX_LAYERS)?,
            num_attention_heads: size("bert.attention.head_count", MAX_DIMENSION)?,
            intermediate_size: size("bert.feed_forward_length", MAX_DIMENSION)?,
            vocab_size: dimension(TOKENS, gguf.length(TOKENS), MAX_DIMENSION)?,
            max_position_embeddings: size("bert.context_length", MAX_DIMENSION)? + unstored_positions,
            unstored_positions,
            type_vocab_size: gguf.whole("tokenizer.ggml.token_type_count").map_or(1, |count| count as usize),
            layer_norm_eps: decimal(present(epsilon, gguf.number(epsilon))?),
            pad_token_id,
        };
        config.check_consistency()?;
        Ok(config)
    }

    /// Refuses what a GPU's kernels cannot compute: they read vectors of four, and a head lies in registers.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`].
    pub fn check_for_gpu(&self) -> Result<(), ModelError> {
        let (head, inner) = (self.hidden_size / self.num_attention_heads, self.intermediate_size);
        if !head.is_multiple_of(4) || head > 256 {
            return Err(unsupported(
                "hidden_size / num_attention_heads",
                head,
                "a multiple of 4 up to 256, or the device cpu",
            ));
        }
        if !inner.is_multiple_of(4) {
            return Err(unsupported("intermediate_size", inner, "a multiple of 4, or the device cpu"));
        }
        Ok(())
    }

    /// The longest pair in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }

    /// The position of the first token.
    pub fn first_position(&self) -> usize {
        match self.family {
            Family::XlmRoberta => self.pad_token_id as usize + 1,
            Family::Bert => 0,
        }
    }

    /// Floating-point operations of a forward pass over one pair of `tokens` tokens, the last layer's
    /// work for `<s>` alone counted as the model does it.
    pub fn flops(&self, tokens: usize) -> u64 {
        let (tokens, hidden, inner) = (tokens as u64, self.hidden_size as u64, self.intermediate_size as u64);
        let row = 2 * hidden * (2 * hidden + 2 * inner);
        let full = tokens * (row + 4 * hidden * hidden) + 4 * hidden * tokens * tokens;
        let last = row + 4 * hidden * hidden * tokens + 4 * hidden * tokens;
        (self.num_hidden_layers as u64 - 1) * full + last + 2 * hidden * (hidden + 1)
    }

    fn check_consistency(&self) -> Result<(), ModelError> {
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(unsupported(
                "num_attention_heads",
                self.num_attention_heads,
                format!("a divisor of hidden_size {}", self.hidden_size),
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(unsupported("layer_norm_eps", self.layer_norm_eps, "a small positive number"));
        }
        if self.max_tokens() < 8 {
            return Err(unsupported(
                "max_position_embeddings",
                self.max_position_embeddings,
                "room for at least 8 tokens",
            ));
        }
        Ok(())
    }
}

impl Family {
    fn default_pad_token_id(self) -> u32 {
        match self {
            Family::XlmRoberta => 1,
            Family::Bert => 0,
        }
    }
}

impl HfConfig {
    /// jina-reranker-v2 has no `model_type`; its architecture still names the family.
    fn family(&self) -> Result<Family, ModelError> {
        let architecture = |name: &str| self.architectures.iter().any(|found| found == name);
        match self.model_type.as_deref() {
            Some("xlm-roberta") => Ok(Family::XlmRoberta),
            Some("bert") if !architecture("JinaBertForSequenceClassification") => Ok(Family::Bert),
            None if architecture("XLMRobertaForSequenceClassification") => Ok(Family::XlmRoberta),
            None if self.architectures.is_empty() => Err(ModelError::ConfigMissing { field: "model_type" }),
            Some(found) => Err(unsupported("model_type", format!("{found:?}"), SUPPORTED_FAMILIES)),
            None => {
                Err(unsupported("architectures", format!("{:?}", self.architectures), SUPPORTED_FAMILIES))
            }
        }
    }

    fn require_supported(&self) -> Result<(), ModelError> {
        require("hidden_act", self.hidden_act.as_ref(), "gelu")?;
        require("position_embedding_type", self.position_embedding_type.as_ref(), "absolute")?;
        if let Some(labels) = self.num_labels.or(self.id2label.as_ref().map(serde_json::Map::len))
            && labels != 1
        {
            return Err(unsupported("num_labels", labels, "1: a reranker has one score per pair"));
        }
        if self.is_decoder {
            return Err(unsupported("is_decoder", true, "false"));
        }
        match &self.emb_pooler {
            None | Some(Value::Null) => Ok(()),
            Some(found) => Err(unsupported("emb_pooler", found, "null")),
        }
    }
}

const SUPPORTED_FAMILIES: &str = "\"bert\" or \"xlm-roberta\" with a sequence classification head";

/// The number that was written: GGUF has it as an f32, config.json in decimals.
fn decimal(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

fn present<T>(field: &'static str, value: Option<T>) -> Result<T, ModelError> {
    value.ok_or(ModelError::ConfigMissing { field })
}

fn dimension(field: &'static str, value: Option<usize>, max: usize) -> Result<usize, ModelError> {
    let value = present(field, value)?;
    if value == 0 || value > max {
        return Err(unsupported(field, value, format!("1 to {max}")));
    }
    Ok(value)
}

/// An absent or null field means the default, which is the supported value.
fn require(field: &'static str, found: Option<&Value>, expected: &str) -> Result<(), ModelError> {
    match found {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if text == expected => Ok(()),
        Some(other) => Err(unsupported(field, other, format!("{expected:?}"))),
    }
}

fn unsupported(field: &'static str, found: impl ToString, expected: impl Into<String>) -> ModelError {
    ModelError::Unsupported { field, found: found.to_string(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bge() -> serde_json::Map<String, Value> {
        let text = r#"{"architectures":["XLMRobertaForSequenceClassification"],"model_type":"xlm-roberta",
            "hidden_size":1024,"num_hidden_layers":24,"num_attention_heads":16,"intermediate_size":4096,
            "hidden_act":"gelu","layer_norm_eps":1e-5,"max_position_embeddings":8194,"type_vocab_size":1,
            "vocab_size":250002,"pad_token_id":1,"id2label":{"0":"LABEL_0"}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn parse(fields: &serde_json::Map<String, Value>) -> Result<ModelConfig, ModelError> {
        ModelConfig::from_json(&serde_json::to_vec(fields).unwrap())
    }

    fn refusal(field: &str, value: Value) -> String {
        let mut fields = bge();
        fields.insert(field.into(), value);
        parse(&fields).unwrap_err().to_string()
    }

    #[test]
    fn reads_bge_with_8192_usable_positions() {
        let config = parse(&bge()).unwrap();
        assert_eq!((config.family, config.max_tokens()), (Family::XlmRoberta, 8192));
    }

    #[test]
    fn reads_a_config_without_model_type_by_its_architecture() {
        let mut fields = bge();
        fields.remove("model_type");
        assert_eq!(parse(&fields).unwrap().family, Family::XlmRoberta);
        fields.remove("architectures");
        assert!(matches!(parse(&fields), Err(ModelError::ConfigMissing { field: "model_type" })));
    }

    #[test]
    fn names_every_missing_field() {
        for field in ["hidden_size", "layer_norm_eps", "vocab_size", "max_position_embeddings"] {
            let mut fields = bge();
            fields.remove(field);
            assert!(parse(&fields).unwrap_err().to_string().contains(field), "{field}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_compute_by_field_name() {
        assert_eq!(
            refusal("hidden_act", "swish".into()),
            r#"hidden_act "swish" is not supported (expected "gelu")"#
        );
        assert!(refusal("position_embedding_type", "relative_key".into()).contains("relative_key"));
        assert!(refusal("model_type", "deberta-v2".into()).contains("deberta-v2"));
        assert!(refusal("num_labels", 2.into()).contains("num_labels 2"));
        assert!(refusal("id2label", serde_json::json!({"0":"no","1":"yes"})).contains("num_labels 2"));
        assert!(refusal("num_attention_heads", 7.into()).contains("divisor"));
        assert!(refusal("hidden_size", 0.into()).contains("hidden_size 0"));
        assert!(refusal("vocab_size", (1u64 << 60).into()).contains("vocab_size"));
        assert!(refusal("max_position_embeddings", 3.into()).contains("max_position_embeddings"));
    }

    #[test]
    fn refuses_on_a_gpu_what_is_no_multiple_of_four() {
        let config = base();
        assert!(config.check_for_gpu().is_ok());
        let odd = ModelConfig { intermediate_size: 3070, ..config.clone() };
        assert!(odd.check_for_gpu().unwrap_err().to_string().contains("intermediate_size 3070"));
        let wide = ModelConfig { num_attention_heads: 2, ..config };
        assert!(wide.check_for_gpu().unwrap_err().to_string().contains("384"));
    }

    #[test]
    fn counts_the_work_of_a_pair() {
        // facts: 24 h^2 S + 4 h S^2 a layer for h = 768, I = 4h; the last layer's shortcut takes 7 % off.
        let share = base().flops(256) as f64 / 45.9e9;
        assert!((0.92..0.95).contains(&share), "{share}");
    }

    fn base() -> ModelConfig {
        ModelConfig {
            family: Family::XlmRoberta,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            vocab_size: 250_002,
            max_position_embeddings: 1026,
            unstored_positions: 0,
            type_vocab_size: 1,
            layer_norm_eps: 1e-5,
            pad_token_id: 1,
        }
    }
}
