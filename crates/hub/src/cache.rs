//! Hugging Face's cache: `models--owner--name/{refs, blobs, snapshots/COMMIT}`, and `datasets--owner--name`.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{HubError, Repository};

/// What a folder, a link or a reference takes on a disk.
const BLOCK_BYTES: u64 = 4096;
/// The weights of most repositories; large ones have an index of shards in its place.
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The cache folder of one repository.
pub(crate) struct RepoCache {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub(crate) fn new(cache: &Path, repo: &str) -> Self {
        let kind = if repo.starts_with("datasets/") { "" } else { "models--" };
        let name = format!("{kind}{}", repo.replace('/', "--"));
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit that a branch, tag or commit stands for here.
    fn commit(&self, revision: &str) -> String {
        let noted = fs::read_to_string(self.folder.join("refs").join(revision));
        noted.map_or_else(|_| revision.to_owned(), |commit| commit.trim().to_owned())
    }

    /// The snapshot with every file that is wanted, or the first one that is missing or of a wrong size.
    pub(crate) fn complete(&self, wanted: &Repository<'_>) -> Result<PathBuf, String> {
        let snapshot = self.snapshot(&self.commit(wanted.revision));
        let is_here = |path: &str, bytes: Option<u64>| {
            let found = fs::metadata(snapshot.join(path));
            found.is_ok_and(|found| found.is_file() && bytes.is_none_or(|bytes| found.len() == bytes))
        };
        for file in wanted.files.iter().filter(|file| !is_here(&file.path, file.bytes)) {
            let shards = if file.path == WEIGHTS { shards(&snapshot) } else { None };
            if !shards.is_some_and(|shards| shards.iter().all(|shard| is_here(shard, None))) {
                return Err(file.path.clone());
            }
        }
        Ok(snapshot)
    }

    /// Waits until no other process downloads the same file; Python locks the same way.
    pub(crate) fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let open = || File::options().create(true).append(true).open(&path);
        let lock = open().map_err(storage_error(&path, BLOCK_BYTES))?;
        lock.lock().map_err(storage_error(&path, BLOCK_BYTES))?;
        Ok(lock)
    }

    /// Makes `blobs/ETAG` appear as `path` in the snapshot of `commit`.
    pub(crate) fn link(&self, commit: &str, path: &str, etag: &str) -> Result<(), HubError> {
        let target = self.snapshot(commit).join(path);
        make_parent(&target)?;
        // A new name first, then a rename: readers never see half a copy.
        let unready = target.with_file_name(format!("{etag}.incomplete"));
        let depth = 2 + path.matches('/').count();
        let relative = format!("{}blobs/{etag}", "../".repeat(depth));
        remove(&unready)?;
        link_or_copy(&relative, &self.blob(etag), &unready)
            .and_then(|()| fs::rename(&unready, &target))
            .map_err(storage_error(&target, BLOCK_BYTES))
    }

    /// Notes which commit a branch or tag stood for.
    pub(crate) fn note(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        make_parent(&path)?;
        fs::write(&path, commit).map_err(storage_error(&path, BLOCK_BYTES))
    }
}

/// The weight files that the index in `snapshot` names; `None` if there is no index, or no sound one.
pub(crate) fn shards(snapshot: &Path) -> Option<Vec<String>> {
    let index: serde_json::Value = serde_json::from_slice(&fs::read(snapshot.join(INDEX)).ok()?).ok()?;
    let names = index.get("weight_map")?.as_object()?.values();
    let mut names: Vec<String> = names.map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    names.sort_unstable();
    names.dedup();
    (!names.is_empty() && names.iter().all(|name| check_path(name).is_ok())).then_some(names)
}

/// Refuses names that would lead out of the cache, on any operating system.
pub(crate) fn check_path(path: &str) -> Result<(), HubError> {
    let plain = !path.is_empty() && !path.contains(['\\', '\0', ':']);
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if plain && inside { Ok(()) } else { Err(HubError::UnsafePath { path: path.to_owned() }) }
}

pub(crate) fn make_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(storage_error(parent, BLOCK_BYTES))
}

pub(crate) fn remove(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(HubError::Cache { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// What a failure of reading or writing `path` means, with `needed` bytes still to be written.
pub(crate) fn storage_error(path: &Path, needed: u64) -> impl FnOnce(io::Error) -> HubError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            HubError::StorageFull { path: path.to_owned(), needed, source }
        }
        _ => HubError::Cache { path: path.to_owned(), source },
    }
}

#[cfg(unix)]
fn link_or_copy(relative: &str, blob: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, target).or_else(|_| fs::copy(blob, target).map(drop))
}

/// Symbolic links need a privilege on Windows; a second name for the same bytes does not.
#[cfg(not(unix))]
fn link_or_copy(_relative: &str, blob: &Path, target: &Path) -> io::Result<()> {
    fs::hard_link(blob, target).or_else(|_| fs::copy(blob, target).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_lead_out_of_the_cache() {
        for name in ["", "..", "../config.json", "a/../../b", "/etc/passwd", "C:/x", "a\\b", "a\0b", "./a"] {
            assert!(matches!(check_path(name), Err(HubError::UnsafePath { .. })), "{name:?}");
        }
        for name in ["config.json", "onnx/model.onnx", "refs/pr/1", "v1.0..2"] {
            assert!(check_path(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn an_index_with_an_outside_shard_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(INDEX), r#"{"weight_map":{"a":"../x"}}"#).unwrap();
        assert_eq!(shards(folder.path()), None);
        fs::write(folder.path().join(INDEX), r#"{"weight_map":{"a":"2","b":"1","c":"2"}}"#).unwrap();
        assert_eq!(shards(folder.path()), Some(vec!["1".to_owned(), "2".to_owned()]));
    }
}
