//! Against Hugging Face transformers in f64: `tests/golden/model` holds checkpoints, inputs and results.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use crossrank_model::{
    Checkpoint, CrossEncoder, Device, HiddenStates, ModelConfig, PackedPairs, Precision, Stage,
};
use pollster::block_on;
use safetensors::SafeTensors;

/// The promise of the f32 path: |Δlogit| ≤ 2e-5 × max(1, |logit|).
const TOLERANCE: f64 = 2e-5;

#[derive(serde::Deserialize)]
struct Golden {
    pairs: Vec<Pair>,
    logits: Vec<f64>,
    mutants: std::collections::BTreeMap<String, f64>,
}

#[derive(serde::Deserialize)]
struct Pair {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
}

fn folder(fixture: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/model").join(fixture)
}

fn golden(fixture: &str) -> Golden {
    serde_json::from_slice(&std::fs::read(folder(fixture).join("golden.json")).unwrap()).unwrap()
}

fn load(fixture: &str, precision: Precision) -> CrossEncoder {
    let folder = folder(fixture);
    let config = ModelConfig::from_json(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    CrossEncoder::load(config, Checkpoint::open_folder(&folder).unwrap(), precision, &Device::Cpu).unwrap()
}

fn packed<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> PackedPairs {
    let mut packed = PackedPairs::default();
    pairs.into_iter().for_each(|pair| packed.push(&pair.ids, &pair.type_ids));
    packed
}

fn relative(found: f32, expected: f64) -> f64 {
    (f64::from(found) - expected).abs() / expected.abs().max(1.0)
}

fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(&found, &expected)| relative(found, expected)).fold(0.0, f64::max)
}

fn agrees_with_transformers(fixture: &str) {
    let (golden, model) = (golden(fixture), load(fixture, Precision::F32));
    let logits = block_on(model.forward(&packed(&golden.pairs))).unwrap();
    let worst = worst(&logits, &golden.logits);
    println!("{fixture}: {} pairs, largest relative difference {worst:.1e}", logits.len());
    assert!(worst <= TOLERANCE, "{fixture}: {worst:e}");
    // What the same pairs do to wrong mathematics, as the script that made them measured it.
    for mutant in ["tanh_gelu", "positions_off_by_one", "query_and_key_swapped", "no_padding_mask"] {
        assert!(golden.mutants[mutant] > 20.0 * TOLERANCE, "{fixture}: {mutant} would not be noticed");
    }
    if fixture == "xlmr-small-embeddings" {
        assert!(golden.mutants["eps_1e-12"] > 20.0 * TOLERANCE);
    }
}

#[test]
fn xlm_roberta_agrees_with_transformers() {
    agrees_with_transformers("xlmr");
}

#[test]
fn the_flash_layout_in_bf16_agrees_with_transformers() {
    agrees_with_transformers("xlmr-flash");
}

#[test]
fn sharded_bert_agrees_with_transformers() {
    agrees_with_transformers("bert");
}

#[test]
fn f16_weights_and_wide_heads_agree_with_transformers() {
    agrees_with_transformers("xlmr-f16");
}

#[test]
fn the_epsilon_under_small_embeddings_agrees_with_transformers() {
    agrees_with_transformers("xlmr-small-embeddings");
}

#[test]
fn every_stage_agrees_with_transformers() {
    for fixture in ["xlmr", "xlmr-flash", "bert", "xlmr-f16", "xlmr-small-embeddings"] {
        let (golden, model) = (golden(fixture), load(fixture, Precision::F32));
        let bytes = std::fs::read(folder(fixture).join("golden.safetensors")).unwrap();
        let stages = SafeTensors::deserialize(&bytes).unwrap();
        for (index, pair) in golden.pairs.iter().take(3).enumerate() {
            let mut seen = 0;
            let mut compare = |stage: Stage, hidden: &HiddenStates| {
                let name = match stage {
                    Stage::Embeddings => format!("pair.{index}.embeddings"),
                    Stage::Layer(layer) => format!("pair.{index}.layer.{layer}"),
                };
                let found: Vec<f32> = block_on(hidden.clone().read()).unwrap();
                let expected = stages.tensor(&name).unwrap();
                let expected: Vec<f64> = expected
                    .data()
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|value| f64::from(f32::from_le_bytes(*value)))
                    .collect();
                let worst = worst(&found, &expected);
                assert!(worst <= TOLERANCE, "{fixture} {name}: {worst:e}");
                seen += 1;
            };
            block_on(model.forward_observed(&packed([pair]), &mut compare)).unwrap();
            assert_eq!(seen, 1 + model.config().num_hidden_layers);
        }
    }
}

#[test]
fn neighbours_and_their_order_never_change_a_logit() {
    for fixture in ["xlmr", "bert"] {
        let (golden, model) = (golden(fixture), load(fixture, Precision::F32));
        let together = block_on(model.forward(&packed(&golden.pairs))).unwrap();
        let mut reversed = block_on(model.forward(&packed(golden.pairs.iter().rev()))).unwrap();
        reversed.reverse();
        for (index, pair) in golden.pairs.iter().enumerate() {
            let alone = block_on(model.forward(&packed([pair]))).unwrap()[0];
            // The order of summation in a matrix product depends on its height, nothing else does.
            assert!(relative(together[index], f64::from(alone)) <= 1e-5, "{fixture} {index}");
            assert!(relative(reversed[index], f64::from(alone)) <= 1e-5, "{fixture} {index}");
        }
    }
}

#[test]
fn quantised_weights_keep_the_order_of_clear_differences() {
    let (golden, exact) = (golden("xlmr"), load("xlmr", Precision::F32));
    let exact = block_on(exact.forward(&packed(&golden.pairs))).unwrap();
    for (precision, bound) in [(Precision::Q8, 0.35), (Precision::Q4, 4.0)] {
        let rounded = block_on(load("xlmr", precision).forward(&packed(&golden.pairs))).unwrap();
        let mean: f32 =
            exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).sum::<f32>() / exact.len() as f32;
        // Random weights with peaked attention are the worst case: measured 0.1 and 1.6.
        assert!(mean > 0.0 && mean < bound, "{precision:?}: {mean}");
    }
}
