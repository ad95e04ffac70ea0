//! Weights that arrive as a stream of bytes, in file order: a download is never held whole.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;

use crossrank_kernels::Device;

use crate::gguf::{GgufHeader, MAGIC};
use crate::header::{FileHeader, damaged, data_start, read_header};
use crate::layout::Role;
use crate::rows::Rows;
use crate::tensor_list::{Entry, TensorList, scale_name, scale_shape};
use crate::weights::{Incoming, Keep, Weights};
use crate::{CrossEncoder, Layout, ModelConfig, ModelError, Precision, WeightSource};

/// A model whose weight files are still arriving; every tensor is put where it is kept as its last byte
/// arrives.
pub struct WeightStream {
    config: ModelConfig,
    keep: Keep,
    list: TensorList,
    files: usize,
    file: Option<File>,
    /// Of quantised tensors, which they precede.
    scales: HashMap<String, Vec<f32>>,
    weights: Weights,
}

/// The file that is arriving.
struct File {
    name: String,
    length: u64,
    position: u64,
    /// The header's bytes, until it is whole.
    header: Vec<u8>,
    /// What has not begun, in file order.
    ahead: VecDeque<Ahead>,
    current: Option<Current>,
}

/// What has not begun.
enum Ahead {
    Tensor {
        name: String,
        entry: Entry,
        role: Option<Role>,
    },
    /// Bytes between two tensors, or around all: GGUF aligns them.
    Gap(u64),
}

/// The tensor that is arriving.
enum Current {
    Weight {
        name: String,
        tensor: Box<Incoming>,
        partial: Vec<u8>,
    },
    Scales {
        name: String,
        rows: Rows,
        bytes: Vec<u8>,
    },
    /// Bytes that nothing is computed with.
    Skipped(u64),
}

impl WeightStream {
    /// A model that waits for its weights; `precision` as in [`CrossEncoder::load`].
    pub fn new(config: ModelConfig, precision: impl Into<Option<Precision>>, device: &Device) -> Self {
        Self {
            config,
            keep: Keep::new(precision.into(), device),
            list: TensorList::default(),
            files: 0,
            file: None,
            scales: HashMap::new(),
            weights: Weights::default(),
        }
    }

    /// Starts the next safetensors file, of `length` bytes; the shards of a checkpoint come in any order.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] if the file before it is not complete.
    pub fn begin_file(&mut self, name: impl Into<String>, length: u64) -> Result<(), ModelError> {
        self.end_file()?;
        let (header, ahead) = (Vec::new(), VecDeque::new());
        self.file = Some(File { name: name.into(), length, position: 0, header, ahead, current: None });
        Ok(())
    }

    /// Starts a GGUF file of `length` bytes whose header was read already; all its bytes follow.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] if the file before it is not complete, [`ModelError::WeightsMismatch`].
    pub fn begin_gguf(
        &mut self,
        name: impl Into<String>,
        length: u64,
        header: GgufHeader,
    ) -> Result<(), ModelError> {
        self.begin_file(name, length)?;
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.ahead = self.plan(&file, header.into())?;
        self.advance(&mut file)?;
        self.file = Some(file);
        Ok(())
    }

