//! A matrix of numbers, in memory or on a GPU.

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
    Gpu(crate::gpu::Matrix),
}

impl Rows {
    /// `values` as rows of `width`, on `device`.
    pub fn new(values: Vec<f32>, width: usize, device: &Device) -> Self {
        match device {
            Device::Cpu => Rows::Cpu { values, width },
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Rows::Gpu(gpu.input(&values, width)),
        }
    }

    /// A weight with rows of `width`, on `device`; in f16 if asked for, on a GPU.
    pub fn weight(values: Vec<f32>, width: usize, f16: bool, device: &Device) -> Self {
        match device {
            Device::Cpu => {
                let _ = f16;
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Rows::Gpu(gpu.weight(&values, width, f16)),
        }
    }

    /// The first `row` rows of a weight in memory, and the rest.
    pub fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Rows::Cpu { mut values, width } => {
                let rest = values.split_off(row * width);
                (Rows::Cpu { values, width }, Rows::Cpu { values: rest, width })
            }
            #[cfg(feature = "gpu")]
            Rows::Gpu(_) => unreachable!("a GPU's weights stay together"),
        }
    }

    /// A weight with these rows, then those of `other`.
    pub fn stacked(self, other: Self) -> Self {
        match (self, other) {
            (Rows::Cpu { mut values, width }, Rows::Cpu { values: rest, .. }) => {
                values.extend(rest);
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            (Rows::Gpu(first), Rows::Gpu(second)) => Rows::Gpu(crate::gpu::stacked(&first, &second)),
            #[allow(unreachable_patterns)]
            _ => unreachable!("{MIXED}"),
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
            Rows::Gpu(rows) => Rows::Gpu(crate::gpu::gather(rows, &segments.starts())),
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
            Rows::Gpu(rows) => rows.read().await,
        }
    }
}
