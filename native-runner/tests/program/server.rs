//! `crossrank serve` as a process, and a client of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::HeaderMap;

use super::crossrank;

/// A server on a free port; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Option<JoinHandle<String>>,
    pub(crate) url: String,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The indices of a ranking or of TEI's array, best first.
    pub(crate) fn order(&self) -> Vec<u64> {
        let body = self.json();
        let results = body["results"].as_array().or(body.as_array()).unwrap_or_else(|| panic!("{body}"));
        results.iter().map(|result| result["index"].as_u64().unwrap()).collect()
    }
}

impl Server {
    /// Starts it and waits until its models are loaded.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let like = crossrank();
        let mut command = Command::new(like.get_program());
        command.env_clear().envs(std::env::vars().filter(|(name, _)| !name.starts_with("CROSSRANK_")));
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args(["serve", "--port", "0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://"), "{}", log.join().unwrap());
        Self { child, log: Some(log), url }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A connection with all of a request but its body, of `length` bytes.
    pub(crate) fn begun(&self, path: &str, length: usize, header: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let address = self.address();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{header}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// A connection with a request to rank, its answer unread.
    pub(crate) fn unread(&self, body: &Value) -> TcpStream {
        let body = body.to_string();
        let mut stream = self.begun("/v2/rerank", body.len(), "");
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    /// POSTs `body` as JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub(crate) fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = agent().post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(agent().get(format!("{}{path}", self.url)).call())
    }

    /// The number behind `name` in /metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Waits until a metric has a value.
    pub(crate) fn wait_for(&self, metric: &str, value: f64) {
        let started = Instant::now();
        while self.metric(metric) != value {
            assert!(started.elapsed() < Duration::from_secs(20), "{metric} is {}", self.metric(metric));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Waits for its end: the exit status, and all that it logged.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap().code();
        (status, self.log.take().unwrap().join().unwrap())
    }

    /// Kills it: all that it logged.
    pub(crate) fn stop(mut self) -> String {
        self.child.kill().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let response = result.unwrap();
    let (parts, mut body) = response.into_parts();
    Answer { status: parts.status.as_u16(), headers: parts.headers, text: body.read_to_string().unwrap() }
}
