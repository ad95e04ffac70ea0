//! A checkpoint's tensors as docs/checkpoint-format.md stores them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail};
use crossrank_model::{Checkpoint, FORMAT_VERSION, Form, Precision, Q4_BLOCK, quantize_q4, quantize_q8};
use safetensors::tensor::{Dtype, TensorView};

/// A tensor as it is going to lie in the file.
struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// What a conversion did.
pub(crate) struct Report {
    /// Matrices that are integers now.
    pub(crate) quantized: usize,
    /// Tensors that are stored as f32.
    pub(crate) kept: usize,
    /// Matrices that stay f32 because 4 bits need a width that is a multiple of 32.
    pub(crate) too_narrow: Vec<String>,
}

/// Writes the tensors of `checkpoint` to `path`, matrices in `precision` and all others in f32.
///
/// # Errors
/// Errors of reading and writing, NaN and infinities among them, and weights beyond the range of q4.
pub(crate) fn write(
    checkpoint: &Checkpoint,
    source: &str,
    precision: Precision,
    path: &Path,
) -> anyhow::Result<Report> {
    let mut report = Report { quantized: 0, kept: 0, too_narrow: Vec::new() };
    let mut tensors = Vec::new();
    for (name, stored, shape) in checkpoint.tensors() {
        if name.ends_with("_scale") || name.ends_with(".position_ids") {
            continue;
        }
        let shape = values_shape(stored, shape);
        let form = match form(name, &shape, precision) {
            Some(Dtype::U8) if !shape[1].is_multiple_of(Q4_BLOCK) => {
                report.too_narrow.push(name.to_owned());
                None
            }
            form => form,
        };
        report.quantized += usize::from(form.is_some());
        report.kept += usize::from(form.is_none());
        tensors.extend(match form {
            Some(form) if Form::from(form) == stored => copied(checkpoint, name, form)?,
            Some(form) => quantized(checkpoint, name, &shape, form)?,
            None => {
                let bytes =
                    le_bytes(&checkpoint.read_f32(name, Precision::F32).map_err(crossrank::Error::from)?);
                vec![Stored { name: name.to_owned(), dtype: Dtype::F32, shape, bytes }]
            }
        });
    }
    let metadata = [("crossrank_format", FORMAT_VERSION), ("crossrank_source", source)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(Stored::view)
        .collect::<Result<_, _>>()
        .context("a tensor has an impossible shape")?;
    safetensors::serialize_to_file(views, Some(HashMap::from(metadata)), path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(report)
}

/// The integer type of tensor `name`, if it is one of the matrices that are quantized.
fn form(name: &str, shape: &[usize], precision: Precision) -> Option<Dtype> {
    let places = [".word_embeddings.", ".encoder.layer", "bert.pooler.dense.", "classifier.dense."];
    let is_matrix = shape.len() == 2 && places.iter().any(|place| name.contains(place));
    is_matrix.then_some(if precision == Precision::Q4 { Dtype::U8 } else { Dtype::I8 })
}

/// The shape of a tensor's values: q4 has two in a byte.
fn values_shape(form: Form, stored: &[usize]) -> Vec<usize> {
    match (form, stored) {
        (Form::U8, [rows, bytes]) => vec![*rows, bytes * 2],
        _ => stored.to_vec(),
    }
}

/// Integers that are already in the form asked for, and their scales, as they lie.
fn copied(checkpoint: &Checkpoint, name: &str, form: Dtype) -> anyhow::Result<Vec<Stored>> {
    let copy = |name: String, dtype| {
        let found = checkpoint.tensors().find(|(found, ..)| *found == name);
        let (_, _, shape) = found.with_context(|| format!("{name} is missing; download the model again"))?;
        Ok::<_, anyhow::Error>(Stored {
            dtype,
            shape: shape.to_vec(),
            bytes: checkpoint.bytes(&name).map_err(crossrank::Error::from)?.into(),
            name,
        })
    };
    let scales = if form == Dtype::U8 { Dtype::F16 } else { Dtype::F32 };
    Ok(vec![copy(name.to_owned(), form)?, copy(format!("{name}_scale"), scales)?])
}

fn quantized(
    checkpoint: &Checkpoint,
    name: &str,
    shape: &[usize],
    form: Dtype,
) -> anyhow::Result<Vec<Stored>> {
    let (rows, width) = (shape[0], shape[1]);
    let values = checkpoint.read_f32(name, Precision::F32).map_err(crossrank::Error::from)?;
    let stored = |name: String, dtype, shape, bytes| Stored { name, dtype, shape, bytes };
    let scale = format!("{name}_scale");
    Ok(if form == Dtype::U8 {
        let matrix = quantize_q4(&values);
        if !matrix.scales.iter().all(|scale| scale.is_finite()) {
            bail!("{name} holds weights beyond ±524,000, which q4 cannot store; use q8");
        }
        let scales = matrix.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        vec![
            stored(name.to_owned(), Dtype::U8, vec![rows, width / 2], matrix.values),
            stored(scale, Dtype::F16, vec![rows, width / Q4_BLOCK], scales),
        ]
    } else {
        let matrix = quantize_q8(&values, width);
        vec![
            stored(name.to_owned(), Dtype::I8, vec![rows, width], matrix.values),
            stored(scale, Dtype::F32, vec![rows], le_bytes(&matrix.scales)),
        ]
    })
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Stored {
    fn view(&self) -> Result<(&str, TensorView<'_>), safetensors::SafeTensorError> {
        let view = TensorView::new(self.dtype, self.shape.clone(), &self.bytes)?;
        Ok((&self.name, view))
    }
}
