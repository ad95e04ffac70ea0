//! All files that are wanted of one repository, from the hub into the cache.

use std::path::PathBuf;

use crate::cache::{INDEX, RepoCache, WEIGHTS, check_path, shards};
use crate::client::{Client, Remote};
use crate::download::Wanted;
use crate::{Hub, HubError, ModelFile, Progress, Repository};

/// The download of one repository.
pub(crate) struct Pull<'a> {
    wanted: Repository<'a>,
    endpoint: &'a str,
    cache: RepoCache,
    client: Client,
}

/// A file that the hub has.
struct Found {
    file: ModelFile,
    remote: Remote,
}

impl<'a> Pull<'a> {
    pub(crate) fn new(hub: &'a Hub, wanted: Repository<'a>) -> Self {
        let endpoint = hub.endpoint.trim_end_matches('/');
        let cache = RepoCache::new(&hub.cache, wanted.repo);
        Self { wanted, endpoint, cache, client: Client::new(endpoint, hub.token.clone()) }
    }

    pub(crate) fn run(&self, observer: &dyn Fn(Progress)) -> Result<PathBuf, HubError> {
        let files = self.find()?;
        let total = files.iter().map(|found| found.remote.bytes).sum();
        let mut done = 0;
        for found in &files {
            let progress = |received| Progress { done: done + received, total, unverified: None };
            self.fetch(found, &mut |received| observer(progress(received)))?;
            done += found.remote.bytes;
            if found.hashes().is_empty() {
                observer(Progress { done, total, unverified: Some(&found.file.path) });
            }
        }
        if let Some(found) = files.first() {
            self.cache.note(self.wanted.revision, &found.remote.commit)?;
        }
        self.cache.complete(&self.wanted).map_err(|file| self.not_found(&file))
    }

    /// What the hub says of every file, all of the one commit that the revision stands for now.
    fn find(&self) -> Result<Vec<Found>, HubError> {
        let mut revision = self.wanted.revision.to_owned();
        let mut files = Vec::new();
        for file in self.wanted.files {
            match self.look_up(&revision, file)? {
                Some(found) => {
                    revision.clone_from(&found.remote.commit);
                    files.push(found);
                }
                None if file.path == WEIGHTS => files.extend(self.find_shards(&revision)?),
                None => return Err(self.not_found(&file.path)),
            }
        }
        Ok(files)
    }

    /// The index of shards, and the shards it names.
    fn find_shards(&self, revision: &str) -> Result<Vec<Found>, HubError> {
        let unlisted = |path: &str| ModelFile { path: path.to_owned(), bytes: None, sha256: None };
        let look_up = |revision: &str, path: &str| self.look_up(revision, &unlisted(path));
        let index = look_up(revision, INDEX)?.ok_or_else(|| self.not_found(WEIGHTS))?;
        self.fetch(&index, &mut |_| {})?;
        let commit = index.remote.commit.clone();
        let names = shards(&self.cache.snapshot(&commit)).ok_or_else(|| self.not_found(WEIGHTS))?;
        let mut files = vec![index];
        for name in names {
            files.push(look_up(&commit, &name)?.ok_or_else(|| self.not_found(&name))?);
        }
        Ok(files)
    }

    fn look_up(&self, revision: &str, file: &ModelFile) -> Result<Option<Found>, HubError> {
        let url = self.url(revision, &file.path);
        let Some(remote) = self.client.head(&url)? else { return Ok(None) };
        check_path(&remote.commit)?;
        check_path(&remote.etag)?;
        let found = Found { file: file.clone(), remote };
        found.check(url)?;
        Ok(Some(found))
    }

    fn fetch(&self, found: &Found, observer: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let (path, Remote { commit, etag, bytes }) = (&found.file.path, &found.remote);
        let wanted = Wanted { url: &self.url(commit, path), bytes: *bytes, sha256: found.hashes() };
        let blob = self.cache.blob(etag);
        if !wanted.is_at(&self.cache.snapshot(commit).join(path)) {
            let _lock = self.cache.lock(etag)?;
            if !wanted.is_at(&blob) {
                wanted.download(&self.client, &blob, observer)?;
            }
            self.cache.link(commit, path, etag)?;
        }
        observer(*bytes);
        Ok(())
    }

    fn url(&self, revision: &str, path: &str) -> String {
        let (revision, path) = (encode(revision, ""), encode(path, "/"));
        format!("{}/{}/resolve/{revision}/{path}", self.endpoint, self.wanted.repo)
    }

    fn not_found(&self, file: &str) -> HubError {
        let (repo, revision) = (self.wanted.repo.to_owned(), self.wanted.revision.to_owned());
        HubError::NotFound { repo, revision, file: file.to_owned() }
    }
}

impl Found {
    /// Every known sha256: the listed one, and that of large files, which have it as their ETag.
    fn hashes(&self) -> Vec<&str> {
        self.file.sha256.as_deref().into_iter().chain(self.etag_sha256()).collect()
    }

    fn etag_sha256(&self) -> Option<&str> {
        let etag = self.remote.etag.as_str();
        (etag.len() == 64 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(etag)
    }

    /// Finds out before gigabytes arrive that the hub has another file than the listed one.
    fn check(&self, url: String) -> Result<(), HubError> {
        let (listed, served) = (&self.file, &self.remote);
        if let Some(bytes) = listed.bytes.filter(|bytes| *bytes != served.bytes) {
            let (expected, found) = (format!("{bytes} bytes"), format!("{} bytes", served.bytes));
            return Err(HubError::IntegrityMismatch { url, expected, found });
        }
        match (&listed.sha256, self.etag_sha256()) {
            (Some(listed), Some(served)) if !listed.eq_ignore_ascii_case(served) => {
                let (expected, found) = (format!("sha256 {listed}"), format!("sha256 {served}"));
                Err(HubError::IntegrityMismatch { url, expected, found })
            }
            _ => Ok(()),
        }
    }
}

/// Percent-encodes all but letters, digits, `-_.~` and `safe`.
fn encode(text: &str, safe: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c) || safe.contains(c);
    let encode = |byte: u8| match char::from(byte) {
        c if keep(c) => c.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_one_part_of_an_address() {
        assert_eq!(encode("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(encode("onnx/a #é.json", "/"), "onnx/a%20%23%C3%A9.json");
    }
}
