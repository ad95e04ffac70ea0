//! What can go wrong between a model's name and its files.

use std::io;
use std::path::PathBuf;

/// An error of finding or downloading a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Not a known name, nor a folder, nor a repository's `owner/name`.
    #[error("there is no model {name:?}; known are {known}, besides folders and repositories as owner/name")]
    UnknownModel {
        /// As asked for.
        name: String,
        /// The names there are, nearest first.
        known: String,
    },
    /// Neither a folder nor a collection's name.
    #[error("there is no folder and no collection {name:?}; known collections are {known}")]
    UnknownDataset {
        /// As asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A model is not what was published under its name.
    #[error(
        "{failed} of {compared} checks of {name} failed; delete its files and download it again, or report it"
    )]
    NotAsPublished {
        /// The model.
        name: String,
        /// Checks that failed.
        failed: usize,
        /// Checks that had something to compare with.
        compared: usize,
    },
    /// A model about which nothing is known to compare with.
    #[error("no hash and no score of {name} was published that could be checked; nothing was")]
    NothingPublished {
        /// The model.
        name: String,
    },
    /// models.json or a list beside it is damaged.
    #[error("a list of models or collections cannot be read; this build is broken, install it again")]
    List(#[source] serde_json::Error),
    /// A repository, revision or file name that would leave the cache.
    #[error("{path:?} does not name something inside a repository; correct it")]
    UnsafePath {
        /// The name.
        path: String,
    },
    /// The repository has no such file or revision.
    #[error(
        "{repo} at {revision} has no {file}; check the names, and set HF_TOKEN if the repository is private"
    )]
    NotFound {
        /// The repository.
        repo: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
    },
    /// The repository needs a login, or its licence accepted.
    #[error("{url} is not for everyone (HTTP {status}); accept the licence on its page and set HF_TOKEN")]
    Forbidden {
        /// The address.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// The server answered with an error.
    #[error("{url} answered HTTP {status}; try again later")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server answers, but not as a Hugging Face hub does.
    #[error("{url} answered without a usable {header} header; check that HF_ENDPOINT is a Hugging Face hub")]
    NotAHub {
        /// The address.
        url: String,
        /// The header.
        header: &'static str,
    },
    /// The connection failed, again and again.
    #[error("cannot download {url}; check the network, then run the same command: it resumes")]
    Network {
        /// The address.
        url: String,
        /// The last failure.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server ended the file early, again and again.
    #[error("{url} ended after {received} of {expected} bytes; run the same command again: it resumes")]
    Interrupted {
        /// The address.
        url: String,
        /// Bytes that arrived.
        received: u64,
        /// Bytes of the file.
        expected: u64,
    },
    /// The file that the server has, or sent, is not the right one.
    #[error(
        "{url} has {found} where {expected} is right; nothing of it was kept, try again or tell its owner"
    )]
    IntegrityMismatch {
        /// The address.
        url: String,
        /// `sha256 …` or `… bytes`, as listed in models.json or as the server said.
        expected: String,
        /// The same of what there is.
        found: String,
    },
    /// The file is not in the cache, and no connection may be opened.
    #[error("{file} of {repo} is not in {cache}; run `crossrank pull {name}` with a network first")]
    Offline {
        /// The model or collection, as `crossrank pull` takes it.
        name: String,
        /// The repository.
        repo: String,
        /// The file.
        file: String,
        /// The cache folder.
        cache: PathBuf,
    },
    /// The disk is full, or the user's share of it.
    #[error(
        "no space for {needed} bytes at {path}; free some and try again: it resumes, or set HF_HOME to another disk"
    )]
    StorageFull {
        /// The file being written.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The cache cannot be read or written.
    #[error("cannot use {path}; check its permissions, or set HF_HOME to another folder")]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl HubError {
    /// The error's code, stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            HubError::UnknownModel { .. }
            | HubError::NotFound { .. }
            | HubError::UnsafePath { .. }
            | HubError::NothingPublished { .. } => "model_not_found",
            HubError::Forbidden { .. }
            | HubError::Status { .. }
            | HubError::NotAHub { .. }
            | HubError::Network { .. }
            | HubError::Interrupted { .. } => "download_failed",
            HubError::IntegrityMismatch { .. } | HubError::NotAsPublished { .. } => "integrity_mismatch",
            HubError::Offline { .. } => "offline",
            HubError::StorageFull { .. } => "storage_full",
            HubError::Cache { .. } => "cache_unusable",
            HubError::UnknownDataset { .. } => "invalid_input",
            HubError::List(_) => "internal",
        }
    }

    /// Whether the same request may well succeed in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        use ureq::Error::{ConnectionFailed, Io, Protocol, Timeout};
        match self {
            HubError::Interrupted { .. } => true,
            HubError::Status { status, .. } => *status == 429 || *status >= 500,
            HubError::Network { source, .. } => {
                matches!(**source, Io(_) | Timeout(_) | Protocol(_) | ConnectionFailed)
            }
            _ => false,
        }
    }
}
