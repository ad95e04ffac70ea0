//! Any bytes as config.json: dimensions that can be computed with, or a typed error.
#![no_main]

use crossrank_model::ModelConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = ModelConfig::from_json(bytes) {
        assert!(config.max_tokens() > 0 && config.hidden_size.is_multiple_of(config.num_attention_heads));
    }
});
