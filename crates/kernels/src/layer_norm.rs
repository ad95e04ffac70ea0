//! LayerNorm (Ba et al. 2016).

use tracing::trace_span;

#[cfg(feature = "gpu")]
use crate::gpu::Norm;
#[cfg(feature = "gpu")]
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
        match (&self.0, rows) {
            #[cfg(feature = "gpu")]
            (Kind::Gpu(norm), Rows::Gpu(rows)) => Rows::Gpu(norm.forward(&rows, rows.is_f16())),
            (_, Rows::Cpu { mut values, width }) => {
                self.add_norm(&mut values, None);
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            _ => unreachable!("{MIXED}"),
        }
    }

    /// Of `rows`, to f16 on a GPU, which must have it: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward_to_f16(&self, rows: Rows) -> Rows {
        match (&self.0, rows) {
            #[cfg(feature = "gpu")]
            (Kind::Gpu(norm), Rows::Gpu(rows)) => Rows::Gpu(norm.forward(&rows, true)),
            (_, rows) => self.forward(rows),
        }
    }

    /// Of `rows + residual` on the CPU, into `rows`.
    pub(crate) fn add_norm(&self, rows: &mut [f32], residual: Option<&[f32]>) {
        let _span = trace_span!("norm").entered();
        match &self.0 {
            Kind::Cpu { weight, bias, epsilon } => {
                crate::cpu::add_norm(rows, residual, weight, bias, *epsilon as f32);
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(_) => unreachable!("{MIXED}"),
        }
    }
}
