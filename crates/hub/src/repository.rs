//! What a pull is about: files of a repository, whatever they are.

use crate::cache::check_path;
use crate::{Dataset, HubError, ModelEntry, ModelFile};

/// Files of one repository at one revision.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// What `crossrank pull` takes for it.
    pub(crate) name: &'a str,
    /// `owner/name`, or `datasets/owner/name`.
    pub(crate) repo: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) files: &'a [ModelFile],
}

impl<'a> From<&'a ModelEntry> for Repository<'a> {
    fn from(ModelEntry { name, repo, revision, files, .. }: &'a ModelEntry) -> Self {
        Self { name, repo, revision, files }
    }
}

impl<'a> From<&'a Dataset> for Repository<'a> {
    fn from(Dataset { pulled_as, repo, revision, files, .. }: &'a Dataset) -> Self {
        Self { name: pulled_as, repo, revision, files }
    }
}

impl Repository<'_> {
    /// Names may come from elsewhere than our own lists.
    pub(crate) fn check(&self) -> Result<(), HubError> {
        if !is_repo(self.repo.strip_prefix("datasets/").unwrap_or(self.repo)) {
            return Err(HubError::UnsafePath { path: self.repo.to_owned() });
        }
        check_path(self.revision)?;
        self.files.iter().try_for_each(|file| check_path(&file.path))
    }
}

/// Whether this is `owner/name`.
pub(crate) fn is_repo(repo: &str) -> bool {
    let is_word = |part: &str| {
        let plain = part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        plain && !part.is_empty() && !part.starts_with('.')
    };
    repo.split_once('/').is_some_and(|(owner, name)| is_word(owner) && is_word(name))
}
