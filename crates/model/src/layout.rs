//! The names under which the families store their tensors.

use crate::{Checkpoint, Family, ModelConfig};

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
    /// The layout of `checkpoint`, which must be of the configuration's family.
    pub fn of(config: &ModelConfig, checkpoint: &Checkpoint) -> Self {
        match config.family {
            Family::Bert => Layout::Bert,
            Family::XlmRoberta if Layout::is_flash(checkpoint) => Layout::Flash,
            Family::XlmRoberta => Layout::XlmRoberta,
        }
    }

    /// True for a checkpoint with jina-reranker-v2's names.
    pub fn is_flash(checkpoint: &Checkpoint) -> bool {
        checkpoint.contains("roberta.emb_ln.weight")
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

    /// Every tensor a checkpoint of this layout must hold, with its shape.
    pub(crate) fn tensors(self, config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut tensors = vec![
            (self.embedding("word"), vec![config.vocab_size, hidden]),
            (self.embedding("position"), vec![config.max_position_embeddings, hidden]),
            (self.embedding("token_type"), vec![config.type_vocab_size, hidden]),
        ];
        norm(&mut tensors, self.embedding_norm(), hidden);
        for layer in 0..config.num_hidden_layers {
            let names = self.query_key_value(layer);
            let rows = 3 * hidden / names.len();
            names.into_iter().for_each(|name| linear(&mut tensors, name, rows, hidden));
            linear(&mut tensors, self.part(layer, Part::AttentionOutput), hidden, hidden);
            norm(&mut tensors, self.part(layer, Part::AttentionNorm), hidden);
            linear(&mut tensors, self.part(layer, Part::Intermediate), inner, hidden);
            linear(&mut tensors, self.part(layer, Part::Output), hidden, inner);
            norm(&mut tensors, self.part(layer, Part::OutputNorm), hidden);
        }
        let [dense, classifier] = self.head();
        linear(&mut tensors, dense.to_owned(), hidden, hidden);
        linear(&mut tensors, classifier.to_owned(), 1, hidden);
        tensors
    }

    fn prefix(self) -> &'static str {
        if self == Layout::Bert { "bert" } else { "roberta" }
    }

    fn layer(self, layer: usize) -> String {
        let list = if self == Layout::Flash { "layers" } else { "layer" };
        format!("{}.encoder.{list}.{layer}", self.prefix())
    }
}

fn linear(tensors: &mut Vec<(String, Vec<usize>)>, name: String, rows: usize, columns: usize) {
    tensors.push((format!("{name}.weight"), vec![rows, columns]));
    tensors.push((format!("{name}.bias"), vec![rows]));
}

fn norm(tensors: &mut Vec<(String, Vec<usize>)>, name: String, width: usize) {
    tensors.push((format!("{name}.weight"), vec![width]));
    tensors.push((format!("{name}.bias"), vec![width]));
}
