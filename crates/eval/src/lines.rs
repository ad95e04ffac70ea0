//! A text file line by line: never more than one line in memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::EvalError;

/// Bytes of the longest line that is read.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The lines of a file that are not blank, with their numbers.
pub(crate) struct Lines {
    name: String,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    number: usize,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, EvalError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Ok(Self { name, reader: BufReader::new(file), buffer: Vec::new(), number: 0 }),
            Err(source) => Err(EvalError::Read { name, source }),
        }
    }

    /// The next line that is not blank, without its end; `None` after the last one.
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>, EvalError> {
        loop {
            self.buffer.clear();
            self.number += 1;
            let mut limited = self.reader.by_ref().take(MAX_LINE_BYTES);
            let read = limited.read_until(b'\n', &mut self.buffer);
            if read.map_err(|source| EvalError::Read { name: self.name.clone(), source })? == 0 {
                return Ok(None);
            }
            if self.buffer.len() as u64 == MAX_LINE_BYTES {
                return Err(self.problem(format!("it is longer than {MAX_LINE_BYTES} bytes")));
            }
            if self.number == 1 && self.buffer.starts_with("\u{feff}".as_bytes()) {
                self.buffer.drain(..3);
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(line) => Ok(Some(line.trim_end_matches(['\n', '\r']))),
            Err(error) => Err(self.problem(format!("it is not UTF-8 at byte {}", error.valid_up_to()))),
        }
    }

    /// An error about the line that was read last.
    pub(crate) fn problem(&self, problem: impl Into<String>) -> EvalError {
        EvalError::Line { name: self.name.clone(), line: self.number, problem: problem.into() }
    }

    /// An error for a file without what it should hold.
    pub(crate) fn empty(&self, what: &'static str) -> EvalError {
        EvalError::Empty { name: self.name.clone(), what }
    }
}
