//! Where models come from and where they are kept.

use std::env;
use std::path::PathBuf;

use crate::cache::{RepoCache, WEIGHTS, check_path};
use crate::client::Token;
use crate::pull::Pull;
use crate::repository::is_repo;
use crate::{HubError, ModelEntry, ModelFile, ModelList, Repository};

/// Hugging Face, or a mirror of it, and this machine's cache.
#[derive(Debug, Clone)]
pub struct Hub {
    pub(crate) endpoint: String,
    pub(crate) cache: PathBuf,
    pub(crate) token: Option<Token>,
    offline: bool,
}

/// How far a download has come, in bytes of all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Bytes here.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// A file that has just arrived and could not be checked: neither our lists nor the server
    /// gives its sha256. Deserves a warning.
    pub unverified: Option<&'a str>,
}

impl Hub {
    /// As Hugging Face's own variables say: `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`,
    /// `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let user = set("XDG_CACHE_HOME").map(PathBuf::from);
            let user = user.or_else(|| env::home_dir().map(|home| home.join(".cache")));
            user.map(|cache| cache.join("huggingface"))
        });
        let cache = set("HF_HUB_CACHE").map(PathBuf::from).or_else(|| home.map(|home| home.join("hub")));
        Self {
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            cache: cache.unwrap_or_else(|| PathBuf::from("huggingface/hub")),
            token: set("HF_TOKEN").map(|token| Token(token.trim().to_owned())),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
        }
    }

    /// A hub at `endpoint` with its cache in `cache`.
    pub fn new(endpoint: impl Into<String>, cache: impl Into<PathBuf>) -> Self {
        Self { endpoint: endpoint.into(), cache: cache.into(), token: None, offline: false }
    }

    /// Sends `token` to the endpoint, and to no one else.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Token(token.into()));
        self
    }

    /// Forbids any connection if `offline`; what the environment forbids stays forbidden.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline |= offline;
        self
    }

    /// The entry of any repository, `owner/name` or `owner/name@revision`.
    ///
    /// # Errors
    /// [`HubError::UnknownModel`] with near names if it does not look like a repository.
    pub fn repo_entry(name: &str) -> Result<ModelEntry, HubError> {
        let (repo, revision) = name.split_once('@').unwrap_or((name, "main"));
        if !is_repo(repo) || check_path(revision).is_err() {
            let known = ModelList::embedded()?.suggestions(name).join(", ");
            return Err(HubError::UnknownModel { name: name.to_owned(), known });
        }
        let file = |path: &str| ModelFile { path: path.to_owned(), bytes: None, sha256: None };
        Ok(ModelEntry {
            name: name.to_owned(),
            aliases: Vec::new(),
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            licence: "see its repository".to_owned(),
            licence_note: None,
            family: "as its config.json says".to_owned(),
            languages: "multilingual".to_owned(),
            max_tokens: None,
            window: "cohere".to_owned(),
            parameters: None,
            files: ["config.json", "tokenizer.json", WEIGHTS].map(file).to_vec(),
        })
    }

    /// The folder with a model's or a collection's files, if all of them are in the cache.
    pub fn cached<'a>(&self, wanted: impl Into<Repository<'a>>) -> Option<PathBuf> {
        let wanted = wanted.into();
        wanted.check().ok()?;
        RepoCache::new(&self.cache, wanted.repo).complete(&wanted).ok()
    }

    /// The folder with a model's or a collection's files, downloading those that are not in the cache.
    ///
    /// Files that are in the cache already are used as they are. `model.safetensors` may also be an
    /// index of shards in the repository.
    ///
    /// # Errors
    /// [`HubError`]: the network, the disk, or a file that is not what it should be.
    pub fn pull<'a>(
        &self,
        wanted: impl Into<Repository<'a>>,
        observer: &dyn Fn(Progress),
    ) -> Result<PathBuf, HubError> {
        let wanted = wanted.into();
        wanted.check()?;
        match RepoCache::new(&self.cache, wanted.repo).complete(&wanted) {
            Ok(folder) => Ok(folder),
            Err(file) if self.offline => Err(HubError::Offline {
                name: wanted.name.to_owned(),
                repo: wanted.repo.to_owned(),
                file,
                cache: self.cache.clone(),
            }),
            Err(_) => Pull::new(self, wanted).run(observer),
        }
    }
}

/// What Python's `huggingface_hub` takes for true.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_may_name_its_revision() {
        let entry = Hub::repo_entry("owner/name.v1@refs/pr/2").unwrap();
        assert_eq!((entry.repo.as_str(), entry.revision.as_str()), ("owner/name.v1", "refs/pr/2"));
        assert_eq!(Hub::repo_entry("owner/name").unwrap().revision, "main");
    }

    #[test]
    fn rejects_what_is_not_a_repository_with_near_names() {
        for name in ["jina-v3", "a/b/c", "../b", "a/", "/a", "a/b@../c", "a b/c"] {
            let error = Hub::repo_entry(name).unwrap_err();
            assert_eq!(error.code(), "model_not_found", "{name}");
            assert!(error.to_string().contains("jina-v2"), "{error}");
        }
    }

    #[test]
    fn offline_is_what_python_takes_for_true() {
        assert!(["1", "ON", "yes", "True"].into_iter().all(is_true));
        assert!(!["0", "false", "no", "off"].into_iter().any(is_true));
    }
}
