//! The wire: what clients of other APIs send, and what they are answered.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use program::server::Server;
use program::stdout;
use serde_json::{Value, json};

/// The server of the tests that run; a static one would outlive them.
fn server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start(&[]));
        *shared = Arc::downgrade(&server);
        server
    })
}

type Headers<'a> = &'a [(&'a str, &'a str)];
const QUERY: &str = "How many people live in Berlin?";
const DOCUMENTS: [&str; 3] =
    ["Berlin has many museums.", "Berlin has 3.5 million inhabitants.", "Bananas are yellow."];

fn ranked(path: &str, extra: Value) -> Value {
    let server = server();
    let mut body = json!({ "model": "rerank-v3.5", "query": QUERY, "documents": DOCUMENTS });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let answer = server.post(path, &body);
    assert_eq!(answer.status, 200, "{path} {extra}: {}", answer.text);
    answer.json()
}

fn indices(body: &Value) -> Vec<u64> {
    body["results"].as_array().unwrap().iter().map(|result| result["index"].as_u64().unwrap()).collect()
}

/// The indices that the command line gives for these documents.
fn order_of_command_line(query: &str, documents: &Value, flags: &[&str]) -> Vec<u64> {
    let arguments = [&["rerank", "--query", query, "--documents", "-", "--format", "json"], flags].concat();
    indices(&serde_json::from_str(&stdout(&arguments, documents.to_string())).unwrap())
}

#[test]
fn requests_that_clients_were_recorded_sending_get_what_those_clients_accept() {
    let server = server();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/api-wire-fixtures.jsonl");
    let Ok(recorded) = std::fs::read_to_string(&path) else {
        println!(
            "skipped: requests_that_clients_were_recorded_sending_get_what_those_clients_accept: shared data is absent"
        );
        return;
    };
    let mut orders = BTreeMap::new();
    for line in recorded.lines() {
        let sent: Value = serde_json::from_str(line).unwrap();
        let (body, path) = (&sent["body"], sent["path"].as_str().unwrap());
        let headers = sent["headers"].as_object().unwrap().iter();
        // Nothing here unpacks an answer, and the server packs none.
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .filter(|(name, _)| *name != "accept-encoding")
            .collect();
        let answer = server.send(path, &headers, body.to_string().as_bytes());
        let context = format!("{} {path} {body}: {}", sent["client"], answer.text);
        if body["documents"] == json!([]) {
            assert!(answer.status == 400 && answer.json()["message"].is_string(), "{context}");
            continue;
        }
        assert_eq!(answer.status, 200, "{context}");
        let found = answer.json();
        let version = if path.ends_with("/v2/rerank") { "2" } else { "1" };
        assert_eq!(found["meta"]["api_version"]["version"], version, "{context}");
        assert!(found["meta"]["billed_units"]["search_units"] == 1, "{context}");
        assert!(found["model"] == "default" && found["usage"]["total_tokens"].is_u64(), "{context}");
        for result in found["results"].as_array().unwrap() {
            let known = ["index", "relevance_score", "document"];
            assert!(result.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{context}");
            assert!((0.0..=1.0).contains(&result["relevance_score"].as_f64().unwrap()), "{context}");
            assert_eq!(result.get("document").is_some(), body["return_documents"] == true, "{context}");
        }
        let fields = body["rank_fields"].as_array().map_or("text".to_owned(), |fields| {
            fields.iter().map(|field| field.as_str().unwrap()).collect::<Vec<_>>().join(",")
        });
        let tokens = body["max_tokens_per_doc"].as_u64().unwrap_or(4096).to_string();
        let expected = orders
            .entry((body["documents"].to_string(), fields.clone(), tokens.clone()))
            .or_insert_with(|| {
                let flags = ["--rank-fields", &fields, "--max-tokens-per-doc", &tokens];
                order_of_command_line(body["query"].as_str().unwrap(), &body["documents"], &flags)
            });
        let count = body["top_n"].as_u64().map_or(expected.len(), |n| expected.len().min(n as usize));
        assert_eq!(indices(&found), expected[..count], "{context}");
    }
}

#[test]
fn the_order_and_the_scores_are_those_of_the_command_line() {
    let server = server();
    let documents: Vec<String> =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/sample/documents.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).map_or(line.to_owned(), |v| v.to_string()))
            .collect();
    let query = "how long does cooked rice keep";
    let answer =
        server.post("/v2/rerank", &json!({ "model": "default", "query": query, "documents": documents }));
    let arguments = ["rerank", "--query", query, "--documents", "-", "--format", "json"];
    let alone: Value = serde_json::from_str(&stdout(&arguments, json!(documents).to_string())).unwrap();
    let found = answer.json();
    assert_eq!(indices(&found), indices(&alone));
    for (shared, alone) in
        found["results"].as_array().unwrap().iter().zip(alone["results"].as_array().unwrap())
    {
        let score = |result: &Value| result["relevance_score"].as_f64().unwrap();
        // Logits differ by the order of summation alone, 1e-5; a score moves by a quarter of that at most.
        assert!((score(shared) - score(alone)).abs() < 1e-5, "{shared} {alone}");
    }
}