    /// Takes the next bytes of the file, in pieces of any size.
    ///
    /// # Errors
    /// [`ModelError::Damaged`], [`ModelError::WeightsMismatch`], [`ModelError::NotFinite`],
    /// [`ModelError::NoMemory`], [`ModelError::Unsupported`]. The stream is of no use after one.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ModelError> {
        let Some(mut file) = self.file.take() else {
            return Err(damaged("a weight file", "its bytes came before its name".to_owned()));
        };
        if bytes.len() as u64 > file.length - file.position {
            return Err(damaged(&file.name, format!("it is longer than {} bytes", file.length)));
        }
        while !bytes.is_empty() {
            let (taken, ahead) = match &mut file.current {
                Some(current) => (current.take(bytes)?, None),
                None => self.take_header(&mut file, bytes)?,
            };
            bytes = &bytes[taken..];
            file.position += taken as u64;
            if let Some(header) = ahead {
                file.ahead = self.plan(&file, header)?;
            }
            self.advance(&mut file)?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Bytes of weights kept so far, on the device and in memory.
    pub fn kept_bytes(&self) -> u64 {
        self.weights.bytes
    }

    /// The model, when all files have come.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] for a file that is not complete, [`ModelError::WeightsMismatch`] naming
    /// every tensor that is missing, unexpected or of another shape.
    pub fn finish(mut self) -> Result<CrossEncoder, ModelError> {
        self.end_file()?;
        let layout = Layout::of(&self.config, &self.list);
        self.list.check(&layout.tensors(&self.config), true)?;
        CrossEncoder::assemble(self.config, layout, self.weights, self.keep)
    }

    fn end_file(&mut self) -> Result<(), ModelError> {
        match self.file.take() {
            Some(file) if !file.is_complete() => {
                let problem = format!("it ended after {} of {} bytes", file.position, file.length);
                Err(damaged(&file.name, problem))
            }
            _ => Ok(()),
        }
    }

    /// Takes bytes of the header, and gives it with its last one.
    fn take_header(&self, file: &mut File, bytes: &[u8]) -> Result<(usize, Option<FileHeader>), ModelError> {
        let taken = bytes.len().min(file.header_end()? - file.header.len());
        file.header.extend_from_slice(&bytes[..taken]);
        if file.header.len() < file.header_end()? {
            return Ok((taken, None));
        }
        let prefix = Prefix { bytes: &std::mem::take(&mut file.header), length: file.length };
        Ok((taken, Some(read_header(&file.name, &prefix)?)))
    }

    /// The tensors of a new file in file order, compared with the model's.
    fn plan(&mut self, file: &File, header: FileHeader) -> Result<VecDeque<Ahead>, ModelError> {
        self.list.add(self.files, &file.name, header)?;
        let expected = Layout::of(&self.config, &self.list).tensors(&self.config);
        self.list.check(&expected, false)?;
        let roles: HashMap<String, Role> =
            expected.into_iter().map(|expected| (expected.name, expected.role)).collect();
        let of_file = self.list.iter().filter(|(_, entry)| entry.source == self.files);
        let mut tensors: Vec<_> = of_file.collect();
        tensors.sort_by_key(|(_, entry)| entry.range.start);
        self.files += 1;
        let (mut ahead, mut position) = (VecDeque::new(), file.position);
        for (name, entry) in tensors {
            let (name, role) = (name.clone(), roles.get(name).copied());
            ahead.push_back(Ahead::Gap(entry.range.start - position));
            position = entry.range.end;
            ahead.push_back(Ahead::Tensor { name, entry: entry.clone(), role });
        }
        ahead.push_back(Ahead::Gap(file.length - position));
        Ok(ahead)
    }

    /// Ends the current tensor if it is complete and begins the next one.
    fn advance(&mut self, file: &mut File) -> Result<(), ModelError> {
        match file.current.take() {
            Some(Current::Weight { name, tensor, .. }) if tensor.is_complete() => {
                self.weights.place(name, *tensor, &self.keep);
            }
            Some(Current::Scales { name, rows, bytes }) if bytes.len() == rows.count * rows.stride => {
                let mut scales = vec![0.0; rows.count * rows.width];
                let each = scales.chunks_exact_mut(rows.width).zip(bytes.chunks_exact(rows.stride));
                for (row, (out, bytes)) in each.enumerate() {
                    rows.decode(row, bytes, Precision::F32, out)?;
                }
                self.scales.insert(name, scales);
            }
            Some(Current::Skipped(0)) | None => {}
            unfinished => {
                file.current = unfinished;
                return Ok(());
            }
        }
        while let Some(next) = file.ahead.pop_front() {
            match self.begin(next)? {
                Current::Skipped(0) => {}
                current => {
                    file.current = Some(current);
                    break;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, ahead: Ahead) -> Result<Current, ModelError> {
        let (name, entry, role) = match ahead {
            Ahead::Tensor { name, entry, role } => (name, entry, role),
            Ahead::Gap(bytes) => return Ok(Current::Skipped(bytes)),
        };
        let Some(role) = role else {
            let bytes = entry.range.end - entry.range.start;
            return Ok(match name.ends_with("_scale") {
                true => {
                    Current::Scales { rows: Rows::of(&name, &entry, Vec::new())?, bytes: Vec::new(), name }
                }
                false => Current::Skipped(bytes),
            });
        };
        let mut rows = Rows::of(&name, &entry, Vec::new())?;
        if scale_shape(rows.form, &[rows.count, rows.width]).is_some() {
            rows.scales = self.scales.remove(&scale_name(&name)).ok_or_else(|| {
                damaged(
                    &name,
                    "its scales come behind it; write the file with `crossrank convert`".to_owned(),
                )
            })?;
        }
        let tensor = Box::new(Incoming::new(rows, role, &self.keep)?);
        Ok(Current::Weight { name, tensor, partial: Vec::new() })
    }
}

impl File {
    /// Bytes of the header, as far as the file can hold it; the first eight tell.
    fn header_end(&self) -> Result<usize, ModelError> {
        match self.header.len() {
            ..8 => Ok(8),
            _ if self.header.starts_with(MAGIC) => Err(ModelError::Unsupported {
                field: "a GGUF file beside config.json:",
                found: self.name.clone(),
                expected: "the GGUF file alone, which brings its own configuration".to_owned(),
            }),
            _ => Ok(data_start(&self.name, &self.header)?.min(self.length) as usize),
        }
    }

    /// True when every byte has come and been used.
    fn is_complete(&self) -> bool {
        self.position == self.length && self.header.is_empty() && self.current.is_none()
    }
}

impl Current {
    /// Takes what belongs to this tensor and says how many bytes it was.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ModelError> {
        match self {
            Current::Skipped(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok(taken)
            }
            Current::Scales { rows, bytes: kept, .. } => {
                let taken = bytes.len().min(rows.count * rows.stride - kept.len());
                kept.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            Current::Weight { tensor, partial, .. } => take_rows(tensor, partial, bytes),
        }
    }
}

/// Gives whole rows to `tensor`; `partial` holds the beginning of a row between two pieces.
fn take_rows(tensor: &mut Incoming, partial: &mut Vec<u8>, bytes: &[u8]) -> Result<usize, ModelError> {
    let stride = tensor.rows.stride;
    let mut taken = 0;
    while !tensor.is_complete() && taken < bytes.len() {
        let rest = &bytes[taken..];
        if partial.is_empty() && rest.len() >= stride {
            tensor.push(&rest[..stride])?;
            taken += stride;
            continue;
        }
        let part = rest.len().min(stride - partial.len());
        partial.extend_from_slice(&rest[..part]);
        taken += part;
        if partial.len() == stride {
            tensor.push(partial)?;
            partial.clear();
        }
    }
    Ok(taken)
}

/// The beginning of a file whose length is known.
struct Prefix<'a> {
    bytes: &'a [u8],
    length: u64,
}

impl WeightSource for Prefix<'_> {
    fn len(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let bytes = range.and_then(|(start, end)| self.bytes.get(start..end));
        bytes.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
