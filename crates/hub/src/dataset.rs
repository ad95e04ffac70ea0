//! datasets.json: BEIR's collections by name, as they lie in Hugging Face's dataset repositories.

use serde::Deserialize;

use crate::{HubError, ModelFile};

const LIST: &str = include_str!("../../../models/datasets.json");

/// A collection with a name, and the files of one split.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dataset {
    /// The name, for `--dataset`.
    pub name: String,
    /// The commit of its repository: a collection that changes would change figures.
    pub revision: String,
    /// Its repository.
    #[serde(skip)]
    pub repo: String,
    /// What `crossrank pull` takes for it.
    #[serde(skip)]
    pub pulled_as: String,
    /// Corpus, queries and judgements.
    #[serde(default)]
    pub files: Vec<ModelFile>,
}

impl Dataset {
    /// The collection of this name, in any case, with the judgements of `split`.
    ///
    /// # Errors
    /// [`HubError::UnknownDataset`] with all names.
    pub fn find(name: &str, split: &str) -> Result<Self, HubError> {
        let list: Vec<Self> = serde_json::from_str(LIST).map_err(HubError::List)?;
        let Some(listed) = list.iter().find(|listed| listed.name.eq_ignore_ascii_case(name)) else {
            let known: Vec<&str> = list.iter().map(|listed| listed.name.as_str()).collect();
            return Err(HubError::UnknownDataset { name: name.to_owned(), known: known.join(", ") });
        };
        // mteb keeps BEIR's own layout; BEIR's repositories have moved to Parquet.
        let repo = format!("datasets/mteb/{}", listed.name);
        let paths = ["corpus.jsonl".to_owned(), "queries.jsonl".to_owned(), format!("qrels/{split}.tsv")];
        let file = |path: String| {
            let known = listed.files.iter().find(|file| file.path == path).cloned();
            known.unwrap_or(ModelFile { path, bytes: None, sha256: None })
        };
        let pulled_as = format!("{} --split {split}", listed.name);
        Ok(Self { repo, pulled_as, files: paths.map(file).to_vec(), ..listed.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collection_is_pinned_to_a_commit() {
        let list: Vec<Dataset> = serde_json::from_str(LIST).unwrap();
        for listed in &list {
            let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(listed.revision.len() == 40 && hexadecimal(&listed.revision), "{}", listed.name);
            let hashes = listed.files.iter().filter_map(|file| file.sha256.as_deref());
            assert!(hashes.into_iter().all(|hash| hash.len() == 64 && hexadecimal(hash)), "{}", listed.name);
        }
        assert!(list.is_sorted_by_key(|listed| &listed.name));
    }

    #[test]
    fn a_split_is_a_file_with_its_hash_where_it_is_known() {
        let known = Dataset::find("SciFact", "test").unwrap();
        assert_eq!((known.repo.as_str(), known.files.len()), ("datasets/mteb/scifact", 3));
        assert!(known.files.iter().all(|file| file.sha256.is_some()));
        assert_eq!(Dataset::find("fiqa", "dev").unwrap().files[2].path, "qrels/dev.tsv");
        let error = Dataset::find("no-such", "test").unwrap_err();
        assert!(error.to_string().contains("fiqa, hotpotqa"), "{error}");
    }
}
