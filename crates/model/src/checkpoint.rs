//! A checkpoint: one or more safetensors files, every tensor found by name and read as f32.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::header::{damaged, read_header};
use crate::quantized::{FORMAT_VERSION, Q4_BLOCK, dequantize_q4_row, dequantize_q8_row, fake_quantize_row};
use crate::{ModelError, WeightSource, WrongTensor};

/// How weights are kept and computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats: the reference.
    F32,
    /// 16-bit floats, on devices that compute with them.
    F16,
    /// 8-bit integers with a scale per row; computed in f32.
    Q8,
    /// 4-bit integers with a scale per 32 columns; computed in f32.
    Q4,
}

/// The tensors of a checkpoint, located but not yet read.
pub struct Checkpoint {
    sources: Vec<(String, Box<dyn WeightSource>)>,
    tensors: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

/// Where a tensor lies.
#[derive(Debug, Clone)]
struct Entry {
    source: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<u64>,
}

impl Checkpoint {
    /// Locates the tensors of `files`, each a name for messages and its bytes.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] for a header that does not describe the file exactly, or a tensor that two
    /// files hold; [`ModelError::Read`] when a source fails.
    pub fn open(files: Vec<(String, Box<dyn WeightSource>)>) -> Result<Self, ModelError> {
        let mut tensors = BTreeMap::new();
        let mut metadata = HashMap::new();
        for (source, (file, bytes)) in files.iter().enumerate() {
            let (header, data_start) = read_header(file, bytes.as_ref())?;
            for (name, info) in header.tensors() {
                let (start, end) = info.data_offsets;
                let range = data_start + start as u64..data_start + end as u64;
                let entry = Entry { source, dtype: info.dtype, shape: info.shape.clone(), range };
                if tensors.insert(name.clone(), entry).is_some() {
                    return Err(damaged(file, format!("tensor `{name}` is in another file as well")));
                }
            }
            metadata.extend(header.metadata().clone().unwrap_or_default());
        }
        Ok(Self { sources: files, tensors, metadata })
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
        &self.metadata
    }

    /// The names of all tensors with dtype and shape, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Dtype, &[usize])> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), entry.dtype, entry.shape.as_slice()))
    }

    /// The bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.sources.iter().map(|(_, source)| source.len()).sum()
    }

    /// True if the file has tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The stored bytes of tensor `name`.
    ///
    /// # Errors
    /// [`ModelError::WeightsMismatch`] if it is absent, [`ModelError::Read`] if its bytes cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, ModelError> {
        let entry = self.entry(name)?;
        self.read(name, entry.source, entry.range.clone())
    }

    /// Tensor `name` as f32, row by row as stored, quantised tensors multiplied out.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] for a NaN or infinity, [`ModelError::Read`] when the source fails,
    /// [`ModelError::WeightsMismatch`] for scales that do not fit, [`ModelError::Damaged`].
    pub fn read_f32(&self, name: &str, precision: Precision) -> Result<Vec<f32>, ModelError> {
        let rows = self.rows(name)?;
        let mut values = vec![0.0; rows.count * rows.width];
        for (row, out) in values.chunks_exact_mut(rows.width).enumerate() {
            rows.read(self, row, precision, out)?;
        }
        Ok(values)
    }

    /// Locates matrix `name`; a vector is a matrix of one row.
    pub(crate) fn rows(&self, name: &str) -> Result<Rows, ModelError> {
        let entry = self.entry(name)?.clone();
        let (count, stored) = match entry.shape.as_slice() {
            [] => (1, 1),
            [length] => (1, *length),
            [rows, rest @ ..] => (*rows, rest.iter().product()),
        };
        let width = if entry.dtype == Dtype::U8 { stored * 2 } else { stored };
        if count * width == 0 || (entry.dtype == Dtype::U8 && !width.is_multiple_of(Q4_BLOCK)) {
            return Err(damaged(name, format!("{:?} {:?} holds no weights", entry.dtype, entry.shape)));
        }
        let scales = match scale_shape(entry.dtype, &[count, width]) {
            Some(shape) => self.scales(&format!("{name}_scale"), &shape)?,
            None => Vec::new(),
        };
        Ok(Rows { name: name.to_owned(), entry, count, width, scales })
    }

    fn scales(&self, name: &str, shape: &(Dtype, Vec<usize>)) -> Result<Vec<f32>, ModelError> {
        match check_scale(name, self.entry(name)?, shape) {
            Some(wrong) => {
                Err(ModelError::WeightsMismatch { missing: vec![], unexpected: vec![], wrong: vec![wrong] })
            }
            None => self.read_f32(name, Precision::F32),
        }
    }

    /// Compares the file with the tensors a model needs; quantised ones bring their scales.
    pub(crate) fn check(&self, expected: &[(String, Vec<usize>)]) -> Result<(), ModelError> {
        let mut unexpected: BTreeSet<&str> = self.tensors.keys().map(String::as_str).collect();
        let (mut missing, mut wrong, mut quantized) = (Vec::new(), Vec::new(), false);
        for (name, shape) in expected {
            let scale = format!("{name}_scale");
            unexpected.remove(name.as_str());
            match self.tensors.get(name) {
                None => missing.push(name.clone()),
                Some(entry) => wrong.extend(check_tensor(name, entry, shape)),
            }
            if let Some(shape) = self.tensors.get(name).and_then(|entry| scale_shape(entry.dtype, shape)) {
                unexpected.remove(scale.as_str());
                quantized = true;
                match self.tensors.get(&scale) {
                    None => missing.push(scale),
                    Some(entry) => wrong.extend(check_scale(&scale, entry, &shape)),
                }
            }
        }
        // A buffer, not a weight: bge-reranker-base and -large carry it.
        let unexpected: Vec<String> = unexpected
            .into_iter()
            .filter(|name| !name.ends_with(".position_ids"))
            .map(str::to_owned)
            .collect();
        let format = self.metadata.get("crossrank_format").map_or("", String::as_str);
        if quantized && format != FORMAT_VERSION {
            return Err(ModelError::Unsupported {
                field: "crossrank_format",
                found: format!("{format:?}"),
                expected: format!("{FORMAT_VERSION:?}"),
            });
        }
        if missing.is_empty() && unexpected.is_empty() && wrong.is_empty() {
            return Ok(());
        }
        Err(ModelError::WeightsMismatch { missing, unexpected, wrong })
    }

    fn entry(&self, name: &str) -> Result<&Entry, ModelError> {
        self.tensors.get(name).ok_or_else(|| ModelError::WeightsMismatch {
            missing: vec![name.to_owned()],
            unexpected: Vec::new(),
            wrong: Vec::new(),
        })
    }

    fn read(&self, name: &str, source: usize, range: Range<u64>) -> Result<Cow<'_, [u8]>, ModelError> {
        let (file, bytes) = &self.sources[source];
        bytes
            .read(range)
            .map_err(|source| ModelError::Read { file: format!("{file}, tensor {name}"), source })
    }
}

