//! Mean pooling against Hugging Face transformers in f64 (`tests/golden/model/make_embeddings.py`).

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, not in what tests share

use std::path::PathBuf;

use crossrank_model::{
    BiEncoder, Checkpoint, Device, MemorySource, ModelConfig, PackedPairs, Precision, WeightSource,
};
use pollster::block_on;
use safetensors::SafeTensors;

#[derive(serde::Deserialize)]
struct Golden {
    pairs: Vec<Input>,
}

#[derive(serde::Deserialize)]
struct Input {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
}

fn folder(fixture: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/model").join(fixture)
}

fn agrees(fixture: &str, checkpoint: Checkpoint) {
    let read = |name: &str| std::fs::read(folder(fixture).join(name)).unwrap();
    let golden: Golden = serde_json::from_slice(&read("golden.json")).unwrap();
    let expected: Vec<Vec<f64>> = serde_json::from_slice(&read("embeddings.json")).unwrap();
    let config = ModelConfig::from_json(&read("config.json")).unwrap();
    let model = BiEncoder::load(config, checkpoint, Precision::F32, &Device::Cpu).unwrap();
    let mut packed = PackedPairs::default();
    golden.pairs[..expected.len()].iter().for_each(|input| packed.push(&input.ids, &input.type_ids));
    let found = block_on(model.forward(&packed)).unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        // The promise of the f32 path, for values below 1.
        assert!((f64::from(*found) - expected).abs() < 2e-5, "{found} {expected}");
    }
}

#[test]
fn vectors_of_both_families_agree_with_transformers() {
    for fixture in ["bert", "xlmr"] {
        agrees(fixture, Checkpoint::open_folder(&folder(fixture)).unwrap());
    }
}

#[test]
fn a_checkpoint_of_the_encoder_alone_has_names_without_prefix() {
    let file = |shard: &str| {
        let bytes = std::fs::read(folder("bert").join(shard)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let bare = tensors
            .tensors()
            .into_iter()
            .filter_map(|(name, view)| Some((name.strip_prefix("bert.")?.to_owned(), view)));
        let bytes = safetensors::serialize(bare, None).unwrap();
        (shard.to_owned(), Box::new(MemorySource(bytes.into())) as Box<dyn WeightSource>)
    };
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    agrees("bert", Checkpoint::open(shards.map(file).into()).unwrap());
}
