//! The bodies of Cohere's rerank endpoints, for the command line and the server.

use std::hash::{BuildHasher, RandomState};

use crossrank::{Document, Ranked, Response, Usage};
use serde_json::{Value, json};

/// A version of Cohere's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// What a caller should know about an answer, as one line each.
pub(crate) fn warnings(response: &Response) -> Vec<String> {
    response.warnings.iter().map(|warning| format!("{}: {warning}", warning.code())).collect()
}

/// A ranking; `model`, `object` and `usage` are what clients of Jina's API read.
pub(crate) fn body(
    usage: &Usage,
    results: Vec<Value>,
    warnings: Vec<String>,
    model: &str,
    version: Version,
) -> Value {
    let version = if version == Version::V1 { "1" } else { "2" };
    let mut meta = json!({
        "api_version": { "version": version, "is_experimental": false },
        "billed_units": { "search_units": usage.search_units },
        "tokens": { "input_tokens": usage.tokens, "output_tokens": 0 },
    });
    if !warnings.is_empty() {
        meta["warnings"] = json!(warnings);
    }
    json!({
        "id": request_id(), "object": "list", "model": model, "results": results, "meta": meta,
        "usage": usage_body(usage.tokens),
    })
}

/// One item of a ranking, which holds no other keys: there are clients that refuse them.
pub(crate) fn result(result: &Ranked, score: f64) -> Value {
    let mut body = json!({ "index": result.index, "relevance_score": score });
    match &result.document {
        Some(Document::Text(text)) => body["document"] = json!({ "text": text }),
        Some(object) => body["document"] = json!(object),
        None => {}
    }
    body
}

/// Tokens that were read, as Jina and OpenAI count them.
pub(crate) fn usage_body(tokens: usize) -> Value {
    json!({ "prompt_tokens": tokens, "total_tokens": tokens })
}

/// A random UUID (version 4); the standard library's hash keys are random.
pub(crate) fn request_id() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    let (high, low) = (random() & !0xF000 | 0x4000, random() & !(0b11 << 62) | 0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_version_4_uuids_and_differ() {
        let (one, other) = (request_id(), request_id());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]));
    }
}
