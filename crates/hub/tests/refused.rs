//! Wrong files, closed repositories, servers that are no hub, disks that take no more.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod server;

use std::fs;

use crossrank_hub::{Hub, HubError, ModelEntry, Progress};
use server::{Reply, Repository, Request, Server, WEIGHTS, blob, entry, in_snapshot};
use tempfile::{TempDir, tempdir};

fn silent(_: Progress) {}

fn pull_error(
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    entry: &ModelEntry,
) -> (HubError, TempDir) {
    let (server, cache) = (Server::start(answer), tempdir().unwrap());
    let error = server.hub(&cache).pull(entry, &silent).unwrap_err();
    assert_eq!(server.hub(&cache).cached(entry), None);
    (error, cache)
}

#[test]
fn one_wrong_byte_leaves_nothing() {
    let repository = Repository::new();
    let (files, etag, sha256) = (repository.clone(), repository.etag(WEIGHTS), repository.sha256(WEIGHTS));
    let answer = move |request: &Request| {
        let mut reply = files.answer(request);
        if request.gets(WEIGHTS) {
            reply.body[123_456] ^= 1;
        }
        reply
    };
    let (error, cache) = pull_error(answer, &entry());
    assert_eq!(error.code(), "integrity_mismatch");
    let HubError::IntegrityMismatch { url, expected, found } = error else { panic!("{error:?}") };
    assert!(url.ends_with(WEIGHTS));
    assert_eq!(expected, format!("sha256 {sha256}"));
    assert_ne!(found, expected);
    assert!(!in_snapshot(&cache, WEIGHTS).exists());
    assert!(!blob(&cache, &etag).exists() && !blob(&cache, &format!("{etag}.incomplete")).exists());
}

#[test]
fn a_listed_hash_is_checked_where_the_server_gives_none() {
    let repository = Repository::new();
    let mut listed = entry();
    listed.files[0].sha256 = Some("0".repeat(64));
    let (error, cache) = pull_error(move |request| repository.answer(request), &listed);
    assert_eq!(error.code(), "integrity_mismatch");
    assert!(!in_snapshot(&cache, "config.json").exists());
}

#[test]
fn a_server_with_another_file_than_the_listed_one_is_found_out_before_the_download() {
    for change in [
        |entry: &mut ModelEntry| entry.files[2].sha256 = Some("0".repeat(64)),
        |entry: &mut ModelEntry| entry.files[2].bytes = Some(1),
    ] {
        let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
        let mut listed = entry();
        change(&mut listed);
        let error = server.hub(&cache).pull(&listed, &silent).unwrap_err();
        assert_eq!(error.code(), "integrity_mismatch");
        assert_eq!(server.gets(""), 0);
    }
}

#[test]
fn a_body_of_another_length_is_refused() {
    let repository = Repository::new();
    let answer = move |request: &Request| {
        let mut reply = repository.answer(request);
        if request.gets("config.json") {
            reply.body.push(b' ');
        }
        reply
    };
    let (error, _) = pull_error(answer, &entry());
    assert!(error.to_string().contains("3 bytes where 2 bytes is right"), "{error}");
}

#[test]
fn a_cached_file_of_a_wrong_size_is_downloaded_again() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let server = Server::sound(repository.clone());
    let mut listed = entry();
    listed.files[2].bytes = Some(repository.files[WEIGHTS].len() as u64);
    let folder = server.hub(&cache).pull(&listed, &silent).unwrap();
    fs::write(blob(&cache, &repository.etag(WEIGHTS)), &repository.files[WEIGHTS][..1000]).unwrap();
    assert_eq!(server.hub(&cache).cached(&listed), None);
    assert_eq!(server.hub(&cache).pull(&listed, &silent).unwrap(), folder);
    assert_eq!(fs::read(folder.join(WEIGHTS)).unwrap(), repository.files[WEIGHTS]);
}

#[test]
fn a_missing_file_is_named_with_repository_and_revision() {
    let (error, _) = pull_error(|_| Reply::status(404), &entry());
    assert_eq!(error.code(), "model_not_found");
    assert!(error.to_string().contains("owner/name at main has no config.json"), "{error}");
}

