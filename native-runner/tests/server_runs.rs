//! How the server runs: shared passes, limits, access, deadlines, disconnects.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use program::server::Server;
use program::tiny_model::TinyModel;
use program::{fails, file};
use serde_json::{Value, json};

/// Tests that measure time do not share the processor.
static ALONE: Mutex<()> = Mutex::new(());
const JSON: (&str, &str) = ("content-type", "application/json");
const QUERY: &str = "How many people live in Berlin?";

fn body(documents: &[String]) -> Value {
    json!({ "query": QUERY, "documents": documents, "raw_scores": true })
}

/// `count` documents of about `tokens` tokens, all different.
fn documents(count: usize, tokens: usize) -> Vec<String> {
    (0..count).map(|number| format!("number {number} {}", "berlin people ".repeat(tokens / 2))).collect()
}

#[test]
fn many_clients_at_once_get_what_each_gets_alone() {
    let _alone = ALONE.lock();
    let server = Server::start(&[]);
    let asked: Vec<Value> =
        (0..12).map(|client| body(&documents(1 + client % 5, 20 + 40 * (client % 4)))).collect();
    let logits = |asked: &Value| {
        let answer = server.post("/v2/rerank", asked).json();
        let results = answer["results"].as_array().unwrap().iter();
        results
            .map(|result| (result["index"].clone(), result["relevance_score"].as_f64().unwrap()))
            .collect::<Vec<_>>()
    };
    let alone: Vec<_> = asked.iter().map(logits).collect();
    let shared: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = asked.iter().map(|asked| scope.spawn(|| logits(asked))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for ((index, alone), (same, shared)) in alone.iter().flatten().zip(shared.iter().flatten()) {
        assert_eq!(index, same);
        // Only the order of summation inside a matrix product differs.
        assert!((alone - shared).abs() <= 1e-5 * alone.abs().max(1.0), "{alone} {shared}");
    }
}

#[test]
fn a_short_request_overtakes_a_long_one() {
    let _alone = ALONE.lock();
    let server = Server::start(&[]);
    let long = server.unread(&body(&documents(400, 100)));
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 1.0);
    let started = Instant::now();
    assert_eq!(server.post("/v2/rerank", &body(&documents(2, 10))).status, 200);
    println!("a short request took {:?} beside 400 documents", started.elapsed());
    assert_eq!(server.metric("crossrank_queue_requests{model=\"default\"}"), 1.0, "the long one still runs");
    drop(long);
}

#[test]
fn a_client_that_goes_gives_its_place_back_at_once() {
    let _alone = ALONE.lock();
    let server = Server::start(&["--queue-tokens", "20000"]);
    let gone = server.unread(&body(&documents(400, 100)));
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 1.0);
    drop(gone);
    let started = Instant::now();
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 0.0);
    // 40,000 tokens are eight seconds of computing.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    server.wait_for("crossrank_requests_total{code=\"cancelled\"}", 1.0);
    assert_eq!(server.post("/v2/rerank", &body(&documents(2, 10))).status, 200);
}

#[test]
fn text_of_a_client_that_has_gone_is_tokenized_no_further() {
    let _alone = ALONE.lock();
    let server = Server::start(&[]);
    // Every pair is tokenized: 2 GB of text in a body of 400 kB.
    let pairs = json!({ "text_1": "people ".repeat(50_000), "text_2": vec!["a"; 6_000] }).to_string();
    let mut gone = server.begun("/score", pairs.len(), "");
    gone.write_all(pairs.as_bytes()).unwrap();
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 1.0);
    drop(gone);
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 0.0);
    let started = Instant::now();
    assert_eq!(server.post("/score", &json!({ "text_1": "q", "text_2": "a" })).status, 200);
    // Its tokenizing takes minutes, and the short one waits for the threads that do it.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn what_does_not_fit_the_queue_is_refused_at_once_with_a_time_to_wait() {
    let _alone = ALONE.lock();
    let server = Server::start(&["--queue-tokens", "2000"]);
    // Larger than the queue, and alone: taken.
    let running = server.unread(&body(&documents(200, 100)));
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 1.0);
    let started = Instant::now();
    let refused = server.post("/v2/rerank", &body(&documents(3, 100)));
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("overloaded")));
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    drop(running);
}

