//! A collection in the BEIR layout: corpus, queries and judgements in one folder.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::languages::languages;
use crate::{Corpus, EvalError, Qrels, Run, Warnings, read_qrels};

/// Queries with judgements over a corpus.
#[derive(Debug)]
pub struct Collection {
    /// The name of its folder.
    pub name: String,
    /// The documents.
    pub corpus: Corpus,
    /// Texts of the judged queries, by identifier; empty ones are left out.
    pub queries: BTreeMap<String, String>,
    /// The language of each of these queries, as `queries.jsonl` says or else as it looks; empty if all have one.
    pub languages: BTreeMap<String, String>,
    /// The judgements.
    pub qrels: Qrels,
}

impl Collection {
    /// Opens `corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv` in `folder`; `qrels` stands in for the latter.
    ///
    /// # Errors
    /// Those of reading the files, and [`EvalError::Empty`] if no judged query has a text.
    pub fn open(
        folder: &Path,
        split: &str,
        qrels: Option<&Path>,
        warnings: &mut Warnings,
    ) -> Result<Self, EvalError> {
        let of_split = folder.join("qrels").join(format!("{split}.tsv"));
        let qrels = read_qrels(qrels.unwrap_or(&of_split), warnings)?;
        let path = folder.join("queries.jsonl");
        let name = path.display().to_string();
        let (mut queries, mut given) = (BTreeMap::new(), BTreeMap::new());
        Corpus { path }.for_each_chunk(warnings, |chunk| {
            for query in chunk.iter().filter(|query| qrels.contains_key(&query.id) && !query.text.is_empty())
            {
                queries.insert(query.id.clone(), query.text.clone());
                given.extend(query.language.clone().map(|language| (query.id.clone(), language)));
            }
            Ok(())
        })?;
        for query in qrels.keys().filter(|query| !queries.contains_key(*query)) {
            warnings.add("a judged query has no text and counts 0", query);
        }
        if queries.is_empty() {
            return Err(EvalError::Empty { name, what: "query that is judged" });
        }
        let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let name = name.unwrap_or_else(|| folder.display().to_string());
        let languages = languages(&queries, given);
        for query in queries.keys().filter(|query| !languages.is_empty() && !languages.contains_key(*query)) {
            warnings.add("a query's language is not known; no language's rows count it", query);
        }
        Ok(Self { name, corpus: Corpus { path: folder.join("corpus.jsonl") }, queries, languages, qrels })
    }

    /// The queries of each language; all together if they have one.
    pub fn queries_by_language(&self) -> Vec<BTreeMap<String, String>> {
        let mut groups: BTreeMap<Option<&String>, BTreeMap<String, String>> = BTreeMap::new();
        for (id, text) in &self.queries {
            groups.entry(self.languages.get(id)).or_default().insert(id.clone(), text.clone());
        }
        groups.into_values().collect()
    }

    /// The texts of all documents that were retrieved or judged relevant, and the number of documents of the corpus. What is
    /// odd about the corpus is counted here, once.
    ///
    /// # Errors
    /// Those of reading the corpus.
    pub fn texts(
        &self,
        runs: &[&Run],
        warnings: &mut Warnings,
    ) -> Result<(BTreeMap<String, String>, usize), EvalError> {
        let retrieved =
            runs.iter().flat_map(|run| run.values().flatten()).map(|scored| scored.document.as_str());
        let judged = self.qrels.values().flatten().filter(|(_, grade)| **grade > 0);
        let judged: HashSet<&str> = judged.map(|(document, _)| document.as_str()).collect();
        let wanted: HashSet<&str> = retrieved.chain(judged.iter().copied()).collect();
        let (mut texts, mut documents) = (BTreeMap::new(), 0);
        self.corpus.for_each_chunk(warnings, |chunk| {
            let found = chunk.iter().filter(|text| wanted.contains(text.id.as_str()));
            texts.extend(found.map(|text| (text.id.clone(), text.text.clone())));
            documents += chunk.len();
            Ok(())
        })?;
        let mut unknown: Vec<&str> = wanted.into_iter().filter(|id| !texts.contains_key(*id)).collect();
        unknown.sort_unstable();
        for id in unknown {
            let problem = match judged.contains(id) {
                true => "a relevant document is not in the corpus and cannot be found",
                false => "a run names a document that is not in the corpus; it is not reranked",
            };
            warnings.add(problem, id);
        }
        Ok((texts, documents))
    }
}
