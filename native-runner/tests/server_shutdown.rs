//! SIGTERM while many clients wait, and while they still send.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![cfg(unix)]

mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use program::server::Server;
use serde_json::{Value, json};

const CLIENTS: usize = 64;

/// What a client sends: documents that no other does.
fn body(client: usize, documents: usize, words: usize) -> Value {
    let document = |number| format!("client {client} number {number} {}", "berlin people ".repeat(words / 2));
    let documents: Vec<String> = (0..documents).map(document).collect();
    json!({ "query": "How many people live in Berlin?", "documents": documents, "return_documents": true })
}

/// Reads until the server closes: one answer and no more, with the documents of `body`.
fn assert_answered_once(stream: &mut TcpStream, body: &Value) {
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    assert!(read.is_ok(), "{read:?} after {text:.200}");
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text:.500}");
    let (head, found) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{text:.500}");
    let found: Value = serde_json::from_str(found).unwrap();
    let results = found["results"].as_array().unwrap().iter();
    let mut texts: Vec<&Value> = results.map(|result| &result["document"]["text"]).collect();
    let mut sent: Vec<&Value> = body["documents"].as_array().unwrap().iter().collect();
    texts.sort_by_key(|text| text.as_str());
    sent.sort_by_key(|text| text.as_str());
    assert_eq!(texts, sent);
}

/// Sends the head and half of a body. The server asks for the body, so the request is accepted.
fn half_sent(server: &Server, body: &Value) -> TcpStream {
    let body = body.to_string();
    let mut stream = server.begun("/v2/rerank", body.len(), "expect: 100-continue\r\n");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
    stream
}

#[test]
fn every_request_that_runs_waits_or_is_still_being_sent_is_answered_once() {
    let server = Server::start(&[]);
    // Every fourth is still being sent; the others have more tokens than 20 passes hold.
    let bodies: Vec<Value> = (0..CLIENTS).map(|client| body(client, 2 + client % 9, 80)).collect();
    let is_half = |client: usize| client.is_multiple_of(4);
    let mut streams: Vec<TcpStream> = bodies
        .iter()
        .enumerate()
        .map(|(client, body)| if is_half(client) { half_sent(&server, body) } else { server.unread(body) })
        .collect();
    let whole = (0..CLIENTS).filter(|&client| !is_half(client)).count() as f64;
    let started = Instant::now();
    let waiting = loop {
        // In this order one that is answered between the two looks is counted by neither.
        let answered = server.metric("crossrank_requests_total{code=\"ok\"}");
        let waiting = server.metric("crossrank_queue_requests{model=\"default\"}");
        if answered + waiting >= whole {
            break waiting;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "not all were accepted");
    };
    assert!(waiting > whole / 2.0, "only {waiting} wait");
    server.signal("TERM");
    while TcpStream::connect(server.address()).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(60), "the port is not closed");
    }
    println!("{waiting} of {whole} waited, {} were being sent", CLIENTS - whole as usize);
    for (client, body) in bodies.iter().enumerate().filter(|(client, _)| is_half(*client)) {
        let body = body.to_string();
        streams[client].write_all(&body.as_bytes()[body.len() / 2..]).unwrap();
    }
    streams.iter_mut().zip(&bodies).for_each(|(stream, body)| assert_answered_once(stream, body));
    let (status, log) = server.wait();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn what_was_sent_before_the_signal_is_answered() {
    let server = Server::start(&[]);
    let bodies: Vec<Value> = (0..CLIENTS).map(|client| body(client, 1, 8)).collect();
    // Bodies that take a while to parse keep the server from looking at its sockets.
    let mut slow = body(CLIENTS, 1, 8);
    slow["ignored"] = json!(vec![0; 4_000_000]);
    let busy: Vec<TcpStream> = (0..4).map(|_| server.unread(&slow)).collect();
    let mut streams: Vec<TcpStream> = bodies.iter().map(|body| server.unread(body)).collect();
    server.signal("TERM");
    streams.iter_mut().zip(&bodies).for_each(|(stream, body)| assert_answered_once(stream, body));
    drop(busy);
    assert_eq!(server.wait().0, Some(0));
}