#[test]
fn null_is_absent_unknown_fields_are_ignored_and_a_large_top_n_is_all() {
    let nulls =
        json!({ "top_n": null, "max_tokens_per_doc": null, "return_documents": null, "rank_fields": null });
    assert_eq!(indices(&ranked("/v2/rerank", nulls)), [1, 0, 2]);
    let unknown = json!({ "priority": 3, "relevant_spans": { "mode": "enabled" }, "top_n": 1000 });
    assert_eq!(indices(&ranked("/v1/rerank", unknown)), [1, 0, 2]);
    assert_eq!(indices(&ranked("/v1/v2/rerank", json!({ "top_n": 1 }))), [1]);
    // vLLM's default is 0, which is all.
    assert_eq!(indices(&ranked("/rerank", json!({ "top_n": 0 }))), [1, 0, 2]);
}

#[test]
fn documents_come_back_as_they_were_sent() {
    let strings = ranked("/v2/rerank", json!({ "return_documents": true, "top_n": 1 }));
    assert_eq!(strings["results"][0]["document"], json!({ "text": DOCUMENTS[1] }));
    let objects = DOCUMENTS.map(|text| json!({ "text": text, "page": 7 }));
    let objects = ranked("/v1/rerank", json!({ "documents": objects, "return_documents": true }));
    assert_eq!(objects["results"][0]["document"], json!({ "text": DOCUMENTS[1], "page": 7 }));
}

#[test]
fn objects_are_read_by_their_fields() {
    let server = server();
    let objects =
        json!([{ "title": "Museums", "body": DOCUMENTS[0] }, { "title": "People", "body": DOCUMENTS[1] }]);
    let fields = ranked("/v1/rerank", json!({ "documents": objects, "rank_fields": ["body"] }));
    assert_eq!(indices(&fields), [1, 0]);
    // Cohere's v1 reads `text`, its v2 takes no objects: ours reads all fields and says so.
    let missing = server.post("/v1/rerank", &json!({ "query": QUERY, "documents": objects }));
    assert!(missing.status == 400 && missing.json()["message"].as_str().unwrap().contains("document 0"));
    let yaml = ranked("/v2/rerank", json!({ "documents": objects }));
    assert_eq!(indices(&yaml), [1, 0]);
    let warnings = yaml["meta"]["warnings"].to_string();
    assert!(warnings.contains("objects_as_yaml") && warnings.contains("model_substituted"), "{warnings}");
}

#[test]
fn text_embeddings_inference_gets_a_bare_array_of_all_texts() {
    let server = server();
    let answer = server.post("/rerank", &json!({ "query": QUERY, "texts": DOCUMENTS, "return_text": true }));
    let found = answer.json();
    assert_eq!(answer.order(), [1, 0, 2]);
    assert_eq!((&found[0]["text"], found[0].get("relevance_score")), (&json!(DOCUMENTS[1]), None));
    // A path of Cohere's is answered in Cohere's shape, whatever the documents are called.
    let versioned = server.post("/v2/rerank", &json!({ "query": QUERY, "texts": DOCUMENTS }));
    assert_eq!(indices(&versioned.json()), [1, 0, 2]);
    let raw =
        server.post("/rerank", &json!({ "query": QUERY, "texts": DOCUMENTS, "raw_scores": true })).json();
    let (raw, score) = (raw[0]["score"].as_f64().unwrap(), found[0]["score"].as_f64().unwrap());
    assert!((1.0 / (1.0 + (-raw).exp()) - score).abs() < 1e-12 && raw > 1.0, "{raw} {score}");
}

