//! Everything that can go wrong, with one code each for HTTP bodies, exit statuses and JavaScript.

use crossrank_model::ModelError;
use crossrank_tokenizer::TokenizerError;

/// An error of loading a model or of reranking with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query is empty or only white space.
    #[error("the query is empty; pass the text to search for")]
    EmptyQuery,
    /// There is nothing to rank.
    #[error("there are no documents; pass at least one")]
    NoDocuments,
    /// More documents than one request may have.
    #[error(
        "{found} documents are more than the {max} of one request; rerank the best of a first stage, or split them"
    )]
    TooManyDocuments {
        /// Documents in the request.
        found: usize,
        /// The limit, which is Cohere's.
        max: usize,
    },
    /// An option outside its range.
    #[error("{option} {found} is not possible; pass {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        found: String,
        /// What is possible.
        expected: String,
    },
    /// A document has none of the fields it should be ranked by.
    #[error("document {index} has none of the fields {fields}; name fields that every document has")]
    RankFields {
        /// Place of the document in the request.
        index: usize,
        /// The fields asked for.
        fields: String,
    },
    /// A document could not be turned into text.
    #[error("document {index} cannot be written as YAML")]
    Yaml {
        /// Place of the document in the request.
        index: usize,
        /// The cause.
        #[source]
        source: serde_norway::Error,
    },
    /// A file of the model could not be read.
    #[error(
        "cannot read {file}; a model is a folder of config.json, tokenizer.json and model.safetensors, or one GGUF file"
    )]
    ModelFile {
        /// The file.
        file: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The model's configuration or weights.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// tokenizer.json and config.json are of different models.
    #[error("tokenizer.json does not belong to this model: {problem}; take both from one repository")]
    TokenizerMismatch {
        /// What does not fit.
        problem: String,
    },
    /// The device asked for is not there, or was not built in.
    #[error("device {device} is not available: {problem}")]
    DeviceUnavailable {
        /// As asked for.
        device: String,
        /// Why, and what to do.
        problem: String,
    },
    /// One pair alone needs more memory than there is.
    #[error(
        "{tokens} tokens need {needed} bytes of working memory where {available} are allowed; raise the memory budget or lower max_tokens_per_doc"
    )]
    OutOfMemory {
        /// Tokens of the pair.
        tokens: usize,
        /// Bytes computed for it.
        needed: u64,
        /// Bytes of the budget.
        available: u64,
    },
    /// The weights do not fit into memory.
    #[error(
        "the weights of this model need {needed} bytes of memory, more than can be had; free some, or take a smaller model"
    )]
    ModelTooLarge {
        /// Bytes of the weights as the device computes with them.
        needed: u64,
    },
    /// A bug, here or in a crate that is used.
    #[error("a bug of this program: {problem}; please report it with the model and the command")]
    Internal {
        /// The message of the panic.
        problem: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// The error's code, stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Error::EmptyQuery
            | Error::NoDocuments
            | Error::TooManyDocuments { .. }
            | Error::Option { .. }
            | Error::RankFields { .. }
            | Error::Yaml { .. }
            | Error::Tokenizer(TokenizerError::NoRoom { .. }) => "invalid_input",
            Error::ModelFile { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "model_not_found"
            }
            Error::ModelFile { .. } => "model_unreadable",
            Error::Model(error) => model_code(error),
            Error::Tokenizer(_) | Error::TokenizerMismatch { .. } => "tokenizer_mismatch",
            Error::DeviceUnavailable { .. } => "device_unavailable",
            Error::OutOfMemory { .. } | Error::ModelTooLarge { .. } => "out_of_memory",
            Error::Internal { .. } => "internal",
            Error::Cancelled => "cancelled",
        }
    }
}

fn model_code(error: &ModelError) -> &'static str {
    match error {
        ModelError::ConfigSyntax(_) | ModelError::ConfigMissing { .. } | ModelError::Unsupported { .. } => {
            "model_unsupported"
        }
        ModelError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "model_not_found",
        ModelError::Read { .. } => "model_unreadable",
        ModelError::Damaged { .. } | ModelError::NotFinite { .. } => "integrity_mismatch",
        ModelError::WeightsMismatch { .. } => "weights_mismatch",
        ModelError::TokenOutOfRange { .. } | ModelError::TypeOutOfRange { .. } => "tokenizer_mismatch",
        ModelError::TooLong { .. } | ModelError::EmptyPair => "invalid_input",
        ModelError::NoMemory { .. } => "out_of_memory",
        ModelError::Device { .. } => "device_lost",
        _ => "internal",
    }
}