/// The rows of one stored matrix, decoded on demand: an embedding table is never read whole.
pub(crate) struct Rows {
    name: String,
    entry: Entry,
    count: usize,
    width: usize,
    /// Empty unless the matrix is quantised.
    scales: Vec<f32>,
}

impl Rows {
    /// Decodes row `row` into `out`, as a file of the given precision would hold it; refuses NaN and
    /// infinities.
    pub(crate) fn read(
        &self,
        checkpoint: &Checkpoint,
        row: usize,
        precision: Precision,
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        let Entry { source, dtype, range, .. } = &self.entry;
        let stored = (range.end - range.start) / self.count as u64;
        let start = range.start + row as u64 * stored;
        let bytes = checkpoint.read(&self.name, *source, start..start + stored)?;
        match dtype {
            Dtype::F32 => decode(&bytes, out, f32::from_le_bytes),
            Dtype::F16 => decode(&bytes, out, |pair| f16::from_le_bytes(pair).to_f32()),
            Dtype::BF16 => decode(&bytes, out, |pair| bf16::from_le_bytes(pair).to_f32()),
            // Symmetric q8 does not use it.
            Dtype::I8 if bytes.contains(&0x80) => {
                return Err(damaged(&self.name, format!("row {row} holds −128")));
            }
            Dtype::I8 => dequantize_q8_row(&bytes, self.scales[row], out),
            Dtype::U8 => {
                let blocks = out.len() / Q4_BLOCK;
                dequantize_q4_row(&bytes, &self.scales[row * blocks..(row + 1) * blocks], out);
            }
            other => return Err(damaged(&self.name, format!("dtype {other:?} holds no weights"))),
        }
        if !out.iter().all(|value| value.is_finite()) {
            return Err(ModelError::NotFinite { tensor: self.label(row) });
        }
        // Values that already lie on the asked grid must not be rounded to a slightly different one.
        if !matches!((dtype, precision), (Dtype::I8, Precision::Q8) | (Dtype::U8, Precision::Q4)) {
            fake_quantize_row(precision, out);
        }
        Ok(())
    }

    fn label(&self, row: usize) -> String {
        if self.count == 1 { self.name.clone() } else { format!("{}, row {row}", self.name) }
    }
}

fn decode<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (value_out, chunk) in out.iter_mut().zip(chunks) {
        *value_out = value(*chunk);
    }
}

fn check_tensor(name: &str, entry: &Entry, shape: &[usize]) -> Option<WrongTensor> {
    let stored: Vec<usize> = match (entry.dtype, shape) {
        (Dtype::F32 | Dtype::F16 | Dtype::BF16, shape) => shape.to_vec(),
        (Dtype::I8, [rows, width]) => vec![*rows, *width],
        (Dtype::U8, [rows, width]) if width.is_multiple_of(Q4_BLOCK) => vec![*rows, width / 2],
        _ => return Some(wrong(name, entry, format!("F32, F16 or BF16 {shape:?}"))),
    };
    (stored != entry.shape).then(|| wrong(name, entry, format!("{:?} {stored:?}", entry.dtype)))
}

/// The scales that belong to a quantised matrix of `shape`.
fn scale_shape(dtype: Dtype, shape: &[usize]) -> Option<(Dtype, Vec<usize>)> {
    match (dtype, shape) {
        (Dtype::I8, [rows, _]) => Some((Dtype::F32, vec![*rows])),
        (Dtype::U8, [rows, width]) => Some((Dtype::F16, vec![*rows, width / Q4_BLOCK])),
        _ => None,
    }
}

fn check_scale(name: &str, entry: &Entry, (dtype, shape): &(Dtype, Vec<usize>)) -> Option<WrongTensor> {
    (entry.dtype != *dtype || entry.shape != *shape)
        .then(|| wrong(name, entry, format!("{dtype:?} {shape:?}")))
}

fn wrong(name: &str, entry: &Entry, expected: String) -> WrongTensor {
    WrongTensor { name: name.to_owned(), found: format!("{:?} {:?}", entry.dtype, entry.shape), expected }
}
