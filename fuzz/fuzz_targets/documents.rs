//! Any bytes as a file of documents: text for the model, or a typed error.
#![no_main]

#[path = "../../native-runner/src/input.rs"]
#[allow(dead_code, unused_imports)]
mod input;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(documents) = input::parse_documents("fuzzed", bytes) else { return };
    let fields = ["title".to_owned(), "text".to_owned()];
    for (index, document) in documents.iter().enumerate() {
        let _ = document.text(index, None);
        let _ = document.text(index, Some(&fields));
    }
});
