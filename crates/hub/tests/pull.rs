//! What a pull leaves on the disk, and whom it asks for what.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod server;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crossrank_hub::Progress;
use server::{COMMIT, REPO, Repository, Server, WEIGHTS, WEIGHTS_BYTES, blob, entry, in_snapshot, part};
use tempfile::tempdir;

fn silent(_: Progress) {}

#[test]
fn a_pull_leaves_the_layout_of_hugging_face() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let server = Server::sound(repository.clone());
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    assert_eq!(folder, in_snapshot(&cache, "").components().collect::<std::path::PathBuf>());
    for (file, bytes) in &repository.files {
        assert_eq!(&fs::read(folder.join(file)).unwrap(), bytes);
        assert_eq!(&fs::read(blob(&cache, &repository.etag(file))).unwrap(), bytes);
        #[cfg(unix)]
        assert_eq!(
            fs::read_link(folder.join(file)).unwrap(),
            Path::new("../../blobs").join(repository.etag(file))
        );
    }
    let noted = fs::read_to_string(cache.path().join("models--owner--name/refs/main")).unwrap();
    assert_eq!(noted, COMMIT);
    let incomplete = |folder: &Path| {
        let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".incomplete")).count()
    };
    assert_eq!(incomplete(&folder) + incomplete(&blob(&cache, "")), 0);
}

#[test]
fn a_second_pull_asks_for_nothing() {
    let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    let asked = server.requests().len();
    assert_eq!(server.hub(&cache).pull(&entry(), &silent).unwrap(), folder);
    assert_eq!(server.hub(&cache).cached(&entry()), Some(folder));
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn the_token_goes_to_the_endpoint_alone() {
    let (mut repository, cache) = (Repository::new(), tempdir().unwrap());
    let weights = repository.files[WEIGHTS].clone();
    let storage = Server::start(move |request| part(request, &weights));
    repository.storage = Some(storage.url.clone());
    let server = Server::sound(repository);
    server.hub(&cache).token("secret").pull(&entry(), &silent).unwrap();
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some("Bearer secret")));
    assert_eq!(storage.gets(WEIGHTS), 1);
    assert!(storage.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_repository_that_was_renamed_is_followed() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let server = Server::start(move |request| match request.path.strip_prefix("/old/name") {
        Some(rest) => server::Reply::redirect(format!("/{REPO}{rest}")),
        None => repository.answer(request),
    });
    let mut entry = entry();
    entry.repo = "old/name".to_owned();
    let folder = server.hub(&cache).token("secret").pull(&entry, &silent).unwrap();
    assert!(folder.starts_with(cache.path().join("models--old--name")));
    assert!(server.requests().iter().all(|request| request.header("authorization").is_some()));
}

#[test]
fn all_files_are_of_one_commit_even_if_the_branch_moves() {
    let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
    server.hub(&cache).pull(&entry(), &silent).unwrap();
    let of_branch = |request: &&server::Request| !request.path.contains(&format!("/resolve/{COMMIT}/"));
    assert_eq!(server.requests().iter().filter(of_branch).count(), 1);
}

#[test]
fn shards_stand_in_for_the_weights() {
    let (mut repository, cache) = (Repository::new(), tempdir().unwrap());
    let weights = repository.files.remove(WEIGHTS).unwrap();
    repository.files.insert("model-2.safetensors", weights[..10].to_vec());
    repository.files.insert("model-1.safetensors", weights);
    let index =
        br#"{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors","c":"model-1.safetensors"}}"#;
    repository.files.insert("model.safetensors.index.json", index.to_vec());
    let server = Server::sound(repository);
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    assert_eq!(fs::read(folder.join("model-1.safetensors")).unwrap().len(), WEIGHTS_BYTES);
    assert_eq!(server.hub(&cache).cached(&entry()), Some(folder.clone()));
    fs::remove_file(folder.join("model-2.safetensors")).unwrap();
    assert_eq!(server.hub(&cache).cached(&entry()), None);
}

#[test]
fn progress_ends_at_the_total_and_names_what_could_not_be_checked() {
    let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
    let seen = RefCell::new((Vec::new(), Vec::new()));
    let observer = |progress: Progress| {
        seen.borrow_mut().0.push((progress.done, progress.total));
        seen.borrow_mut().1.extend(progress.unverified.map(str::to_owned));
    };
    server.hub(&cache).pull(&entry(), &observer).unwrap();
    let (steps, unverified) = seen.into_inner();
    let total = WEIGHTS_BYTES as u64 + 5;
    assert_eq!(steps.last(), Some(&(total, total)));
    assert!(steps.is_sorted(), "{steps:?}");
    // The weights' ETag is their sha256.
    assert_eq!(unverified, ["config.json", "tokenizer.json"]);
}

#[test]
fn two_pulls_at_once_download_once() {
    let (repository, cache) = (Repository::new(), tempdir().unwrap());
    let server = Server::start(move |request| {
        // Long enough for the other pull to come upon the same file.
        thread::sleep(Duration::from_millis(100));
        repository.answer(request)
    });
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| server.hub(&cache).pull(&entry(), &silent).unwrap());
        }
    });
    for file in ["config.json", "tokenizer.json", WEIGHTS] {
        assert_eq!(server.gets(file), 1, "{file}");
    }
}

#[test]
#[cfg(unix)]
fn what_python_downloaded_is_used_as_it_is() {
    let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
    let root = cache.path().join("models--owner--name");
    for folder in ["blobs", "refs", &format!("snapshots/{COMMIT}")] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("refs/main"), COMMIT).unwrap();
    for file in ["config.json", "tokenizer.json", WEIGHTS] {
        // Other bytes than the server's: they show whether they were replaced.
        fs::write(root.join("blobs").join(format!("tag-of-{file}")), file).unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/tag-of-{file}"), in_snapshot(&cache, file)).unwrap();
    }
    let folder = server.hub(&cache).offline(true).pull(&entry(), &silent).unwrap();
    assert_eq!(fs::read_to_string(folder.join(WEIGHTS)).unwrap(), WEIGHTS);
    assert!(server.requests().is_empty());
}

#[test]
fn offline_never_opens_a_connection() {
    let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
    let error = server.hub(&cache).offline(true).pull(&entry(), &silent).unwrap_err();
    assert_eq!(error.code(), "offline");
    assert!(error.to_string().contains("config.json of owner/name"), "{error}");
    assert!(error.to_string().contains("crossrank pull owner/name"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn offline_names_the_file_that_is_missing() {
    let (server, cache) = (Server::sound(Repository::new()), tempdir().unwrap());
    let folder = server.hub(&cache).pull(&entry(), &silent).unwrap();
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let error = server.hub(&cache).offline(true).pull(&entry(), &silent).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}
