//! GGUF: one file with a model's weights, configuration and vocabulary, as llama.cpp's tools write it
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::collections::{HashMap, HashSet};

use crate::ModelError;
use crate::form::Form;
use crate::gguf_names::{layout_of, to_hugging_face};
use crate::header::{MAX_HEADER_BYTES, damaged};
use crate::tensor_list::Entry;

/// The first bytes of every GGUF file.
pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
/// Where the data of tensors begin: at multiples of this, if the file does not say otherwise.
const ALIGNMENT: u64 = 32;
/// More dimensions than ggml has.
const MAX_DIMENSIONS: u32 = 4;

/// Everything in a GGUF file but its weights.
pub struct GgufHeader {
    /// Configuration and vocabulary.
    pub metadata: GgufMetadata,
    /// The tensors under Hugging Face's names.
    pub(crate) tensors: Vec<(String, Entry)>,
}

/// Configuration and vocabulary of a GGUF file, by key.
#[derive(Debug, Default)]
pub struct GgufMetadata(HashMap<String, Value>);

/// A value of the metadata. Integers beyond 2^53 are not exact: no field that is read has them.
#[derive(Debug)]
enum Value {
    Number(f64),
    Text(String),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl GgufMetadata {
    /// The text of `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of `key`; flags are 0 and 1.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.0.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The whole number of `key`.
    pub fn whole(&self, key: &str) -> Option<u32> {
        let number = self.number(key)?;
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
    }

    /// Takes the list of numbers of `key` out.
    pub fn take_numbers(&mut self, key: &str) -> Option<Vec<f64>> {
        match self.0.remove(key) {
            Some(Value::Numbers(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// Takes the list of texts of `key` out.
    pub fn take_texts(&mut self, key: &str) -> Option<Vec<String>> {
        match self.0.remove(key) {
            Some(Value::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The length of the list of `key`.
    pub(crate) fn length(&self, key: &str) -> Option<usize> {
        match self.0.get(key) {
            Some(Value::Numbers(numbers)) => Some(numbers.len()),
            Some(Value::Texts(texts)) => Some(texts.len()),
            _ => None,
        }
    }
}

impl GgufHeader {
    /// Reads the header of a file of `length` bytes from its first `bytes`; `None` if these end inside it.
    ///
    /// # Errors
    /// [`ModelError::Damaged`], [`ModelError::Unsupported`] for types of weights that are not read.
    pub fn read(file: &str, bytes: &[u8], length: u64) -> Result<Option<Self>, ModelError> {
        match (Reader { bytes, at: 0 }).header(length) {
            Ok(header) => Ok(Some(header)),
            Err(Stop::End) if (bytes.len() as u64) < length.min(MAX_HEADER_BYTES) => Ok(None),
            Err(Stop::End) => Err(damaged(file, "it ends inside its header".to_owned())),
            Err(Stop::Problem(problem)) => Err(damaged(file, problem)),
            Err(Stop::Unsupported(found)) => Err(ModelError::Unsupported {
                field: "the type of weights",
                found,
                expected: "F32, F16, BF16, Q8_0, Q4_0 or Q6_K".to_owned(),
            }),
        }
    }
}

/// Why a header is not read to its end.
enum Stop {
    End,
    Problem(String),
    Unsupported(String),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn header(&mut self, length: u64) -> Result<GgufHeader, Stop> {
        let (magic, version) = (self.array::<4>()?, self.u32()?);
        if magic != *MAGIC || !(2..=3).contains(&version) {
            return Err(Stop::Problem(format!(
                "it is no little-endian GGUF file of version 2 or 3 ({version})"
            )));
        }
        let (tensors, pairs) = (self.u64()?, self.u64()?);
        let mut metadata = HashMap::new();
        for _ in 0..pairs {
            let (key, kind) = (self.text()?, self.u32()?);
            metadata.insert(key, self.value(kind)?);
        }
        let metadata = GgufMetadata(metadata);
        let mut infos = Vec::new();
        for _ in 0..tensors {
            infos.push(self.tensor()?);
        }
        let alignment = metadata.whole("general.alignment").map_or(ALIGNMENT, u64::from);
        if alignment == 0 {
            return Err(Stop::Problem("its alignment is 0".to_owned()));
        }
        let data_start = (self.at as u64).next_multiple_of(alignment);
        let tensors = place(infos, data_start, alignment, length).map_err(Stop::Problem)?;
        Ok(GgufHeader { metadata, tensors })
    }

    fn take(&mut self, length: u64) -> Result<&[u8], Stop> {
        let rest = &self.bytes[self.at..];
        let length = usize::try_from(length).ok().filter(|&length| length <= rest.len()).ok_or(Stop::End)?;
        self.at += length;
        Ok(&rest[..length])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes = self.bytes[self.at..].first_chunk::<N>().ok_or(Stop::End)?;
        self.at += N;
        Ok(*bytes)
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, Stop> {
        let length = self.u64()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, kind: u32) -> Result<Value, Stop> {
        match kind {
            8 => self.text().map(Value::Text),
            9 => self.list(),
            kind => self.number(kind).map(Value::Number),
        }
    }

    fn number(&mut self, kind: u32) -> Result<f64, Stop> {
        Ok(match kind {
            0 | 7 => f64::from(self.array::<1>()?[0]),
            1 => f64::from(self.array::<1>()?[0] as i8),
            2 => f64::from(u16::from_le_bytes(self.array()?)),
            3 => f64::from(i16::from_le_bytes(self.array()?)),
            4 => f64::from(self.u32()?),
            5 => f64::from(i32::from_le_bytes(self.array()?)),
            6 => f64::from(f32::from_le_bytes(self.array()?)),
            10 => self.u64()? as f64,
            11 => i64::from_le_bytes(self.array()?) as f64,
            12 => f64::from_le_bytes(self.array()?),
            _ => return Err(Stop::Problem(format!("its metadata hold a value of the unknown type {kind}"))),
        })
    }

    fn list(&mut self) -> Result<Value, Stop> {
        let (kind, length) = (self.u32()?, self.u64()?);
        // Nothing is reserved: a length can claim anything, and the bytes end first.
        match kind {
            8 => (0..length).map(|_| self.text()).collect::<Result<_, _>>().map(Value::Texts),
            9 => Err(Stop::Problem("its metadata hold a list of lists".to_owned())),
            kind => (0..length).map(|_| self.number(kind)).collect::<Result<_, _>>().map(Value::Numbers),
        }
    }

    fn tensor(&mut self) -> Result<Info, Stop> {
        let (name, dimensions) = (self.text()?, self.u32()?);
        if dimensions > MAX_DIMENSIONS {
            return Err(Stop::Problem(format!("tensor `{name}` has {dimensions} dimensions")));
        }
        // The fastest-varying dimension comes first.
        let mut shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        let kind = self.u32()?;
        let offset = self.u64()?;
        let form = Form::of_ggml(kind)
            .ok_or_else(|| Stop::Unsupported(format!("of `{name}`, ggml's number {kind},")))?;
        Ok(Info { name, form, shape, offset })
    }
}

/// A tensor as the header describes it.
struct Info {
    name: String,
    form: Form,
    shape: Vec<u64>,
    offset: u64,
}

impl Info {
    /// Bytes of form and shape; `None` for more than there can be, and for a part of a block.
    fn bytes(&self) -> Option<u64> {
        let width = self.shape.last().copied().unwrap_or(1);
        let weights =
            self.shape.iter().try_fold(1_u64, |weights, &dimension| weights.checked_mul(dimension))?;
        let (block, bytes) = (self.form.block() as u64, self.form.block_bytes() as u64);
        width.is_multiple_of(block).then(|| (weights / block).checked_mul(bytes)).flatten()
    }
}

/// The tensors under Hugging Face's names, which lie behind one another with less than `alignment` between.
fn place(
    mut infos: Vec<Info>,
    data_start: u64,
    alignment: u64,
    length: u64,
) -> Result<Vec<(String, Entry)>, String> {
    infos.sort_by_key(|info| info.offset);
    let layout = layout_of(infos.iter().map(|info| info.name.as_str()));
    let mut names = HashSet::new();
    let mut position = 0_u64;
    let mut tensors = Vec::new();
    for info in infos {
        let end = info.bytes().and_then(|bytes| info.offset.checked_add(bytes));
        let is_next = (position..position.saturating_add(alignment)).contains(&info.offset);
        let Some(end) = end.filter(|_| is_next) else {
            return Err(format!("its header contradicts itself at `{}`, byte {}", info.name, info.offset));
        };
        let shape: Option<Vec<usize>> = info.shape.iter().map(|&size| usize::try_from(size).ok()).collect();
        let (Some(shape), Some(range_end)) = (shape, data_start.checked_add(end)) else {
            return Err(format!("tensor `{}` is larger than this machine's memory", info.name));
        };
        let (name, shape) = to_hugging_face(info.name, shape, layout);
        if !names.insert(name.clone()) {
            return Err(format!("tensor `{name}` is there twice"));
        }
        let range = data_start + info.offset..range_end;
        tensors.push((name, Entry { source: 0, form: info.form, shape, range }));
        position = end;
    }
    let expected = data_start.saturating_add(position);
    if !(expected..expected.saturating_add(alignment)).contains(&length) {
        return Err(format!("it has {length} bytes where its header says {expected}"));
    }
    Ok(tensors)
}
