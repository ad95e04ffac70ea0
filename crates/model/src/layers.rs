//! The two kinds of layer everything is made of, from their weights.

use crossrank_kernels::{LayerNorm, Linear};

use crate::weights::{Keep, Weights};
use crate::{ModelConfig, ModelError};

/// The linear layer `name`.
pub(crate) fn linear(weights: &mut Weights, name: &str, keep: &Keep) -> Result<Linear, ModelError> {
    let weight = weights.matrix(&format!("{name}.weight"))?;
    Ok(weight.into_linear(weights.vector(&format!("{name}.bias"))?, keep))
}

/// The LayerNorm `name`.
pub(crate) fn norm(
    weights: &mut Weights,
    name: &str,
    config: &ModelConfig,
    keep: &Keep,
) -> Result<LayerNorm, ModelError> {
    let mut vector = |part| weights.vector(&format!("{name}.{part}"));
    Ok(LayerNorm::new(vector("weight")?, vector("bias")?, config.layer_norm_eps, &keep.device))
}
