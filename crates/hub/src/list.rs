//! models.json: the one list of known models, read by Rust and TypeScript alike.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::HubError;

const LIST: &str = include_str!("../../../models/models.json");

/// A model with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The name, for `--model`.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// Its Hugging Face repository, `owner/name`.
    pub repo: String,
    /// Branch, tag or commit of the repository.
    pub revision: String,
    /// The weights' licence, as an SPDX identifier.
    pub licence: String,
    /// What the licence does not say by itself.
    pub licence_note: Option<String>,
    /// `bert`, `xlm-roberta` or `xlm-roberta-flash`.
    pub family: String,
    /// `en` or `multilingual`.
    pub languages: String,
    /// Tokens of the longest pair; `None` if only the files say.
    pub max_tokens: Option<usize>,
    /// How long documents are split: `cohere` or `jina`.
    pub window: String,
    /// Weights and biases in all, if known.
    pub parameters: Option<u64>,
    /// The files it needs.
    pub files: Vec<ModelFile>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its path in the repository.
    pub path: String,
    /// Its size, if known.
    pub bytes: Option<u64>,
    /// Its sha256 in hexadecimal, if known.
    pub sha256: Option<String>,
}

/// The known models.
#[derive(Debug)]
pub struct ModelList {
    entries: Vec<ModelEntry>,
}

impl ModelList {
    /// The list this program was built with.
    ///
    /// # Errors
    /// [`HubError::List`] if the build is broken.
    pub fn embedded() -> Result<&'static Self, HubError> {
        static PARSED: OnceLock<ModelList> = OnceLock::new();
        if let Some(list) = PARSED.get() {
            return Ok(list);
        }
        let entries = serde_json::from_str(LIST).map_err(HubError::List)?;
        Ok(PARSED.get_or_init(|| ModelList { entries }))
    }

    /// All models, the embedded one first.
    pub fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// The model of this name or alias, in any case.
    pub fn find(&self, name: &str) -> Option<&ModelEntry> {
        let same = |known: &String| known.eq_ignore_ascii_case(name);
        self.entries.iter().find(|entry| same(&entry.name) || entry.aliases.iter().any(same))
    }

    /// All names, those that share most with `name` first.
    pub fn suggestions(&self, name: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_by_key(|known| std::cmp::Reverse(shared_pairs(known, name)));
        names
    }
}

/// How many pairs of neighbouring letters two names share.
fn shared_pairs(left: &str, right: &str) -> usize {
    let right = right.to_lowercase();
    let left: Vec<char> = left.to_lowercase().chars().collect();
    left.windows(2).filter(|pair| right.contains(&pair.iter().collect::<String>())).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_complete_and_says_its_licence() {
        let list = ModelList::embedded().unwrap();
        assert_eq!(list.entries().len(), 9);
        for entry in list.entries() {
            let is_gguf = matches!(&entry.files[..], [file] if file.path.ends_with(".gguf"));
            assert!(!entry.licence.is_empty() && (is_gguf || entry.files.len() >= 3), "{}", entry.name);
            assert!(["cohere", "jina"].contains(&entry.window.as_str()));
            assert!(["bert", "xlm-roberta", "xlm-roberta-flash"].contains(&entry.family.as_str()));
            assert_eq!(list.find(&entry.repo).map(|found| &found.name), Some(&entry.name));
            for file in &entry.files {
                let hash =
                    |sha256: &String| sha256.len() == 64 && sha256.chars().all(|c| c.is_ascii_hexdigit());
                assert!(file.sha256.as_ref().is_none_or(hash), "{} {}", entry.name, file.path);
            }
        }
        assert!(list.find("jina-v2").unwrap().licence.contains("NC"));
    }

    #[test]
    fn finds_names_and_aliases_in_any_case_and_suggests_near_ones() {
        let list = ModelList::embedded().unwrap();
        assert_eq!(list.find("baai/BGE-reranker-v2-m3").unwrap().name, "bge-v2-m3");
        assert!(list.find("bge").is_none());
        assert_eq!(list.suggestions("jina-v3")[0], "jina-v2");
    }
}