#[test]
fn a_deadline_is_kept_while_others_are_served() {
    let _alone = ALONE.lock();
    let server = Server::start(&[]);
    // Tells the engine how fast it is.
    server.post("/v2/rerank", &body(&documents(20, 100)));
    let other = server.unread(&body(&documents(400, 100)));
    server.wait_for("crossrank_queue_requests{model=\"default\"}", 1.0);
    let mut asked = body(&documents(300, 100));
    for (header, in_body) in [(None, Some(700)), (Some("0.7"), None)] {
        asked["deadline_ms"] = json!(in_body);
        let mut headers = vec![JSON];
        headers.extend(header.map(|seconds| ("request-timeout", seconds)));
        let started = Instant::now();
        let answer = server.send("/v2/rerank", &headers, asked.to_string().as_bytes());
        let elapsed = started.elapsed();
        // The deadline, and the time of parsing and of the answer on a busy machine.
        assert!(elapsed < Duration::from_millis(1000), "{elapsed:?}");
        let found = answer.json();
        let warnings = found["meta"]["warnings"].to_string();
        println!("{elapsed:?}: {warnings}");
        assert!(answer.status == 200 && warnings.contains("deadline_reached"), "{found}");
        assert_eq!(found["results"].as_array().unwrap().len(), 300, "the others keep their order");
    }
    drop(other);
}

#[test]
fn keys_are_asked_for_bare_or_as_a_bearer_token() {
    let folder = tempfile::tempdir().unwrap();
    // sha256 of "secret" and of "other".
    let hashes = "# keys\n2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n\n\
                  D9298A10D1B0735837DC4BD85DAC641B0F3CEF27A47E5D53A54F2F3F5B2FCFFA\n";
    let server = Server::start(&["--api-keys", &file(folder.path(), "keys.txt", hashes)]);
    let ask = |headers: &[(&str, &str)]| {
        let headers = [&[JSON], headers].concat();
        let answer = server.send("/v2/rerank", &headers, body(&documents(1, 2)).to_string().as_bytes());
        (answer.status, answer.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    for key in ["Bearer secret", "bearer other", "secret"] {
        assert_eq!(ask(&[("authorization", key)]).0, 200, "{key}");
    }
    assert_eq!(ask(&[]), (401, "no api key supplied; send the header Authorization: Bearer KEY".to_owned()));
    for key in ["Bearer secre", "Bearer secret2", "Bearer", "", "Basic secret"] {
        assert_eq!(ask(&[("authorization", key)]).0, 401, "{key}");
    }
    assert_eq!((server.get("/health").status, server.get("/info").status), (200, 401));
    // A page cannot send a key, so any name of the host is good.
    assert_eq!(ask(&[("authorization", "Bearer secret"), ("host", "rerank.internal")]).0, 200);
}

#[test]
fn key_files_that_hold_no_hash_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |content: &str, words: &str| {
        let path = file(folder.path(), "keys.txt", content);
        let outcome = fails(&["serve", "--port", "0", "--api-keys", &path], "", 2, &["--api-keys", words]);
        assert!(!outcome.stderr.contains("my-secret-key"), "a key is not printed");
    };
    refuse("my-secret-key\n", "line 1");
    refuse("\n# none\n", "holds no key");
}

#[test]
fn flags_that_are_not_possible_say_what_is_wrong() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails(&["serve", "--port", &port], "", 2, &["cannot listen on 127.0.0.1"]);
    fails(&["serve", "--port", "0", "--api-keys", "no-such-file"], "", 2, &["cannot read no-such-file"]);
    fails(&["serve", "--port", "0", "--log", "=="], "", 2, &["--log"]);
    fails(&["serve", "--port", "0", "--cors-origins", "a\nb"], "", 2, &["--cors-origins"]);
    fails(&["serve", "--port", "0", "--model", "no-such-model"], "", 3, &["model_not_found"]);
}

