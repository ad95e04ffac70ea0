//! The names under which the families store their tensors.

use crate::tensor_list::TensorList;
use crate::{Family, ModelConfig};

/// How a checkpoint names its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Hugging Face's XLM-RoBERTa: `roberta.encoder.layer.N.attention.self.query`…
    XlmRoberta,
    /// jina-reranker-v2's flash layout: `roberta.encoder.layers.N.mixer.Wqkv`…
    Flash,
    /// Hugging Face's BERT: `bert.encoder.layer.N.attention.self.query`…
    Bert,
}

/// A tensor that a model needs.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

/// What a tensor is for, which decides how it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The word embeddings: more than half of all weights.
    WordTable,
    /// Position and token type embeddings.
    Table,
    /// The weight of a linear layer.
    Matrix,
    /// The weight of the layer that gives the logit: one row, never rounded to integers.
    Classifier,
    /// A bias, or half of a LayerNorm.
    Vector,
}

/// A linear layer or LayerNorm of one encoder layer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    AttentionOutput,
    AttentionNorm,
    Intermediate,
    Output,
    OutputNorm,
}

impl Layout {
    /// The layout of `tensors`, which must be of the configuration's family.
    pub(crate) fn of(config: &ModelConfig, tensors: &TensorList) -> Self {
        match config.family {
            Family::Bert => Layout::Bert,
            Family::XlmRoberta if names_flash(tensors) => Layout::Flash,
            Family::XlmRoberta => Layout::XlmRoberta,
        }
    }

    pub(crate) fn embedding(self, table: &str) -> String {
        format!("{}.embeddings.{table}_embeddings.weight", self.prefix())
    }

    pub(crate) fn embedding_norm(self) -> String {
        match self {
            Layout::Flash => "roberta.emb_ln".to_owned(),
            _ => format!("{}.embeddings.LayerNorm", self.prefix()),
        }
    }

    /// The tensors whose rows, one after the other, are query, key and value.
    pub(crate) fn query_key_value(self, layer: usize) -> Vec<String> {
        let layer = self.layer(layer);
        match self {
            Layout::Flash => vec![format!("{layer}.mixer.Wqkv")],
            _ => ["query", "key", "value"].map(|part| format!("{layer}.attention.self.{part}")).to_vec(),
        }
    }

    pub(crate) fn part(self, layer: usize, part: Part) -> String {
        let name = match (self, part) {
            (Layout::Flash, Part::AttentionOutput) => "mixer.out_proj",
            (Layout::Flash, Part::AttentionNorm) => "norm1",
            (Layout::Flash, Part::Intermediate) => "mlp.fc1",
            (Layout::Flash, Part::Output) => "mlp.fc2",
            (Layout::Flash, Part::OutputNorm) => "norm2",
            (_, Part::AttentionOutput) => "attention.output.dense",
            (_, Part::AttentionNorm) => "attention.output.LayerNorm",
            (_, Part::Intermediate) => "intermediate.dense",
            (_, Part::Output) => "output.dense",
            (_, Part::OutputNorm) => "output.LayerNorm",
        };
        format!("{}.{name}", self.layer(layer))
    }

    /// The head's two linear layers: the one before tanh, and the one that gives the logit.
    pub(crate) fn head(self) -> [&'static str; 2] {
        match self {
            Layout::Bert => ["bert.pooler.dense", "classifier"],
            _ => ["classifier.dense", "classifier.out_proj"],
        }
    }

    /// Every tensor a checkpoint of this layout must hold.
    pub(crate) fn tensors(self, config: &ModelConfig) -> Vec<Expected> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let table =
            |name, rows, role| Expected { name: self.embedding(name), shape: vec![rows, hidden], role };
        let mut tensors = vec![
            table("word", config.vocab_size, Role::WordTable),
            table("position", config.max_position_embeddings - config.unstored_positions, Role::Table),
            table("token_type", config.type_vocab_size, Role::Table),
        ];
        norm(&mut tensors, &self.embedding_norm(), hidden);
        for layer in 0..config.num_hidden_layers {
            let names = self.query_key_value(layer);
            let rows = 3 * hidden / names.len();
            names.iter().for_each(|name| linear(&mut tensors, name, [rows, hidden], Role::Matrix));
            linear(&mut tensors, &self.part(layer, Part::AttentionOutput), [hidden, hidden], Role::Matrix);
            norm(&mut tensors, &self.part(layer, Part::AttentionNorm), hidden);
            linear(&mut tensors, &self.part(layer, Part::Intermediate), [inner, hidden], Role::Matrix);
            linear(&mut tensors, &self.part(layer, Part::Output), [hidden, inner], Role::Matrix);
            norm(&mut tensors, &self.part(layer, Part::OutputNorm), hidden);
        }
        let [dense, classifier] = self.head();
        linear(&mut tensors, dense, [hidden, hidden], Role::Matrix);
        linear(&mut tensors, classifier, [1, hidden], Role::Classifier);
        tensors
    }

    pub(crate) fn prefix(self) -> &'static str {
        if self == Layout::Bert { "bert" } else { "roberta" }
    }

    fn layer(self, layer: usize) -> String {
        let list = if self == Layout::Flash { "layers" } else { "layer" };
        format!("{}.encoder.{list}.{layer}", self.prefix())
    }
}

fn names_flash(tensors: &TensorList) -> bool {
    // Any of them, because a shard holds only some.
    let flash =
        |name: &str| name.starts_with("roberta.emb_ln.") || name.starts_with("roberta.encoder.layers.");
    tensors.iter().any(|(name, _)| flash(name))
}

fn linear(tensors: &mut Vec<Expected>, name: &str, [rows, columns]: [usize; 2], role: Role) {
    tensors.push(Expected { name: format!("{name}.weight"), shape: vec![rows, columns], role });
    tensors.push(Expected { name: format!("{name}.bias"), shape: vec![rows], role: Role::Vector });
}

fn norm(tensors: &mut Vec<Expected>, name: &str, width: usize) {
    for part in ["weight", "bias"] {
        tensors.push(Expected { name: format!("{name}.{part}"), shape: vec![width], role: Role::Vector });
    }
}
