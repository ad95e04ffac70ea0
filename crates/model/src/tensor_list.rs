//! The tensors that files say they hold: names, dtypes, shapes and places.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::form::Form;
use crate::header::{FileHeader, damaged};
use crate::layout::Expected;
use crate::quantized::{FORMAT_VERSION, Q4_BLOCK};
use crate::{ModelError, WrongTensor};

/// The tensors of all files of a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct TensorList {
    tensors: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

/// Where a tensor lies.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The file, counted from 0 in the order of adding.
    pub(crate) source: usize,
    pub(crate) form: Form,
    pub(crate) shape: Vec<usize>,
    pub(crate) range: Range<u64>,
}

impl TensorList {
    /// Adds the tensors of file number `source`.
    pub(crate) fn add(&mut self, source: usize, file: &str, header: FileHeader) -> Result<(), ModelError> {
        for (name, entry) in header.tensors {
            if self.tensors.contains_key(&name) {
                return Err(damaged(file, format!("tensor `{name}` is in another file as well")));
            }
            self.tensors.insert(name, Entry { source, ..entry });
        }
        self.metadata.extend(header.metadata);
        Ok(())
    }

    /// The `__metadata__` of all files.
    pub(crate) fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// All tensors in alphabetical order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.tensors.iter()
    }

    /// Gives tensors other names; those without one are left out.
    pub(crate) fn rename(&mut self, name: impl Fn(String) -> Option<String>) {
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = tensors.filter_map(|(old, entry)| Some((name(old)?, entry))).collect();
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    pub(crate) fn require(&self, name: &str) -> Result<&Entry, ModelError> {
        self.get(name).ok_or_else(|| ModelError::missing(name))
    }

    /// Compares the files with the tensors a model needs; quantised ones bring their scales.
    ///
    /// With `complete` false, more files are to come: what is missing so far is no error.
    pub(crate) fn check(&self, expected: &[Expected], complete: bool) -> Result<(), ModelError> {
        let mut unexpected: BTreeSet<&str> = self.tensors.keys().map(String::as_str).collect();
        let (mut missing, mut wrong, mut quantized) = (Vec::new(), Vec::new(), false);
        for Expected { name, shape, .. } in expected {
            let scale = scale_name(name);
            unexpected.remove(name.as_str());
            let Some(entry) = self.get(name) else {
                missing.push(name.clone());
                // Its scales may be in this file and it in one that is to come.
                if !complete {
                    unexpected.remove(scale.as_str());
                }
                continue;
            };
            wrong.extend(check_tensor(name, entry, shape));
            if let Some(shape) = scale_shape(entry.form, shape) {
                unexpected.remove(scale.as_str());
                quantized = true;
                match self.get(&scale) {
                    None => missing.push(scale),
                    Some(entry) => wrong.extend(check_scale(&scale, entry, &shape)),
                }
            }
        }
        // A buffer, not a weight: bge-reranker-base and -large carry it.
        let unexpected: Vec<String> =
            unexpected.into_iter().filter(|name| !is_buffer(name)).map(str::to_owned).collect();
        let format = self.metadata.get("crossrank_format").map_or("", String::as_str);
        if quantized && format != FORMAT_VERSION {
            return Err(ModelError::Unsupported {
                field: "crossrank_format",
                found: format!("{format:?}"),
                expected: format!("{FORMAT_VERSION:?}"),
            });
        }
        if !complete {
            missing.clear();
        }
        if missing.is_empty() && unexpected.is_empty() && wrong.is_empty() {
            return Ok(());
        }
        Err(ModelError::WeightsMismatch { missing, unexpected, wrong })
    }
}

/// True for a tensor that some checkpoints carry and no model computes with.
pub(crate) fn is_buffer(name: &str) -> bool {
    name.ends_with(".position_ids")
}

/// The tensor with the scales of quantised tensor `name`.
pub(crate) fn scale_name(name: &str) -> String {
    format!("{name}_scale")
}

/// The scales that belong to a quantised matrix of `shape`.
pub(crate) fn scale_shape(form: Form, shape: &[usize]) -> Option<(Form, Vec<usize>)> {
    match (form, shape) {
        (Form::I8, [rows, _]) => Some((Form::F32, vec![*rows])),
        (Form::U8, [rows, width]) => Some((Form::F16, vec![*rows, width / Q4_BLOCK])),
        _ => None,
    }
}

pub(crate) fn check_scale(
    name: &str,
    entry: &Entry,
    (form, shape): &(Form, Vec<usize>),
) -> Option<WrongTensor> {
    (entry.form != *form || entry.shape != *shape).then(|| wrong(name, entry, format!("{form:?} {shape:?}")))
}

fn check_tensor(name: &str, entry: &Entry, shape: &[usize]) -> Option<WrongTensor> {
    let stored: Vec<usize> = match (entry.form, shape) {
        (Form::F32 | Form::F16 | Form::BF16, shape) => shape.to_vec(),
        (Form::I8 | Form::Q8_0 | Form::Q4_0 | Form::Q6_K, [rows, width]) => vec![*rows, *width],
        (Form::U8, [rows, width]) if width.is_multiple_of(Q4_BLOCK) => vec![*rows, width / 2],
        _ => return Some(wrong(name, entry, format!("F32, F16 or BF16 {shape:?}"))),
    };
    (stored != entry.shape).then(|| wrong(name, entry, format!("{:?} {stored:?}", entry.form)))
}

fn wrong(name: &str, entry: &Entry, expected: String) -> WrongTensor {
    WrongTensor { name: name.to_owned(), found: format!("{:?} {:?}", entry.form, entry.shape), expected }
}
