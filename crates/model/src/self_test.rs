//! A tiny model with known logits: does a device compute what it should?
//!
//! Browsers only log what is wrong with a shader, and a driver that computes wrongly says nothing at all.

use crossrank_kernels::Device;

use crate::form::Form;
use crate::layout::{Expected, Role};
use crate::rows::Rows;
use crate::tensor_list::Entry;
use crate::weights::{Incoming, Keep, Weights};
use crate::{CrossEncoder, Family, Layout, ModelConfig, ModelError, PackedPairs, Precision};

/// Tokens of the pairs: two of one length, whose attention is computed together, and a short one.
const LENGTHS: [u32; 3] = [40, 7, 40];

/// The logits of Hugging Face transformers in f64: `tests/golden/model/self_test_logits.py`.
const LOGITS: [f64; 3] = [1.189_160_032_244_008_6, 1.009_342_013_214_414_4, 1.016_849_541_381_139_1];

/// Runs a tiny model on `device`; the largest relative difference |Δlogit| / max(1, |logit|).
///
/// # Errors
/// [`ModelError::Device`] and [`ModelError::LogitNotFinite`].
pub async fn self_test(precision: Precision, device: &Device) -> Result<f64, ModelError> {
    let config = config();
    let keep = Keep::new(Some(precision), device);
    let model = CrossEncoder::assemble(config.clone(), Layout::XlmRoberta, weights(&config, &keep)?, keep)?;
    let mut pairs = PackedPairs::default();
    for (pair, length) in LENGTHS.into_iter().enumerate() {
        let ids: Vec<u32> = (0..length).map(|token| 3 + (token * 31 + pair as u32 * 7) % 90).collect();
        pairs.push(&ids, &vec![0; ids.len()]);
    }
    let logits = model.forward(&pairs).await?;
    let differences = logits.iter().zip(LOGITS);
    let differences =
        differences.map(|(&found, expected)| (f64::from(found) - expected).abs() / expected.abs().max(1.0));
    Ok(differences.fold(0.0, f64::max))
}

fn config() -> ModelConfig {
    ModelConfig {
        family: Family::XlmRoberta,
        hidden_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 256,
        vocab_size: 97,
        max_position_embeddings: 66,
        unstored_positions: 0,
        type_vocab_size: 1,
        layer_norm_eps: 1e-5,
        pad_token_id: 1,
    }
}

/// Weights from a linear congruential generator (Knuth, TAOCP volume 2, 3.3.4, line 16).
fn weights(config: &ModelConfig, keep: &Keep) -> Result<Weights, ModelError> {
    let mut state = 1_u32;
    let mut weights = Weights::default();
    for Expected { name, shape, role } in Layout::XlmRoberta.tensors(config) {
        let (scale, middle) = match role {
            Role::Vector if name.ends_with("orm.weight") => (0.5, 1.0),
            Role::Vector => (0.2, 0.0),
            Role::WordTable | Role::Table => (1.0, 0.0),
            Role::Matrix | Role::Classifier => (0.4, 0.0),
        };
        let length = 4 * shape.iter().product::<usize>() as u64;
        let entry = Entry { source: 0, form: Form::F32, shape, range: 0..length };
        let mut tensor = Incoming::new(Rows::of(&name, &entry, Vec::new())?, role, keep)?;
        let mut row = Vec::with_capacity(tensor.rows.stride);
        while !tensor.is_complete() {
            row.clear();
            for _ in 0..tensor.rows.width {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let uniform = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
                row.extend_from_slice(&(middle + scale * uniform).to_le_bytes());
            }
            tensor.push(&row)?;
        }
        weights.place(name, tensor, keep);
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_passes_and_rounded_weights_are_noticed() {
        let differs = |precision| pollster::block_on(self_test(precision, &Device::Cpu)).unwrap();
        assert!(differs(Precision::F32) < 2e-6, "{}", differs(Precision::F32));
        assert!(differs(Precision::Q4) > 1e-3, "{}", differs(Precision::Q4));
    }
}
