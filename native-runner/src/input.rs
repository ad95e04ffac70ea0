//! Documents and pairs, from the bytes of a file or of standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crossrank::Document;
use serde_json::Value;

/// What is wrong with the input. Every one has the code `invalid_input`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InputError {
    #[error("cannot read {name}")]
    Read {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "{name} is not UTF-8 at line {line}, byte {byte} of the file; convert it, for example with iconv"
    )]
    Utf8 {
        name: String,
        line: usize,
        byte: usize,
        #[source]
        source: std::str::Utf8Error,
    },
    #[error("line {line} of {name} is not JSON; if the lines are plain text, write each as a JSON string")]
    Line {
        name: String,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("{name} begins as a JSON array but is not one")]
    Array {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{place} of {name} is {found}; {expected}")]
    Shape { name: String, place: String, found: &'static str, expected: &'static str },
    #[error("{flag} is missing; {hint}")]
    Missing { flag: &'static str, hint: &'static str },
    #[error(
        "{model}: a GGUF file cannot be converted; use it as it is, or convert the safetensors it was made of"
    )]
    Gguf { model: String },
    #[error("{flag}: {problem}")]
    Flag { flag: &'static str, problem: String },
    #[error("{model} does not pool by the mean of its tokens; use a sentence encoder that does")]
    Pooling { model: String },
    #[error("{path} exists already; choose another folder, or remove it")]
    Exists { path: String },
    #[error("{what} {found:?} cannot stand in a TREC run; use one without white space, or another format")]
    TrecName { what: &'static str, found: String },
}

impl InputError {
    /// The code in the table of error codes.
    pub(crate) fn code(&self) -> &'static str {
        "invalid_input"
    }
}

const DOCUMENT: &str = "a document is a string or an object";
const PAIR: &str = r#"a pair is {"query":"…","document":"…"} or ["query","document"]"#;

/// The documents in `path`, or in standard input for `-`.
///
/// # Errors
/// Every [`InputError`] but [`InputError::Missing`].
pub(crate) fn documents(path: &Path) -> Result<Vec<Document>, InputError> {
    let (name, mut reader) = open(path)?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|source| InputError::Read { name: name.clone(), source })?;
    parse_documents(&name, &bytes)
}

/// A JSON array, JSON Lines, or plain lines: the content decides.
pub(crate) fn parse_documents(name: &str, bytes: &[u8]) -> Result<Vec<Document>, InputError> {
    let text = utf8(name, bytes, 0, 0)?.trim_start_matches('\u{feff}');
    if let Some(inside) = text.trim_start().strip_prefix('[') {
        match serde_json::from_str::<Vec<Value>>(text) {
            Ok(values) => {
                let place = |index| format!("element {index}");
                let documents = values.into_iter().enumerate();
                return documents.map(|(index, value)| document(name, || place(index), value)).collect();
            }
            // "[1] A footnote" is text; an array of strings or objects that breaks off is not.
            Err(source) if inside.trim_start().starts_with(['"', '{']) => {
                return Err(InputError::Array { name: name.to_owned(), source });
            }
            Err(_) => {}
        }
    }
    let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let is_jsonl = lines().next().is_some_and(|(_, line)| line.trim_start().starts_with('"'))
        || lines().any(|(_, line)| line.trim_start().starts_with('{'));
    if !is_jsonl {
        return Ok(lines().map(|(_, line)| Document::from(line)).collect());
    }
    let parse = |(index, line): (usize, &str)| {
        let value = json_line(name, index + 1, line)?;
        document(name, || format!("line {}", index + 1), value)
    };
    lines().map(parse).collect()
}

fn document(name: &str, place: impl Fn() -> String, value: Value) -> Result<Document, InputError> {
    match value {
        Value::String(text) => Ok(Document::Text(text)),
        Value::Object(fields) => Ok(Document::Object(fields)),
        other => Err(shape(name, place(), &other, DOCUMENT)),
    }
}

/// The pairs of a file, a line at a time.
pub(crate) struct PairReader {
    name: String,
    reader: Box<dyn BufRead>,
    line: usize,
    byte: usize,
}

/// Pairs and bytes that are held at a time.
const CHUNK_PAIRS: usize = 512;
const CHUNK_BYTES: usize = 8 << 20;

impl PairReader {
    /// Opens `path`, or standard input for `-`.
    ///
    /// # Errors
    /// [`InputError::Read`].
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        let (name, reader) = open(path)?;
        Ok(Self { name, reader, line: 0, byte: 0 })
    }

    /// The next pairs, as many as a chunk holds; none at the end.
    ///
    /// # Errors
    /// As [`documents`]; a chunk with a bad line is not scored at all.
    pub(crate) fn next_chunk(&mut self) -> Result<Vec<(String, String)>, InputError> {
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        while pairs.len() < CHUNK_PAIRS && bytes < CHUNK_BYTES {
            let Some(pair) = self.next_pair()? else { break };
            bytes += pair.0.len() + pair.1.len();
            pairs.push(pair);
        }
        Ok(pairs)
    }

    fn next_pair(&mut self) -> Result<Option<(String, String)>, InputError> {
        loop {
            let mut bytes = Vec::new();
            let read = self.reader.read_until(b'\n', &mut bytes);
            let read = read.map_err(|source| InputError::Read { name: self.name.clone(), source })?;
            if read == 0 {
                return Ok(None);
            }
            let text = utf8(&self.name, &bytes, self.line, self.byte)?.trim_start_matches('\u{feff}');
            self.line += 1;
            self.byte += read;
            if !text.trim().is_empty() {
                let value = json_line(&self.name, self.line, text)?;
                return pair(&self.name, self.line, value).map(Some);
            }
        }
    }
}

fn pair(name: &str, line: usize, mut value: Value) -> Result<(String, String), InputError> {
    let texts = match &mut value {
        Value::Object(fields) => {
            fields.get_mut("query").map(Value::take).zip(fields.get_mut("document").map(Value::take))
        }
        Value::Array(items) => match items.as_mut_slice() {
            [query, document] => Some((query.take(), document.take())),
            _ => None,
        },
        _ => None,
    };
    match texts {
        Some((Value::String(query), Value::String(document))) => Ok((query, document)),
        _ => Err(shape(name, format!("line {line}"), &value, PAIR)),
    }
}

fn open(path: &Path) -> Result<(String, Box<dyn BufRead>), InputError> {
    if path == Path::new("-") {
        return Ok(("standard input".to_owned(), Box::new(BufReader::new(io::stdin()))));
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((name, Box::new(BufReader::new(file)))),
        Err(source) => Err(InputError::Read { name, source }),
    }
}

/// `bytes` as text; `line` and `byte` count what came before them.
fn utf8<'a>(name: &str, bytes: &'a [u8], line: usize, byte: usize) -> Result<&'a str, InputError> {
    std::str::from_utf8(bytes).map_err(|source| {
        let valid = source.valid_up_to();
        let line = line + 1 + bytes[..valid].iter().filter(|&&byte| byte == b'\n').count();
        InputError::Utf8 { name: name.to_owned(), line, byte: byte + valid, source }
    })
}

fn json_line(name: &str, line: usize, text: &str) -> Result<Value, InputError> {
    serde_json::from_str(text).map_err(|source| InputError::Line { name: name.to_owned(), line, source })
}

fn shape(name: &str, place: String, value: &Value, expected: &'static str) -> InputError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "another array",
        Value::Object(_) => "another object",
    };
    InputError::Shape { name: name.to_owned(), place, found, expected }
}

#[cfg(test)]
mod tests;
