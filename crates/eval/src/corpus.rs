//! `corpus.jsonl` and `queries.jsonl` of a collection in the BEIR layout.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::lines::Lines;
use crate::{EvalError, Warnings};

/// Documents that are in memory at a time while a corpus is read.
const CHUNK: usize = 1024;

/// A document or a query: an identifier, and the title and the text as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `_id`
    pub id: String,
    /// `title` and `text` with a space between them, as BEIR's own tools join them.
    pub text: String,
    /// `language` or `lang`, beside the text or in its `metadata`.
    pub language: Option<String>,
}

/// A file of JSON Lines with `_id`, `title` and `text`, read from its start for every pass.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The file.
    pub path: PathBuf,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "_id")]
    id: Id,
    title: Option<String>,
    text: Option<String>,
    #[serde(default)]
    language: Value,
    #[serde(default)]
    lang: Value,
    #[serde(default)]
    metadata: Value,
}

/// Some collections number their documents.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl Corpus {
    /// Gives every chunk of texts to `visit`; only one is in memory at a time. Of two texts with one identifier
    /// the first counts.
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::Line`], [`EvalError::Empty`], and those of `visit`.
    pub fn for_each_chunk(
        &self,
        warnings: &mut Warnings,
        mut visit: impl FnMut(&[Text]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut lines = Lines::open(&self.path)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        // Hashes in the place of identifiers: 8 bytes a document, whatever the identifiers look like.
        let mut seen = HashSet::new();
        while let Some(line) = lines.next_line()? {
            let text = match parse(line) {
                Ok(text) => text,
                Err(problem) => return Err(lines.problem(problem)),
            };
            if !seen.insert(hash(&text.id)) {
                warnings.add("an identifier stands twice; the first text with it counts", &text.id);
                continue;
            }
            if text.text.is_empty() {
                warnings.add("a text is empty", &text.id);
            }
            chunk.push(text);
            if chunk.len() == CHUNK {
                visit(&chunk)?;
                chunk.clear();
            }
        }
        if seen.is_empty() {
            return Err(lines.empty("text"));
        }
        if chunk.is_empty() { Ok(()) } else { visit(&chunk) }
    }
}

fn parse(line: &str) -> Result<Text, String> {
    let record: Record = serde_json::from_str(line)
        .map_err(|error| format!("it is not an object with \"_id\" and \"text\" ({error})"))?;
    let id = match record.id {
        Id::Text(id) => id,
        Id::Number(id) => id.to_string(),
    };
    if id.is_empty() {
        return Err("its \"_id\" is empty".to_owned());
    }
    let (title, text) = (record.title.unwrap_or_default(), record.text.unwrap_or_default());
    let places = [&record.language, &record.lang, &record.metadata["language"], &record.metadata["lang"]];
    let language = places.into_iter().find_map(Value::as_str).map(str::to_owned);
    Ok(Text { id, text: format!("{title} {text}").trim().to_owned(), language })
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
