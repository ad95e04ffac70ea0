//! Vectors of documents that were computed before: one file for each encoder and corpus, in the corpus's order, as
//! little-endian f32.
//!
//! Vectors are appended as the corpus streams by, so that memory holds those of one chunk, and a run after an
//! interrupt goes on where the file ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crossrank::Embedder;
use sha2::{Digest, Sha256};

use crate::{Corpus, EvalError, store};

/// The vectors of one corpus by one encoder.
#[derive(Debug)]
pub struct VectorCache {
    name: String,
    file: File,
    /// Bytes of it that were read or written.
    position: u64,
}

impl VectorCache {
    /// Opens or makes the store of `encoder`, a name that says model and device, for what `corpus` holds now.
    ///
    /// # Errors
    /// [`EvalError::CacheBusy`] while another process has it; [`EvalError::Read`], [`EvalError::Write`].
    pub fn open(folder: &Path, encoder: &str, corpus: &Corpus) -> Result<Self, EvalError> {
        let content = fingerprint(&corpus.path)?;
        let (name, file) = store::open(folder, &format!("{encoder}-{content}.vectors"))?;
        Ok(Self { name, file, position: 0 })
    }

    /// The vectors of the next `texts` of the corpus, `size` numbers each: those that are stored, and the others, which
    /// are computed and stored.
    ///
    /// # Errors
    /// Those of the encoder; [`EvalError::Read`], [`EvalError::Write`].
    pub(crate) fn next(
        &mut self,
        texts: &[&str],
        size: usize,
        embedder: &Embedder,
    ) -> Result<Vec<Vec<f32>>, EvalError> {
        let mut vectors = self.read(texts.len(), size)?;
        if vectors.len() < texts.len() {
            let computed = embedder.embed(&texts[vectors.len()..])?;
            self.append(&computed)?;
            vectors.extend(computed);
        }
        Ok(vectors)
    }

    /// At most `count` vectors; what an interrupt or something else spoilt is cut off with all behind it.
    fn read(&mut self, count: usize, size: usize) -> Result<Vec<Vec<f32>>, EvalError> {
        let (mut bytes, vector_bytes) = (Vec::new(), size * size_of::<f32>());
        let limit = (count * vector_bytes) as u64;
        let read = (&self.file).take(limit).read_to_end(&mut bytes);
        read.map_err(|source| EvalError::Read { name: self.name.clone(), source })?;
        let vectors = bytes.chunks_exact(vector_bytes).map(vector);
        let vectors: Vec<Vec<f32>> =
            vectors.take_while(|vector| vector.iter().all(|x| x.is_finite())).collect();
        self.position += (vectors.len() * vector_bytes) as u64;
        if vectors.len() < count {
            let cut = self.file.set_len(self.position);
            cut.and_then(|()| self.file.seek(SeekFrom::End(0))).map_err(|source| self.write_error(source))?;
        }
        Ok(vectors)
    }

    fn append(&mut self, vectors: &[Vec<f32>]) -> Result<(), EvalError> {
        let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(|source| self.write_error(source))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn write_error(&self, source: std::io::Error) -> EvalError {
        EvalError::Write { name: self.name.clone(), source }
    }
}

fn vector(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

/// A hash of the file's bytes, and of this version, which decides what of them is a text.
fn fingerprint(path: &Path) -> Result<String, EvalError> {
    let read_error = |source| EvalError::Read { name: path.display().to_string(), source };
    let (mut file, mut hash) = (File::open(path).map_err(read_error)?, Sha256::new());
    hash.update(env!("CARGO_PKG_VERSION"));
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(read_error)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, corpus: &str) -> VectorCache {
        let path = folder.join("corpus.jsonl");
        std::fs::write(&path, corpus).unwrap();
        VectorCache::open(folder, "e/x", &Corpus { path }).unwrap()
    }

    #[test]
    fn vectors_are_there_again_bit_for_bit_and_half_a_vector_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let stored = vec![vec![0.1, -2.0], vec![f32::MIN_POSITIVE, 3.0]];
        let mut cache = open(folder.path(), "a");
        assert!(cache.read(2, 2).unwrap().is_empty());
        cache.append(&stored).unwrap();
        cache.file.write_all(&[1, 2, 3]).unwrap();
        drop(cache);
        let mut cache = open(folder.path(), "a");
        assert_eq!(cache.read(1, 2).unwrap(), stored[..1]);
        assert_eq!(cache.read(2, 2).unwrap(), stored[1..]);
        cache.append(&[vec![5.0, 6.0]]).unwrap();
        drop(cache);
        assert_eq!(open(folder.path(), "a").read(9, 2).unwrap().len(), 3);
    }

    #[test]
    fn another_corpus_has_other_vectors_and_what_is_no_number_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), "a").append(&[vec![1.0], vec![f32::NAN], vec![2.0]]).unwrap();
        assert!(open(folder.path(), "b").read(3, 1).unwrap().is_empty());
        assert_eq!(open(folder.path(), "a").read(3, 1).unwrap(), [[1.0]]);
        assert_eq!(open(folder.path(), "a").file.metadata().unwrap().len(), 4);
    }
}
