//! Where weights are read from: memory, a mapped file, later a browser's file system.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

/// A readable sequence of bytes of known length: one safetensors file.
///
/// The browser implements it over HTTP ranges and OPFS, so nothing here assumes a file system.
pub trait WeightSource: Send + Sync {
    /// The length in bytes.
    fn len(&self) -> u64;

    /// True for a source of no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of `range`, borrowed where the source already holds them.
    ///
    /// # Errors
    /// `UnexpectedEof` when `range` reaches past the end, and whatever the medium reports.
    fn read(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>>;
}

/// Weights that are already in memory: embedded in the program, or downloaded.
#[derive(Debug, Clone)]
pub struct MemorySource(pub Cow<'static, [u8]>);

impl WeightSource for MemorySource {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        slice(&self.0, range)
    }
}

/// A file mapped into memory; only the pages that are read become resident.
#[cfg(feature = "fs")]
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

#[cfg(feature = "fs")]
impl MappedFile {
    /// Maps `path` for reading.
    ///
    /// The file must not be shortened while it is mapped: the operating system then ends the program.
    ///
    /// # Errors
    /// The error of opening or mapping the file.
    pub fn open(path: &std::path::Path) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        // SAFETY: the map is read-only and private to this process; the doc comment states the one
        // condition, which every reader of a mapped file has.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(map))
    }
}

#[cfg(feature = "fs")]
impl WeightSource for MappedFile {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        slice(&self.0, range)
    }
}

fn slice(bytes: &[u8], range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
    let end = || io::Error::new(io::ErrorKind::UnexpectedEof, "the range reaches past the end of the file");
    let start = usize::try_from(range.start).map_err(|_| end())?;
    let stop = usize::try_from(range.end).map_err(|_| end())?;
    bytes.get(start..stop).map(Cow::Borrowed).ok_or_else(end)
}
