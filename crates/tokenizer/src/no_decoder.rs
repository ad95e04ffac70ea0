//! The decoder part of a `tokenizer.json`, which nothing here needs and `tokenizers` reads with panics.

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use tokenizers::{Decoder, Result};

/// Takes any decoder and decodes nothing.
pub(crate) struct NoDecoder;

impl<'de> Deserialize<'de> for NoDecoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Decoder for NoDecoder {
    fn decode_chain(&self, _: Vec<String>) -> Result<Vec<String>> {
        Err("ids are not turned back into text here".into())
    }
}
