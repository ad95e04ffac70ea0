//! A matrix of numbers, in memory or on a GPU.

#[cfg(feature = "gpu")]
use burn::tensor::{DType, Tensor, TensorData};

use crate::{Device, Segments};

/// Why rows of two devices never meet: a model is on one.
pub(crate) const MIXED: &str = "rows and weights of one model are on one device";

/// A matrix, row by row: hidden states `[tokens, hidden]`, or a weight `[out, in]`.
#[derive(Debug, Clone)]
pub enum Rows {
    /// In memory, in f32.
    Cpu {
        /// All rows, end to end.
        values: Vec<f32>,
        /// Columns.
        width: usize,
    },
    /// On a GPU, in f32 or f16.
    #[cfg(feature = "gpu")]
    Gpu(Box<Tensor<2>>),
}

impl Rows {
    /// `values` as rows of `width`, on `device`; in f16 if asked for, on a GPU.
    pub fn new(values: Vec<f32>, width: usize, f16: bool, device: &Device) -> Self {
        match device {
            Device::Cpu => {
                let _ = f16;
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => {
                let shape = [values.len() / width, width];
                let (data, dtype) = match f16 {
                    // Halved here, so that the device never holds it twice.
                    true => {
                        let halves = values.into_iter().map(burn::tensor::f16::from_f32).collect();
                        (TensorData::new(halves, shape), DType::F16)
                    }
                    false => (TensorData::new(values, shape), DType::F32),
                };
                let rows = Tensor::from_data(data, (device, dtype));
                // A GPU's queue would hold the data of many matrices beside them. The next operation reports a failure.
                let _ = device.flush();
                Rows::Gpu(Box::new(rows))
            }
        }
    }

    /// In f16 on a GPU, which must have it; as they are in memory.
    pub fn to_f16(self) -> Self {
        match self {
            #[cfg(feature = "gpu")]
            Rows::Gpu(rows) => Rows::Gpu(Box::new(rows.cast(DType::F16))),
            rows @ Rows::Cpu { .. } => rows,
        }
    }

    /// The first row of every segment: `[rows, width]` → `[segments, width]`
    pub fn first_of(&self, segments: &Segments) -> Self {
        match self {
            Rows::Cpu { values, width } => {
                let row = |start: usize| &values[start * width..(start + 1) * width];
                Rows::Cpu {
                    values: segments.starts().into_iter().flat_map(row).copied().collect(),
                    width: *width,
                }
            }
            #[cfg(feature = "gpu")]
            Rows::Gpu(rows) => {
                let row = |start| rows.as_ref().clone().slice_dim(0, start..start + 1);
                Rows::Gpu(Box::new(Tensor::cat(segments.starts().into_iter().map(row).collect(), 0)))
            }
        }
    }

    /// The first `row` rows, and the rest.
    pub fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Rows::Cpu { mut values, width } => {
                let rest = values.split_off(row * width);
                (Rows::Cpu { values, width }, Rows::Cpu { values: rest, width })
            }
            #[cfg(feature = "gpu")]
            Rows::Gpu(rows) => {
                let count = rows.dims()[0];
                let part = |range| Rows::Gpu(Box::new(rows.as_ref().clone().slice_dim(0, range)));
                (part(0..row), part(row..count))
            }
        }
    }

    /// These rows, then those of `other`.
    pub fn stacked(self, other: Self) -> Self {
        match (self, other) {
            (Rows::Cpu { mut values, width }, Rows::Cpu { values: rest, .. }) => {
                values.extend(rest);
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            (Rows::Gpu(first), Rows::Gpu(second)) => {
                Rows::Gpu(Box::new(Tensor::cat(vec![*first, *second], 0)))
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("{MIXED}"),
        }
    }

    /// tanh of every number.
    pub fn tanh(self) -> Self {
        match self {
            Rows::Cpu { mut values, width } => {
                values.iter_mut().for_each(|value| *value = value.tanh());
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            Rows::Gpu(rows) => Rows::Gpu(Box::new(rows.tanh())),
        }
    }

    /// All numbers, row by row, in f32.
    ///
    /// # Errors
    /// What the GPU's driver says.
    pub async fn read(self) -> Result<Vec<f32>, String> {
        match self {
            Rows::Cpu { values, .. } => Ok(values),
            #[cfg(feature = "gpu")]
            Rows::Gpu(rows) => {
                let rows = rows.cast(DType::F32);
                let data = rows.into_data_async().await.map_err(|error| error.to_string())?;
                data.try_into_vec::<f32>().map_err(|error| error.to_string())
            }
        }
    }
}
