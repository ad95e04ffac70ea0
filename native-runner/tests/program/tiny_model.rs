//! A BERT of one layer and random weights, small enough to write anew for every test.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

const HIDDEN: usize = 32;
const INNER: usize = 64;
const POSITIONS: usize = 64;
const WORDS: [&str; 16] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "berlin", "people", "museum", "city", "has", "many", "live", "in",
    "how", "the", ".", "?",
];

/// A model folder that goes away with it.
pub(crate) struct TinyModel(TempDir);

impl TinyModel {
    /// A folder that loads.
    pub(crate) fn new() -> Self {
        let model = Self(tempfile::tempdir().unwrap());
        std::fs::write(model.file("config.json"), config().to_string()).unwrap();
        std::fs::write(model.file("tokenizer.json"), tokenizer().to_string()).unwrap();
        std::fs::write(model.file("model.safetensors"), weights(1)).unwrap();
        model
    }

    /// One whose config.json was changed.
    pub(crate) fn with_config(change: impl FnOnce(&mut Value)) -> Self {
        let model = Self::new();
        let mut config = config();
        change(&mut config);
        std::fs::write(model.file("config.json"), config.to_string()).unwrap();
        model
    }

    /// One whose model.safetensors was changed.
    pub(crate) fn with_weights(change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let model = Self::new();
        let mut weights = weights(1);
        change(&mut weights);
        std::fs::write(model.file("model.safetensors"), weights).unwrap();
        model
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }
}

fn config() -> Value {
    json!({
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": HIDDEN,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": INNER, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "vocab_size": WORDS.len(), "pad_token_id": 0, "id2label": { "0": "LABEL_0" },
    })
}

fn tokenizer() -> Value {
    let vocab: serde_json::Map<String, Value> =
        WORDS.iter().enumerate().map(|(id, &word)| (word.to_owned(), json!(id))).collect();
    let special = |token: &str, type_id: u32| json!({ "SpecialToken": { "id": token, "type_id": type_id } });
    let text = |side: &str, type_id: u32| json!({ "Sequence": { "id": side, "type_id": type_id } });
    let declared = |token: &str, id: u32| json!({ "id": token, "ids": [id], "tokens": [token] });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "decoder": null,
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "TemplateProcessing",
            "single": [special("[CLS]", 0), text("A", 0), special("[SEP]", 0)],
            "pair": [special("[CLS]", 0), text("A", 0), special("[SEP]", 0), text("B", 1), special("[SEP]", 1)],
            "special_tokens": { "[CLS]": declared("[CLS]", 2), "[SEP]": declared("[SEP]", 3) } },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab },
    })
}

/// model.safetensors with a head of `labels` outputs.
pub(crate) fn weights(labels: usize) -> Vec<u8> {
    let mut shapes = vec![
        ("bert.embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), HIDDEN]),
        ("bert.embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, HIDDEN]),
        ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
    ];
    let layer = "bert.encoder.layer.0";
    let linear = [
        (format!("{layer}.attention.self.query"), HIDDEN, HIDDEN),
        (format!("{layer}.attention.self.key"), HIDDEN, HIDDEN),
        (format!("{layer}.attention.self.value"), HIDDEN, HIDDEN),
        (format!("{layer}.attention.output.dense"), HIDDEN, HIDDEN),
        (format!("{layer}.intermediate.dense"), INNER, HIDDEN),
        (format!("{layer}.output.dense"), HIDDEN, INNER),
        ("bert.pooler.dense".to_owned(), HIDDEN, HIDDEN),
        ("classifier".to_owned(), labels, HIDDEN),
    ];
    for (name, rows, width) in linear {
        shapes.push((format!("{name}.weight"), vec![rows, width]));
        shapes.push((format!("{name}.bias"), vec![rows]));
    }
    let norms = ["bert.embeddings", &format!("{layer}.attention.output"), &format!("{layer}.output")]
        .map(str::to_owned);
    for name in norms {
        shapes.push((format!("{name}.LayerNorm.weight"), vec![HIDDEN]));
        shapes.push((format!("{name}.LayerNorm.bias"), vec![HIDDEN]));
    }
    let mut state = 1_u64;
    let data: Vec<Vec<u8>> =
        shapes.iter().map(|(_, shape)| values(shape.iter().product(), &mut state)).collect();
    let views = shapes.iter().zip(&data).map(|((name, shape), data)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// Numbers in -0.5..0.5, the same in every run (Knuth's generator).
fn values(count: usize, state: &mut u64) -> Vec<u8> {
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    (0..count).flat_map(|_| next().to_le_bytes()).collect()
}