#[test]
fn vllm_scores_pairs_in_their_own_order() {
    let server = server();
    let data = |body: Value| {
        let answer = server.post("/v1/score", &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let found = answer.json();
        let scores = found["data"].as_array().unwrap().iter();
        scores.map(|pair| pair["score"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let one = data(json!({ "model": "any", "text_1": QUERY, "text_2": DOCUMENTS }));
    let many = data(json!({ "queries": [QUERY, QUERY, QUERY], "documents": DOCUMENTS }));
    assert_eq!(one.len(), 3);
    assert!(one[1] > one[0] && one[0] > one[2], "{one:?}");
    // Only the order of summation inside a matrix product may differ.
    assert!(one.iter().zip(&many).all(|(one, other)| (one - other).abs() < 1e-5));
    let uneven = server.post("/score", &json!({ "text_1": [QUERY, QUERY], "text_2": DOCUMENTS }));
    assert_eq!((uneven.status, &uneven.json()["code"]), (422, &json!("invalid_body")));
}

#[test]
fn truncation_can_be_refused() {
    let server = server();
    let long = "Berlin has many people. ".repeat(400);
    let body = |truncate: Value| json!({ "query": QUERY, "texts": [long], "truncate": truncate });
    assert_eq!(server.post("/rerank", &body(json!(true))).status, 200);
    let refused = server.post("/rerank", &body(json!(false)));
    assert_eq!((refused.status, &refused.json()["error_type"]), (422, &json!("Validation")));
}

#[test]
fn a_boost_moves_documents_by_its_weight() {
    let boosted =
        |weight: f64| json!({ "boost": { "scores": [0.1, 0.2, 0.9], "weight": weight }, "raw_scores": true });
    let (plain, none, strong) = (
        ranked("/v2/rerank", json!({ "raw_scores": true })),
        ranked("/v2/rerank", boosted(0.0)),
        ranked("/v2/rerank", boosted(20.0)),
    );
    assert_eq!(plain["results"], none["results"]);
    assert_eq!(indices(&strong)[0], 2);
    // The scores have the mean 0.4 and the standard deviation 0.3559.
    let logit = |body: &Value, index: u64| {
        let mut results = body["results"].as_array().unwrap().iter();
        results.find(|result| result["index"] == index).unwrap()["relevance_score"].as_f64().unwrap()
    };
    assert!((logit(&strong, 2) - logit(&plain, 2) - 20.0 * 0.5 / 0.355_903).abs() < 1e-3);
    let short = server()
        .post("/v2/rerank", &json!({ "query": "q", "documents": ["a", "b"], "boost": { "scores": [1] } }));
    assert_eq!(short.status, 400, "{}", short.text);
}

#[test]
fn search_units_are_counted_as_cohere_counts() {
    let server = server();
    // 60 documents of about 600 tokens are two pieces of 500 each, query included: 120 pieces.
    let documents = vec!["people ".repeat(600); 60];
    let body =
        json!({ "query": "people", "documents": documents, "max_chunks_per_doc": 2, "deadline_ms": 60_000 });
    let found = server.post("/v1/rerank", &body).json();
    assert_eq!(found["meta"]["billed_units"]["search_units"], 2);
}

#[test]
fn zero_chunks_are_refused_with_and_without_a_version() {
    let server = server();
    for path in ["/v2/rerank", "/v1/rerank", "/rerank"] {
        let body = json!({ "query": QUERY, "documents": ["people"], "max_chunks_per_doc": 0 });
        assert_eq!(server.post(path, &body).status, 400, "{path}");
    }
}

#[test]
fn windows_of_a_document_are_limited_by_max_chunks_per_doc() {
    let server = server();
    let long = format!("{} {}", "The island has old museums. ".repeat(200), DOCUMENTS[1]);
    let score = |chunks: Value| {
        let body =
            json!({ "query": QUERY, "documents": [long], "max_chunks_per_doc": chunks, "raw_scores": true });
        server.post("/v1/rerank", &body).json()["results"][0]["relevance_score"].as_f64().unwrap()
    };
    // The answer stands behind the first window.
    assert!(score(Value::Null) > score(json!(1)) + 3.0);
}

#[test]
fn a_cascade_reads_as_many_documents_whole_as_it_keeps() {
    let server = server();
    let long = format!("{} {}", "The island has old museums. ".repeat(20), DOCUMENTS[1]);
    let answer = |cascade: Value| {
        let documents = json!([DOCUMENTS[1], long]);
        server.post(
            "/v2/rerank",
            &json!({ "query": QUERY, "documents": documents, "cascade": cascade, "raw_scores": true }),
        )
    };
    let second = |cascade| answer(cascade).json()["results"][1]["relevance_score"].as_f64().unwrap();
    let (whole, both) = (second(Value::Null), second(json!({ "max_tokens": 16, "keep": 2 })));
    // Only the order of summation inside a matrix product differs.
    assert!((whole - both).abs() < 1e-4, "{whole} {both}");
    // The answer stands behind the beginning.
    assert!(second(json!({ "max_tokens": 16, "keep": 1 })) < whole - 3.0);
    assert_eq!(answer(json!({ "keep": 1 })).status, 422);
    assert_eq!(answer(json!({ "max_tokens": 16, "keep": 0 })).status, 400);
}

#[test]
fn every_failure_has_a_body_that_every_client_reads() {
    let server = server();
    let json = ("content-type", "application/json");
    let fine = json!({ "query": QUERY, "documents": DOCUMENTS }).to_string();
    let cases: [(&str, Headers<'_>, &str, u16, &str); 16] = [
        ("/v2/rerank", &[json], "", 422, "invalid_body"),
        ("/v2/rerank", &[json], "{", 422, "invalid_body"),
        ("/v2/rerank", &[json], "[1]", 422, "invalid_body"),
        ("/v2/rerank", &[json], "{} {}", 422, "invalid_body"),
        ("/v2/rerank", &[json], r#"{"query":"q","documents":["a",1]}"#, 422, "invalid_body"),
        ("/v2/rerank", &[json], r#"{"query":"q","documents":["a"],"top_n":-1}"#, 422, "invalid_body"),
        ("/v2/rerank", &[json], r#"{"query":"q","documents":["a"],"top_n":0}"#, 400, "invalid_input"),
        ("/v2/rerank", &[json], r#"{"query":" ","documents":["a"]}"#, 400, "invalid_input"),
        ("/v2/rerank", &[json], r#"{"query":"q"}"#, 400, "invalid_input"),
        (
            "/v1/rerank",
            &[json],
            r#"{"query":"q","documents":[{"text":"a"}],"rank_fields":[]}"#,
            400,
            "invalid_input",
        ),
        ("/rerank", &[json], r#"{"query":"q","texts":[]}"#, 400, "invalid_input"),
        ("/score", &[json], r#"{"text_1":"q"}"#, 400, "invalid_input"),
        ("/v3/rerank", &[json], &fine, 404, "route_not_found"),
        ("/health", &[json], &fine, 405, "method_not_allowed"),
        ("/v2/rerank", &[("content-type", "text/plain")], &fine, 415, "unsupported_media_type"),
        ("/v2/rerank", &[], &fine, 415, "unsupported_media_type"),
    ];
    for (path, headers, body, status, code) in cases {
        let answer = server.send(path, headers, body.as_bytes());
        let found = answer.json();
        assert_eq!((answer.status, &found["code"]), (status, &json!(code)), "{path} {body}: {found}");
        for key in ["id", "message", "detail", "error", "error_type", "request_id"] {
            assert!(found[key].is_string(), "{key} of {found}");
        }
    }
    let place = server.post("/v2/rerank", &json!({ "query": "q", "documents": ["a", ["b"]] })).json();
    assert!(place["message"].as_str().unwrap().contains("documents[1]: "), "{place}");
}

#[test]
fn deeply_nested_and_odd_bodies_are_refused_and_the_server_lives() {
    let server = server();
    let json = [("content-type", "application/json")];
    let nested = format!("{{\"query\":\"q\",\"documents\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let odd: [&[u8]; 5] = [
        nested.as_bytes(),
        b"{\"query\":\"\xff\",\"documents\":[\"a\"]}",
        b"{\"query\":\"q\",\"query\":\"r\",\"documents\":[\"a\"]}",
        b"{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":1e999}",
        b"{\"query\":\"q\",\"documents\":[\"\\ud800\"]}",
    ];
    for body in odd {
        assert_eq!(server.send("/v2/rerank", &json, body).status, 422, "{}", String::from_utf8_lossy(body));
    }
    // A deadline in the far future, and an object as deep as JSON may be.
    let deep = format!("{{\"query\":\"q\",\"documents\":[{}1{}]}}", "{\"a\":".repeat(120), "}".repeat(120));
    assert_eq!(server.send("/v2/rerank", &json, deep.as_bytes()).status, 200);
    ranked("/v2/rerank", json!({ "deadline_ms": u64::MAX }));
}

#[test]
fn health_models_and_documentation_are_there() {
    let server = server();
    for path in ["/", "/health", "/health/live", "/health/ready", "/ping"] {
        assert_eq!(
            (server.get(path).status, server.get(path).json()),
            (200, json!({ "status": "ok" })),
            "{path}"
        );
    }
    assert_eq!(server.get("/v1/models").json()["data"][0]["id"], "default");
    assert_eq!(server.get("/info").json()["max_input_length"], 512);
    let page = server.get("/docs");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !page.text.contains("https://"), "{policy}");
    for path in server.get("/openapi.json").json()["paths"].as_object().unwrap().keys() {
        assert_ne!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn times_and_metrics_tell_every_stage() {
    let server = server();
    let answer = server.post("/v2/rerank", &json!({ "query": QUERY, "documents": DOCUMENTS }));
    let timing = answer.headers["server-timing"].to_str().unwrap();
    for stage in ["tokenize", "queue", "compute", "total"] {
        assert!(timing.contains(&format!("{stage};dur=")), "{timing}");
        let count = format!("crossrank_stage_seconds_count{{model=\"default\",stage=\"{stage}\"}}");
        assert!(server.metric(&count) >= 1.0);
    }
    assert!(server.metric("crossrank_requests_total{code=\"ok\"}") >= 1.0);
}
