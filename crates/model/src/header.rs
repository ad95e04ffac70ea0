//! The headers of safetensors files and the index of shards: all that is believed before a weight is read.

use safetensors::tensor::Metadata;

use crate::{ModelError, WeightSource};

/// The safetensors format's own limit on the length of a header, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Parses a safetensors header and checks that it describes `source` to the last byte.
pub(crate) fn read_header(file: &str, source: &dyn WeightSource) -> Result<(Metadata, u64), ModelError> {
    let read = |range| source.read(range).map_err(|_| damaged(file, "it ends inside its header".to_owned()));
    let data_start = data_start(file, &read(0..8)?)?;
    let header: Metadata = serde_json::from_slice(&read(8..data_start)?)
        .map_err(|error| damaged(file, format!("its header is not a list of tensors ({error})")))?;
    // Deserializing sorts the tensors but does not check them; building them anew does.
    let mut tensors: Vec<_> = header.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let header = Metadata::new(header.metadata().clone(), tensors)
        .map_err(|error| damaged(file, format!("its header contradicts itself ({error})")))?;
    let expected = data_start.saturating_add(header.data_len() as u64);
    if expected != source.len() {
        return Err(damaged(file, format!("it has {} bytes where its header says {expected}", source.len())));
    }
    Ok((header, data_start))
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
