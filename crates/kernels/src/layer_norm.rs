//! LayerNorm (Ba et al. 2016).

use tracing::trace_span;

#[cfg(feature = "gpu")]
use crate::gpu::Norm;
use crate::rows::MIXED;
use crate::{Device, Rows};

/// LayerNorm over each row, computed in f32 whatever the rows are in.
pub struct LayerNorm(Kind);

enum Kind {
    Cpu {
        weight: Vec<f32>,
        bias: Vec<f32>,
        epsilon: f64,
    },
    #[cfg(feature = "gpu")]
    Gpu(Box<Norm>),
}

impl LayerNorm {
    /// A LayerNorm on `device`.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, epsilon: f64, device: &Device) -> Self {
        Self(match device {
            Device::Cpu => Kind::Cpu { weight, bias, epsilon },
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => {
                let vector = |values: Vec<f32>| gpu.weight(&values, values.len(), false);
                let (weight, bias) = (vector(weight), vector(bias));
                Kind::Gpu(Box::new(Norm { weight, bias, epsilon: epsilon as f32 }))
            }
        })
    }

    /// Of `rows`: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, rows: Rows) -> Rows {
        self.forward_sum(rows, None)
    }

    /// Of `rows`, to f16 on a GPU, which must have it: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward_to_f16(&self, rows: Rows) -> Rows {
        match (&self.0, rows) {
            #[cfg(feature = "gpu")]
            (Kind::Gpu(norm), Rows::Gpu(rows)) => Rows::Gpu(norm.forward(&rows, true)),
            (_, rows) => self.forward(rows),
        }
    }

    /// Of `rows + residual`: `[rows, hidden]` → `[rows, hidden]`
    pub(crate) fn forward_sum(&self, rows: Rows, residual: Option<&Rows>) -> Rows {
        let _span = trace_span!("norm").entered();
        match (&self.0, rows, residual) {
            (Kind::Cpu { weight, bias, epsilon }, Rows::Cpu { mut values, width }, residual) => {
                let residual = match residual {
                    Some(Rows::Cpu { values, .. }) => Some(values.as_slice()),
                    _ => None,
                };
                crate::cpu::add_norm(&mut values, residual, weight, bias, *epsilon as f32);
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            (Kind::Gpu(norm), Rows::Gpu(rows), None) => Rows::Gpu(norm.forward(&rows, rows.is_f16())),
            #[allow(unreachable_patterns)]
            _ => unreachable!("{MIXED}"),
        }
    }
}
