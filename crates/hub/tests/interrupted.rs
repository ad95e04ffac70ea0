//! Connections that break, and downloads that go on where they ended.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod server;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossrank_hub::{HubError, Progress};
use server::{Reply, Repository, Server, WEIGHTS, WEIGHTS_BYTES, blob, entry, in_snapshot};
use tempfile::{TempDir, tempdir};

fn silent(_: Progress) {}

/// Where each request for the weights asked to begin.
fn ranges(server: &Server) -> Vec<Option<String>> {
    let requests = server.requests();
    let weights = requests.iter().filter(|request| request.gets(WEIGHTS));
    weights.map(|request| request.header("range").map(str::to_owned)).collect()
}

/// Puts the beginning of the weights where an earlier attempt would have left it.
fn leave_part(cache: &TempDir, repository: &Repository, bytes: &[u8]) {
    fs::create_dir_all(blob(cache, "")).unwrap();
    fs::write(blob(cache, &format!("{}.incomplete", repository.etag(WEIGHTS))), bytes).unwrap();
}

#[test]
fn a_dropped_connection_goes_on_with_the_missing_bytes() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let (files, sent) = (repository.clone(), std::sync::Arc::new(AtomicUsize::new(0)));
    let count = sent.clone();
    let server = Server::start(move |request| {
        let mut reply = files.answer(request);
        if request.gets(WEIGHTS) {
            reply.cut_after = request.header("range").is_none().then_some(100_000);
            count.fetch_add(reply.cut_after.unwrap_or(reply.body.len()), Ordering::SeqCst);
        }
        reply
    });
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    assert_eq!(fs::read(folder.join(WEIGHTS)).unwrap(), repository.files[WEIGHTS]);
    assert_eq!(ranges(&server), [None, Some("bytes=100000-".to_owned())]);
    assert_eq!(sent.load(Ordering::SeqCst), WEIGHTS_BYTES);
}

#[test]
fn an_earlier_attempt_is_taken_up() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    leave_part(&cache, &repository, &repository.files[WEIGHTS][..200_000]);
    let server = Server::sound(repository.clone());
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    assert_eq!(fs::read(folder.join(WEIGHTS)).unwrap(), repository.files[WEIGHTS]);
    assert_eq!(ranges(&server), [Some("bytes=200000-".to_owned())]);
}

#[test]
fn a_spoilt_earlier_attempt_is_deleted_and_the_next_pull_succeeds() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    leave_part(&cache, &repository, &[7; 200_000]);
    let server = Server::sound(repository);
    let error = server.hub(&cache).pull(&entry(), &silent).unwrap_err();
    assert_eq!(error.code(), "integrity_mismatch");
    server.hub(&cache).pull(&entry(), &silent).unwrap();
}

#[test]
fn a_part_that_is_longer_than_the_file_is_begun_anew() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    leave_part(&cache, &repository, &[7; WEIGHTS_BYTES + 1]);
    let server = Server::sound(repository);
    server.hub(&cache).pull(&entry(), &silent).unwrap();
    assert_eq!(ranges(&server), [None]);
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let files = repository.clone();
    let first = AtomicUsize::new(1);
    let server = Server::start(move |request| {
        let mut request = request.clone();
        request.headers.remove("range");
        let mut reply = files.answer(&request);
        let is_first = request.gets(WEIGHTS) && first.swap(0, Ordering::SeqCst) == 1;
        reply.cut_after = is_first.then_some(100_000);
        reply
    });
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    assert_eq!(fs::read(folder.join(WEIGHTS)).unwrap(), repository.files[WEIGHTS]);
    assert_eq!(ranges(&server), [None, Some("bytes=100000-".to_owned())]);
}

#[test]
fn a_file_that_always_ends_early_is_never_taken_for_whole() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let files = repository.clone();
    let server = Server::start(move |request| {
        let mut reply = files.answer(request);
        if request.gets(WEIGHTS) {
            // The length is right, but the last 1,000 bytes never come.
            reply.cut_after = Some(reply.body.len() - 1000);
        }
        reply
    });
    let error = server.hub(&cache).pull(&entry(), &silent).unwrap_err();
    assert_eq!(error.code(), "download_failed");
    assert!(error.to_string().contains("it resumes"), "{error}");
    assert!(!in_snapshot(&cache, WEIGHTS).exists());
    assert!(!blob(&cache, &repository.etag(WEIGHTS)).exists());
    assert_eq!(server.hub(&cache).cached(&entry()), None);
    let part = blob(&cache, &format!("{}.incomplete", repository.etag(WEIGHTS)));
    assert_eq!(fs::metadata(part).unwrap().len(), WEIGHTS_BYTES as u64 - 1000);
    // A bounded number of attempts, each for what was missing then.
    assert_eq!(ranges(&server)[1..], vec![Some("bytes=299000-".to_owned()); 4]);
}

#[test]
fn a_busy_server_is_asked_again() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let refused = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let status = [503, 429].get(refused.fetch_add(1, Ordering::SeqCst));
        status.map_or_else(|| repository.answer(request), |status| Reply::status(*status))
    });
    server.hub(&cache).pull(&entry(), &silent).unwrap();
}

#[test]
fn nobody_at_the_endpoint_is_an_error_with_its_cause() {
    let cache = tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let error = crossrank_hub::Hub::new(url, cache.path()).pull(&entry(), &silent).unwrap_err();
    assert!(matches!(error, HubError::Network { .. }), "{error:?}");
    assert_eq!(error.code(), "download_failed");
    assert!(std::error::Error::source(&error).is_some());
}
