//! What can go wrong between a model's files and its logits.

use std::fmt;

/// An error of reading or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// `config.json` is not JSON, or a field has the wrong type.
    #[error("config.json cannot be read; download it again from the model's repository")]
    ConfigSyntax(#[source] serde_json::Error),
    /// A field the model needs is absent.
    #[error("the configuration has no `{field}`; this is not one of a supported model")]
    ConfigMissing {
        /// The absent field.
        field: &'static str,
    },
    /// A field asks for something this program does not compute.
    #[error("{field} {found} is not supported (expected {expected})")]
    Unsupported {
        /// The field of `config.json`, or the key of a GGUF file.
        field: &'static str,
        /// What the file says, as JSON.
        found: String,
        /// What is supported.
        expected: String,
    },
    /// A file could not be read.
    #[error("cannot read {file}")]
    Read {
        /// The file, or the tensor within it.
        file: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is not the safetensors or GGUF it should be: truncated, damaged or hostile.
    #[error("{file} is damaged: {problem}; download it again")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tensors of the checkpoint are not those that the configuration describes.
    #[error(
        "the weights do not match the configuration: {}; take both from one repository",
        Mismatch { missing, unexpected, wrong }
    )]
    WeightsMismatch {
        /// Tensors that should be there.
        missing: Vec<String>,
        /// Tensors that nothing uses.
        unexpected: Vec<String>,
        /// Tensors of another shape or of an unsupported dtype.
        wrong: Vec<WrongTensor>,
    },
    /// A tensor holds NaN or an infinity.
    #[error("tensor `{tensor}` holds a value that is not a finite number; download the weights again")]
    NotFinite {
        /// The tensor, with the row for an embedding table.
        tensor: String,
    },
    /// The model computed NaN or an infinity from finite weights and inputs.
    #[error("the model's result is not a finite number; with dtype f16, run it again with f32")]
    LogitNotFinite,
    /// A token id has no row in the embedding table.
    #[error(
        "token id {id} is outside the vocabulary of {vocab_size}; the tokenizer belongs to another model"
    )]
    TokenOutOfRange {
        /// The token id.
        id: u32,
        /// Rows in the embedding table.
        vocab_size: usize,
    },
    /// A token type id that the model was not trained with.
    #[error(
        "token type {id} is outside the model's {type_vocab_size}; the tokenizer belongs to another model"
    )]
    TypeOutOfRange {
        /// The token type id.
        id: u32,
        /// Rows in the token type table.
        type_vocab_size: usize,
    },
    /// A pair is longer than the model has positions for.
    #[error("a pair of {tokens} tokens is longer than the model's {max_tokens}; truncate it or use windows")]
    TooLong {
        /// Tokens of the pair, special tokens included.
        tokens: usize,
        /// The model's limit.
        max_tokens: usize,
    },
    /// A pair of no tokens.
    #[error("a pair has no tokens; tokenize it with the model's own tokenizer")]
    EmptyPair,
    /// The weights do not fit in memory.
    #[error("no memory for {tensor} ({bytes} bytes); keep the weights in q8 or q4, or use a smaller model")]
    NoMemory {
        /// The tensor.
        tensor: String,
        /// The bytes it takes as it is kept.
        bytes: u64,
    },
    /// The device failed, was lost, or ran out of memory.
    #[error("the device failed: {problem}")]
    Device {
        /// What the backend reported.
        problem: String,
    },
}

impl ModelError {
    /// The error for one tensor that should be there.
    pub(crate) fn missing(name: &str) -> Self {
        ModelError::WeightsMismatch { missing: vec![name.to_owned()], unexpected: vec![], wrong: vec![] }
    }
}

/// A tensor that is there, but not as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongTensor {
    /// Its name in the file.
    pub name: String,
    /// dtype and shape in the file.
    pub found: String,
    /// dtype and shape the configuration asks for.
    pub expected: String,
}

struct Mismatch<'a> {
    missing: &'a [String],
    unexpected: &'a [String],
    wrong: &'a [WrongTensor],
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing {}", self.missing.join(", ")));
        }
        if !self.unexpected.is_empty() {
            parts.push(format!("unexpected {}", self.unexpected.join(", ")));
        }
        for tensor in self.wrong {
            parts.push(format!("{} is {}, expected {}", tensor.name, tensor.found, tensor.expected));
        }
        f.write_str(&parts.join(", "))
    }
}
