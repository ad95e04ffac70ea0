//! The headers of weight files and the index of shards: all that is believed before a weight is read.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::Dtype;
use serde::Deserialize;

use crate::gguf::{GgufHeader, GgufMetadata, MAGIC};
use crate::tensor_list::Entry;
use crate::{ModelError, WeightSource};

/// The safetensors format's own limit on the length of a header, in bytes; GGUF has none.
pub(crate) const MAX_HEADER_BYTES: u64 = 100_000_000;

/// What a weight file says before its weights.
pub(crate) struct FileHeader {
    /// safetensors' `__metadata__`.
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) tensors: Vec<(String, Entry)>,
    /// Of a GGUF file.
    pub(crate) gguf: Option<GgufMetadata>,
}

impl From<GgufHeader> for FileHeader {
    fn from(GgufHeader { metadata, tensors }: GgufHeader) -> Self {
        Self { metadata: HashMap::new(), tensors, gguf: Some(metadata) }
    }
}

/// A safetensors header.
///
/// The crate's own type counts bits in `usize`, which in WebAssembly ends at half a gigabyte.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: HashMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct TensorInfo {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Its first byte, and the one behind its last, counted from the end of the header.
    data_offsets: (u64, u64),
}

/// Parses the header of a safetensors or GGUF file and checks that it describes `source` to the last byte.
pub(crate) fn read_header(file: &str, source: &dyn WeightSource) -> Result<FileHeader, ModelError> {
    let read = |range| source.read(range).map_err(|_| damaged(file, "it ends inside its header".to_owned()));
    let start = read(0..8)?;
    if start.starts_with(MAGIC) {
        let bytes = read(0..source.len().min(MAX_HEADER_BYTES))?;
        let header = GgufHeader::read(file, &bytes, source.len())?;
        return header.map(Into::into).ok_or_else(|| damaged(file, "its header is too long".to_owned()));
    }
    let data_start = data_start(file, &start)?;
    let header: Header = serde_json::from_slice(&read(8..data_start)?)
        .map_err(|error| damaged(file, format!("its header is not a list of tensors ({error})")))?;
    let expected = data_start.saturating_add(header.data_length(file)?);
    if expected != source.len() {
        return Err(damaged(file, format!("it has {} bytes where its header says {expected}", source.len())));
    }
    Ok(header.located(data_start))
}

impl Header {
    /// Bytes of all tensors, which lie end to end without a gap.
    fn data_length(&self, file: &str) -> Result<u64, ModelError> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let mut position = 0;
        for (name, info) in tensors {
            let (start, end) = info.data_offsets;
            let length = info.bytes();
            if start != position || length.is_none() || start.checked_add(length.unwrap_or(0)) != Some(end) {
                let problem = format!("its header contradicts itself at `{name}`, bytes {start} to {end}");
                return Err(damaged(file, problem));
            }
            position = end;
        }
        Ok(position)
    }

    fn located(self, data_start: u64) -> FileHeader {
        let tensors = self.tensors.into_iter().map(|(name, TensorInfo { dtype, shape, data_offsets })| {
            let range = data_start + data_offsets.0..data_start + data_offsets.1;
            (name, Entry { source: 0, form: dtype.into(), shape, range })
        });
        FileHeader { metadata: self.metadata, tensors: tensors.collect(), gguf: None }
    }
}

impl TensorInfo {
    /// Bytes of dtype and shape; `None` for more than there can be, and for a part of a byte.
    fn bytes(&self) -> Option<u64> {
        let bits = self
            .shape
            .iter()
            .try_fold(self.dtype.bitsize() as u64, |bits, &dimension| bits.checked_mul(dimension as u64))?;
        bits.is_multiple_of(8).then_some(bits / 8)
    }
}

/// Where the data of a file that begins with `bytes` begin: behind the header, whose length comes first.
pub(crate) fn data_start(file: &str, bytes: &[u8]) -> Result<u64, ModelError> {
    let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    match length {
        Some(length) if length <= MAX_HEADER_BYTES => Ok(8 + length),
        Some(length) => Err(damaged(file, format!("its header claims {length} bytes"))),
        None => Err(damaged(file, "it ends inside its header".to_owned())),
    }
}

/// The distinct files that a `model.safetensors.index.json` names.
#[cfg(feature = "fs")]
pub(crate) fn shard_names(index: &[u8]) -> Result<Vec<String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let file = "model.safetensors.index.json";
    let index: Index = serde_json::from_slice(index).map_err(|error| damaged(file, error.to_string()))?;
    let names: std::collections::BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(outside) = names.iter().find(|name| name.contains(['/', '\\']) || name.starts_with('.')) {
        return Err(damaged(file, format!("it names {outside:?}, which is not a file beside it")));
    }
    Ok(names.into_iter().collect())
}

/// An error that names the file, or the tensor, that is not as it should be.
pub(crate) fn damaged(file: &str, problem: String) -> ModelError {
    ModelError::Damaged { file: file.to_owned(), problem }
}