#[test]
fn a_page_of_another_name_does_not_reach_a_loopback_server() {
    let server = Server::start(&["--allowed-hosts", "rerank.internal"]);
    let port = server.address().rsplit(':').next().unwrap();
    let status = |host: &str| {
        let body = body(&documents(1, 2)).to_string();
        server.send("/v2/rerank", &[JSON, ("host", host)], body.as_bytes()).status
    };
    for host in ["localhost", "127.0.0.1", "[::1]", "192.168.1.9", "rerank.internal", "LOCALHOST"] {
        assert_eq!((status(&format!("{host}:{port}")), status(host)), (200, 200), "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
        assert_eq!(status(host), 403, "{host}");
    }
}

/// The headers of the answer to a browser's question before a call.
fn preflight(server: &Server, origin: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "OPTIONS /v2/rerank HTTP/1.1\r\nhost: {}\r\norigin: {origin}\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: authorization,content-type,x-fern-language\r\nconnection: close\r\n\r\n",
        server.address()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_lowercase()
}

#[test]
fn pages_may_call_only_from_origins_that_are_named() {
    let closed = preflight(&Server::start(&[]), "https://app.example");
    assert!(!closed.contains("access-control-allow"), "{closed}");
    let server = Server::start(&["--cors-origins", "https://app.example"]);
    let open = preflight(&server, "https://app.example");
    assert!(open.contains("access-control-allow-origin: https://app.example"), "{open}");
    assert!(open.contains("authorization") && open.contains("x-fern-language"), "{open}");
    assert!(!preflight(&server, "https://evil.example").contains("access-control-allow-origin"));
}

#[test]
fn several_models_answer_by_name_and_strict_names_are_not_replaced() {
    let tiny = TinyModel::new();
    let server = Server::start(&["--model", "default", "--model", tiny.path(), "--strict-models"]);
    let models = server.get("/v1/models").json();
    let name = models["data"][1]["id"].as_str().unwrap().to_owned();
    let ask = |model: Value| {
        let mut asked = body(&documents(2, 4));
        asked["model"] = model;
        server.post("/v2/rerank", &asked)
    };
    assert_eq!(ask(json!(name)).json()["model"], json!(name));
    assert_eq!(ask(json!(tiny.path())).json()["model"], json!(name), "as on the command line");
    assert_eq!(ask(Value::Null).json()["model"], "default");
    let unknown = ask(json!("rerank-v3.5"));
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("model_not_found")));
}

#[test]
fn limits_are_kept() {
    let limits = ["--max-body-bytes", "5000", "--max-documents", "3", "--read-seconds", "1"];
    let server = Server::start(&limits);
    assert_eq!(server.post("/v2/rerank", &body(&documents(3, 4))).status, 200);
    assert_eq!(server.post("/v2/rerank", &body(&documents(4, 4))).status, 400);
    let large = server.post("/v2/rerank", &body(&documents(1, 4000)));
    assert_eq!((large.status, &large.json()["code"]), (413, &json!("body_too_large")));
    // A client that sends half a body, and one that sends half a head.
    let read_all = |sent: &str| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let (started, mut answer) = (Instant::now(), String::new());
        stream.read_to_string(&mut answer).unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        answer
    };
    let head = "POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let slow = read_all(&format!("{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"));
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let half = read_all(head);
    assert!(half.is_empty() || half.starts_with("HTTP/1.1 408"), "{half}");
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn the_log_has_codes_and_times_and_no_text() {
    let server = Server::start(&["--log", "debug", "--log-format", "json"]);
    let secret = json!({ "query": "zebra question", "documents": ["quagga text", { "okapi": "field" }] });
    server.post("/v2/rerank", &secret);
    server.post("/v2/rerank", &json!({ "query": "zebra question", "documents": "quagga text" }));
    let log = server.stop();
    for word in ["zebra", "quagga", "okapi"] {
        assert!(!log.contains(word), "{log}");
    }
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let answered = lines.iter().filter(|line| line["message"] == "answered").collect::<Vec<_>>();
    assert_eq!(
        (answered.len(), &answered[0]["documents"], &answered[1]["code"]),
        (2, &json!(2), &json!("invalid_body"))
    );
}
