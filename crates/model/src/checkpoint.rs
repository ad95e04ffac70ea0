//! A checkpoint: safetensors files or a GGUF file, every tensor found by name and read as f32.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::form::Form;
use crate::gguf::GgufMetadata;
use crate::header::read_header;
use crate::rows::Rows;
use crate::tensor_list::{Entry, TensorList, check_scale, scale_name, scale_shape};
use crate::{ModelError, Precision, WeightSource};

/// The tensors of a checkpoint, located but not yet read.
pub struct Checkpoint {
    sources: Vec<(String, Box<dyn WeightSource>)>,
    tensors: TensorList,
    gguf: Option<GgufMetadata>,
}

impl Checkpoint {
    /// Locates the tensors of `files`, each a name for messages and its bytes.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] for a header that does not describe the file exactly, or a tensor that two
    /// files hold; [`ModelError::Read`] when a source fails.
    pub fn open(files: Vec<(String, Box<dyn WeightSource>)>) -> Result<Self, ModelError> {
        let mut tensors = TensorList::default();
        let mut gguf = None;
        for (source, (file, bytes)) in files.iter().enumerate() {
            let mut header = read_header(file, bytes.as_ref())?;
            gguf = header.gguf.take().or(gguf);
            tensors.add(source, file, header)?;
        }
        Ok(Self { sources: files, tensors, gguf })
    }

    /// Opens `model.safetensors`, or every shard that `model.safetensors.index.json` names, in `folder`.
    ///
    /// # Errors
    /// As [`Self::open`]; [`ModelError::Read`] when a file is absent.
    #[cfg(feature = "fs")]
    pub fn open_folder(folder: &std::path::Path) -> Result<Self, ModelError> {
        let names = match std::fs::read(folder.join("model.safetensors.index.json")) {
            Ok(index) => crate::header::shard_names(&index)?,
            Err(_) => vec!["model.safetensors".to_owned()],
        };
        let open = |name: String| {
            let path = folder.join(&name);
            let file = path.display().to_string();
            match crate::MappedFile::open(&path) {
                Ok(map) => Ok((file, Box::new(map) as Box<dyn WeightSource>)),
                Err(source) => Err(ModelError::Read { file, source }),
            }
        };
        Self::open(names.into_iter().map(open).collect::<Result<_, _>>()?)
    }

    /// The `__metadata__` of all files.
    pub fn metadata(&self) -> &HashMap<String, String> {
        self.tensors.metadata()
    }

    /// Takes out what a GGUF file says beside its weights; `None` for safetensors.
    pub fn take_gguf(&mut self) -> Option<GgufMetadata> {
        self.gguf.take()
    }

    /// The names of all tensors with form and shape, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Form, &[usize])> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), entry.form, entry.shape.as_slice()))
    }

    /// The bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.sources.iter().map(|(_, source)| source.len()).sum()
    }

    /// True if the file has tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.get(name).is_some()
    }

    /// The stored bytes of tensor `name`.
    ///
    /// # Errors
    /// [`ModelError::WeightsMismatch`] if it is absent, [`ModelError::Read`] if its bytes cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, ModelError> {
        let entry = self.tensors.require(name)?;
        self.read(name, entry.source, entry.range.clone())
    }

    /// Tensor `name` as f32, row by row as stored, quantised tensors multiplied out.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] for a NaN or infinity, [`ModelError::Read`] when the source fails,
    /// [`ModelError::WeightsMismatch`] for scales that do not fit, [`ModelError::Damaged`].
    pub fn read_f32(&self, name: &str, precision: Precision) -> Result<Vec<f32>, ModelError> {
        let (rows, bytes) = (self.rows(name)?, self.bytes(name)?);
        let mut values = vec![0.0; rows.count * rows.width];
        let each = values.chunks_exact_mut(rows.width).zip(bytes.chunks_exact(rows.stride));
        for (row, (out, bytes)) in each.enumerate() {
            rows.decode(row, bytes, precision, out)?;
        }
        Ok(values)
    }

    /// Gives tensors other names; those without one are left out.
    pub(crate) fn rename(&mut self, name: impl Fn(String) -> Option<String>) {
        self.tensors.rename(name);
    }

    pub(crate) fn list(&self) -> &TensorList {
        &self.tensors
    }

    /// Locates matrix `name`; a vector is a matrix of one row.
    pub(crate) fn rows(&self, name: &str) -> Result<Rows, ModelError> {
        let entry = self.tensors.require(name)?;
        let rows = Rows::of(name, entry, Vec::new())?;
        match scale_shape(entry.form, &[rows.count, rows.width]) {
            Some(shape) => Rows::of(name, entry, self.scales(&scale_name(name), &shape)?),
            None => Ok(rows),
        }
    }

    /// The stored bytes of one row of the tensor at `entry`.
    pub(crate) fn row_bytes(
        &self,
        entry: &Entry,
        rows: &Rows,
        row: usize,
    ) -> Result<Cow<'_, [u8]>, ModelError> {
        let start = entry.range.start + (row * rows.stride) as u64;
        self.read(rows.name(), entry.source, start..start + rows.stride as u64)
    }

    fn scales(&self, name: &str, shape: &(Form, Vec<usize>)) -> Result<Vec<f32>, ModelError> {
        match check_scale(name, self.tensors.require(name)?, shape) {
            Some(wrong) => {
                Err(ModelError::WeightsMismatch { missing: vec![], unexpected: vec![], wrong: vec![wrong] })
            }
            None => self.read_f32(name, Precision::F32),
        }
    }

    fn read(&self, name: &str, source: usize, range: Range<u64>) -> Result<Cow<'_, [u8]>, ModelError> {
        let (file, bytes) = &self.sources[source];
        bytes
            .read(range)
            .map_err(|source| ModelError::Read { file: format!("{file}, tensor {name}"), source })
    }
}
