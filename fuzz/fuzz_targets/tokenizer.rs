//! Any bytes as tokenizer.json: ids inside its vocabulary, or a typed error.
#![no_main]

use crossrank_tokenizer::{Limits, PairTokenizer, Truncation};
use libfuzzer_sys::fuzz_target;

// Panics of the tokenizers crate are caught, so they are no finding; libFuzzer's hook would end the run.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |bytes: &[u8]| {
    let Ok(tokenizer) = PairTokenizer::from_bytes(bytes) else { return };
    let limits = Limits { max_length: 64, truncation: Truncation::LongestFirst, max_query_tokens: Some(16) };
    for text in ["", "a", "Berlin has 3.5 million inhabitants. ÄÖ ﬁ 柏林 😀\u{200d}\u{0}"] {
        if let Ok(pair) = tokenizer.encode("how many?", text, &limits) {
            assert!(pair.ids.len() <= 64 && pair.ids.len() == pair.type_ids.len());
        }
    }
});
