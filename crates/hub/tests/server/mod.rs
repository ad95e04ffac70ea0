//! A small HTTP server that behaves as a Hugging Face hub does, and remembers what it was asked.

// Every test file is a program of its own and uses its share of this one; a test may panic.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crossrank_hub::{Hub, ModelEntry};
use sha2::{Digest, Sha256};

pub(crate) const REPO: &str = "owner/name";
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const WEIGHTS_BYTES: usize = 300_000;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn gets(&self, file: &str) -> bool {
        self.method == "GET" && self.path.ends_with(file)
    }
}

#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    pub(crate) cut_after: Option<usize>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn redirect(to: String) -> Self {
        Self { status: 302, headers: vec![("Location", to)], ..Self::default() }
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream.unwrap(), &log, &*answer));
            }
        });
        Self { url, requests }
    }

    /// A hub that has `repository` and no faults.
    pub(crate) fn sound(repository: Repository) -> Self {
        Self::start(move |request| repository.answer(request))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How often the bytes of `file` were asked for.
    pub(crate) fn gets(&self, file: &str) -> usize {
        self.requests().iter().filter(|request| request.gets(file)).count()
    }

    pub(crate) fn hub(&self, cache: &tempfile::TempDir) -> Hub {
        Hub::new(&self.url, cache.path())
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Reply) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let fields = lines.take_while(|line| !line.is_empty());
    let fields =
        fields.filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned())));
    let request = Request { method, path, headers: fields.collect() };
    log.lock().unwrap().push(request.clone());
    let reply = answer(&request);
    let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
    let sent = if request.method == "HEAD" { 0 } else { reply.cut_after.unwrap_or(reply.body.len()) };
    // A client that hangs up early is its own test's business.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply.body[..sent]));
    let _ = stream.shutdown(Shutdown::Write);
}

/// The files of a repository, with the headers that Hugging Face sends.
#[derive(Clone)]
pub(crate) struct Repository {
    /// Its path: `/owner/name`.
    pub(crate) path: &'static str,
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    /// Where large files are redirected to.
    pub(crate) storage: Option<String>,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let weights = (0..WEIGHTS_BYTES).map(|i| (i * 31 % 251) as u8).collect();
        let files =
            [("config.json", b"{}".to_vec()), ("tokenizer.json", b"[1]".to_vec()), (WEIGHTS, weights)];
        Self { path: "/owner/name", files: files.into(), storage: None }
    }

    pub(crate) fn sha256(&self, file: &str) -> String {
        Sha256::digest(&self.files[file]).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Large files go by their sha256, small ones by git's hash.
    pub(crate) fn etag(&self, file: &str) -> String {
        let hash = self.sha256(file);
        if file.ends_with(".safetensors") { hash } else { hash[..40].to_owned() }
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let inside = request.path.strip_prefix(self.path).and_then(|path| path.strip_prefix("/resolve/"));
        let file = inside.and_then(|path| path.split_once('/'));
        let Some((file, bytes)) = file.and_then(|(_, file)| self.files.get_key_value(file)) else {
            return Reply::status(404);
        };
        let mut reply = match &self.storage {
            Some(storage) if file.ends_with(".safetensors") => {
                Reply::redirect(format!("{storage}{}", request.path))
            }
            _ => part(request, bytes),
        };
        let tag = if reply.status == 302 { "X-Linked-Etag" } else { "ETag" };
        reply.headers.push((tag, format!("\"{}\"", self.etag(file))));
        reply.headers.push(("X-Linked-Size", bytes.len().to_string()));
        reply.headers.push(("X-Repo-Commit", COMMIT.to_owned()));
        reply
    }
}

/// The bytes, or those of them that `Range` asks for.
pub(crate) fn part(request: &Request, bytes: &[u8]) -> Reply {
    let start = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(start) = start.filter(|start: &usize| *start < bytes.len()) else {
        return Reply { status: 200, body: bytes.to_vec(), ..Reply::default() };
    };
    let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    Reply {
        status: 206,
        headers: vec![("Content-Range", range)],
        body: bytes[start..].to_vec(),
        cut_after: None,
    }
}

pub(crate) fn entry() -> ModelEntry {
    Hub::repo_entry(REPO).unwrap()
}

/// The blob folder's path of `name`.
pub(crate) fn blob(cache: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
    cache.path().join("models--owner--name/blobs").join(name)
}

/// A file's path in the snapshot.
pub(crate) fn in_snapshot(cache: &tempfile::TempDir, file: &str) -> std::path::PathBuf {
    cache.path().join("models--owner--name/snapshots").join(COMMIT).join(file)
}
