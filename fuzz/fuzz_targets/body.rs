//! Any bytes as the body of a request of every API: the documents and pairs that were sent, or words on what is wrong.
#![no_main]

#[path = "../../native-runner/src/server/body.rs"]
#[allow(dead_code)]
mod body;
#[path = "../../native-runner/src/cohere.rs"]
#[allow(dead_code)]
mod cohere;

use body::{Dialect, RerankBody, ScoreBody, parse};
use cohere::Version;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|bytes: &[u8]| {
    // None where an unknown field holds what is no text: it is skipped, not read.
    let sent = serde_json::from_slice::<Value>(bytes).ok();
    for dialect in [Dialect::Plain, Dialect::Cohere(Version::V1), Dialect::Cohere(Version::V2)] {
        let Ok(body) = parse::<RerankBody>(bytes) else { break };
        let asked = body.asked(dialect, bytes.len());
        let request = &asked.request;
        for (index, document) in request.documents.iter().enumerate() {
            let _ = document.text(index, request.rank_fields.as_deref());
        }
        let Some(sent) = &sent else { continue };
        let documents = [&sent["documents"], &sent["texts"]].into_iter().find(|sent| sent.is_array());
        assert_eq!(json!(request.documents), documents.cloned().unwrap_or_else(|| json!([])));
        assert_eq!(request.query, sent["query"].as_str().unwrap_or_default());
    }
    if let Ok(Ok(pairs)) = parse::<ScoreBody>(bytes).map(|body| body.pairs(bytes.len())) {
        let longest = pairs.pairs.iter().map(|(query, document)| query.len() + document.len()).max();
        assert!(longest.unwrap_or(0) <= bytes.len());
    }
});