#[test]
fn missing_weights_are_named() {
    let mut repository = Repository::new();
    repository.files.remove(WEIGHTS);
    let (error, _) = pull_error(move |request| repository.answer(request), &entry());
    assert!(error.to_string().contains("has no model.safetensors"), "{error}");
}

#[test]
fn a_repository_that_hugging_face_denies_knowing_is_not_found() {
    let unknown = |_: &Request| Reply {
        headers: vec![("X-Error-Code", "RepoNotFound".to_owned())],
        ..Reply::status(401)
    };
    let (error, _) = pull_error(unknown, &entry());
    assert_eq!(error.code(), "model_not_found");
    assert!(error.to_string().contains("HF_TOKEN"), "{error}");
}

#[test]
fn a_closed_repository_says_what_opens_it() {
    for status in [401, 403] {
        let (error, _) = pull_error(move |_| Reply::status(status), &entry());
        assert_eq!(error.code(), "download_failed");
        assert!(error.to_string().contains("accept the licence on its page and set HF_TOKEN"), "{error}");
    }
}

#[test]
fn a_server_that_is_no_hub_is_named_so() {
    let page = |_: &Request| Reply { body: b"hello".to_vec(), ..Reply::status(200) };
    let (error, _) = pull_error(page, &entry());
    assert!(
        error.to_string().contains("X-Repo-Commit") && error.to_string().contains("HF_ENDPOINT"),
        "{error}"
    );
}

#[test]
fn redirects_in_a_circle_end() {
    let (error, _) = pull_error(|request| Reply::redirect(request.path.clone()), &entry());
    assert_eq!(error.code(), "download_failed");
}

#[test]
fn names_that_lead_out_of_the_cache_are_refused() {
    let repository = Repository::new();
    let hostile = move |request: &Request| {
        let mut reply = repository.answer(request);
        reply.headers.retain(|(name, _)| *name != "X-Repo-Commit");
        reply.headers.push(("X-Repo-Commit", "../../../outside".to_owned()));
        reply
    };
    let (error, _) = pull_error(hostile, &entry());
    assert!(matches!(error, HubError::UnsafePath { .. }), "{error:?}");
    let mut outside = entry();
    outside.files[0].path = "../config.json".to_owned();
    let (error, _) = pull_error(|_| Reply::status(500), &outside);
    assert!(matches!(error, HubError::UnsafePath { .. }), "{error:?}");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (server, folder) = (Server::sound(Repository::new()), tempdir().unwrap());
    // A file where the cache should be: permissions would not stop an administrator.
    let cache = folder.path().join("hub");
    fs::write(&cache, "").unwrap();
    let error = Hub::new(&server.url, &cache).pull(&entry(), &silent).unwrap_err();
    assert_eq!(error.code(), "cache_unusable");
    assert!(error.to_string().contains("HF_HOME") && std::error::Error::source(&error).is_some(), "{error}");
}

/// Files may grow to 50 or 100 kB (shells differ) in a process of its own, which runs this test again.
#[test]
#[cfg(unix)]
fn a_disk_that_takes_no_more_is_named_with_the_missing_bytes() {
    const ENDPOINT: &str = "CROSSRANK_TEST_ENDPOINT";
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        let cache = tempdir().unwrap();
        let error = Hub::new(endpoint, cache.path()).pull(&entry(), &silent).unwrap_err();
        assert_eq!(error.code(), "storage_full");
        let HubError::StorageFull { path, needed, .. } = error else { panic!("{error:?}") };
        assert!(path.starts_with(cache.path()) && needed > 100_000, "{needed} at {}", path.display());
        assert!(!in_snapshot(&cache, WEIGHTS).exists());
        return;
    }
    let server = Server::sound(Repository::new());
    let limited = "trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact \"$1\"";
    let output = std::process::Command::new("sh")
        .args(["-c", limited, std::env::current_exe().unwrap().to_str().unwrap()])
        .arg("a_disk_that_takes_no_more_is_named_with_the_missing_bytes")
        .env(ENDPOINT, &server.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(server.gets(WEIGHTS), 1);
}
