//! Files that what was computed before is kept in.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::EvalError;

/// Opens or makes the file for `name`, to be read and appended to by one process at a time; gives its path as well.
///
/// # Errors
/// [`EvalError::CacheBusy`] while another process has it; [`EvalError::Write`].
pub(crate) fn open(folder: &Path, name: &str) -> Result<(String, File), EvalError> {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' }
    };
    let path = folder.join(name.chars().map(plain).collect::<String>());
    let name = path.display().to_string();
    let write_error = |source| EvalError::Write { name: name.clone(), source };
    std::fs::create_dir_all(folder).map_err(write_error)?;
    let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(write_error)?;
    match file.try_lock() {
        Ok(()) => Ok((name, file)),
        Err(TryLockError::WouldBlock) => Err(EvalError::CacheBusy { name }),
        Err(TryLockError::Error(source)) => Err(write_error(source)),
    }
}
