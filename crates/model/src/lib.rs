//! The cross-encoder: configuration, checkpoint reading, embeddings, encoder, classifier.
//!
//! One post-norm encoder serves three families of published checkpoints: XLM-RoBERTa
//! (`BAAI/bge-reranker-v2-m3`), its flash layout (`jinaai/jina-reranker-v2-base-multilingual`) and
//! BERT (`cross-encoder/ms-marco-MiniLM-L-12-v2`). No tokenizer, no network, no files but the ones a
//! [`WeightSource`] reads.

mod bi_encoder;
mod checkpoint;
mod config;
mod cross_encoder;
mod embeddings;
mod encoder;
mod error;
mod form;
mod gguf;
mod gguf_names;
mod head;
mod header;
mod layers;
mod layout;
mod quantized;
mod rows;
mod self_test;
mod source;
mod stored_rows;
mod stream;
mod tensor_list;
mod weights;

pub use bi_encoder::BiEncoder;
pub use checkpoint::Checkpoint;
pub use config::{Family, ModelConfig};
pub use cross_encoder::{CrossEncoder, Stage};
#[cfg(feature = "gpu")]
pub use crossrank_kernels::Gpu;
pub use crossrank_kernels::{Device, Rows as HiddenStates, Segments, instructions, together};
pub use embeddings::{PackedPairs, position_ids};
pub use error::{ModelError, WrongTensor};
pub use form::Form;
pub use gguf::{GgufHeader, GgufMetadata};
pub use layout::Layout;
pub use quantized::{FORMAT_VERSION, Precision, Q4_BLOCK, QuantizedMatrix, quantize_q4, quantize_q8};
pub use self_test::self_test;
#[cfg(feature = "fs")]
pub use source::MappedFile;
pub use source::{MemorySource, WeightSource};
pub use stream::WeightStream;
