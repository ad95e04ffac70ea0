//! `crossrank models`: the models that have a name.

use crossrank_hub::{Hub, ModelEntry, ModelList};
use serde_json::json;

use crate::cli::{ListFormat, ModelsArguments};
use crate::model::EMBEDDED;
use crate::output::{columns, write_line, write_stdout};

pub(crate) fn run(arguments: &ModelsArguments) -> anyhow::Result<()> {
    let hub = Hub::from_env();
    let here = |entry: &ModelEntry| entry.name == EMBEDDED || hub.cached(entry).is_some();
    let entries = ModelList::embedded()?.entries();
    let mut text = Vec::new();
    match arguments.format {
        ListFormat::Table => {
            let head =
                ["name", "here", "size", "tokens", "languages", "licence", "repository"].map(str::to_owned);
            let rows = entries.iter().map(|entry| row(entry, here(entry)));
            text = columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
        }
        ListFormat::Json => {
            let list = entries.iter().map(|entry| {
                let mut object = json!(entry);
                object["here"] = json!(here(entry));
                object
            });
            write_line(&mut text, &list.collect::<Vec<_>>())?;
        }
    }
    write_stdout(&text)
}

fn row(entry: &ModelEntry, here: bool) -> [String; 7] {
    [
        entry.name.clone(),
        if here { "yes" } else { "" }.to_owned(),
        size(entry),
        entry.max_tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string()),
        entry.languages.clone(),
        entry.licence.clone(),
        entry.repo.clone(),
    ]
}

/// Megabytes of all files, if every file's size is known.
fn size(entry: &ModelEntry) -> String {
    if entry.name == EMBEDDED {
        return "built in".to_owned();
    }
    let bytes: Option<u64> = entry.files.iter().map(|file| file.bytes).sum();
    bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6))
}
