//! What can go wrong between `tokenizer.json` and token ids.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The cause, as the `tokenizers` crate gives it.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Runs `work` of the `tokenizers` crate, which panics on some files instead of refusing them.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Cause>) -> Result<T, Cause> {
    // What `work` borrows is only read, so a panic leaves nothing half done.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the tokenizers crate panicked".into()))
}

/// An error of loading or using a tokenizer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// `tokenizer.json`, or the vocabulary of a GGUF file, is damaged or of an unknown kind.
    #[error("the tokenizer cannot be read; download it again from the model's repository")]
    Load(#[source] Cause),
    /// `tokenizer.json` does not say how a query and a document are joined.
    #[error(
        "tokenizer.json has no template for pairs, which a cross-encoder needs; it belongs to another kind of model"
    )]
    NoPairTemplate,
    /// A text could not be tokenized.
    #[error("a text of {bytes} bytes cannot be tokenized; check that tokenizer.json is the model's own")]
    Tokenize {
        /// The text's length.
        bytes: usize,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// A length limit that not even the special tokens fit into.
    #[error(
        "a length of {max_length} tokens has no room for text beside {special_tokens} special tokens; raise it"
    )]
    NoRoom {
        /// The limit.
        max_length: usize,
        /// Tokens that the pair template adds.
        special_tokens: usize,
    },
}
