//! Damaged and hostile files: a typed error each time, never a panic.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::borrow::Cow;
use std::collections::BTreeMap;

use crossrank_model::{
    Checkpoint, CrossEncoder, Device, MemorySource, ModelConfig, ModelError, PackedPairs, Precision,
    WeightSource,
};
use pollster::block_on;

const CONFIG: &str = r#"{"model_type":"bert","architectures":["BertForSequenceClassification"],"hidden_size":8,
    "num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,"vocab_size":10,
    "max_position_embeddings":16,"type_vocab_size":2,"layer_norm_eps":1e-12}"#;

/// A complete one-layer BERT: name → (shape, values).
fn tensors() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut tensors = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize]| {
        let values = (0..shape.iter().product()).map(|index: usize| (index % 7) as f32 * 0.1 - 0.3).collect();
        tensors.insert(name.to_owned(), (shape.to_vec(), values));
    };
    add("bert.embeddings.word_embeddings.weight", &[10, 8]);
    add("bert.embeddings.position_embeddings.weight", &[16, 8]);
    add("bert.embeddings.token_type_embeddings.weight", &[2, 8]);
    let layer = "bert.encoder.layer.0";
    let linear = [
        ("bert.pooler.dense".to_owned(), 8, 8),
        ("classifier".to_owned(), 1, 8),
        (format!("{layer}.attention.self.query"), 8, 8),
        (format!("{layer}.attention.self.key"), 8, 8),
        (format!("{layer}.attention.self.value"), 8, 8),
        (format!("{layer}.attention.output.dense"), 8, 8),
        (format!("{layer}.intermediate.dense"), 16, 8),
        (format!("{layer}.output.dense"), 8, 16),
    ];
    for (name, outputs, inputs) in linear {
        add(&format!("{name}.weight"), &[outputs, inputs]);
        add(&format!("{name}.bias"), &[outputs]);
    }
    for name in ["bert.embeddings", &format!("{layer}.attention.output"), &format!("{layer}.output")] {
        add(&format!("{name}.LayerNorm.weight"), &[8]);
        add(&format!("{name}.LayerNorm.bias"), &[8]);
    }
    tensors
}

fn serialize(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = tensors.iter().map(|(name, (shape, _))| {
        let dtype = safetensors::Dtype::F32;
        (name, safetensors::tensor::TensorView::new(dtype, shape.clone(), &bytes[name]).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint, ModelError> {
    let source: Box<dyn WeightSource> = Box::new(MemorySource(Cow::Owned(bytes)));
    Checkpoint::open(vec![("model.safetensors".to_owned(), source)])
}

fn load(bytes: Vec<u8>) -> Result<CrossEncoder, ModelError> {
    let config = ModelConfig::from_json(CONFIG.as_bytes()).unwrap();
    CrossEncoder::load(config, open(bytes)?, Precision::F32, &Device::Cpu)
}

fn score(model: &CrossEncoder, ids: &[u32], type_ids: &[u32]) -> Result<Vec<f32>, ModelError> {
    let mut pairs = PackedPairs::default();
    pairs.push(ids, type_ids);
    block_on(model.forward(&pairs))
}

/// A file of this header and as many zero bytes of data.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn the_complete_file_loads_and_scores() {
    let model = load(serialize(&tensors())).unwrap();
    assert!(score(&model, &[1, 2, 3], &[0, 0, 1]).unwrap()[0].is_finite());
}

#[test]
fn every_truncation_is_damage() {
    let whole = serialize(&tensors());
    for length in [0, 1, 7, 8, 9, 100, whole.len() / 2, whole.len() - 1] {
        let error = open(whole[..length].to_vec()).err().unwrap();
        assert!(matches!(error, ModelError::Damaged { .. }), "{length}: {error}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(open(longer), Err(ModelError::Damaged { .. })));
}

#[test]
fn a_flipped_bit_in_the_header_never_panics() {
    let whole = serialize(&tensors());
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for bit in 0..header * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(model) = load(bytes) {
            let _ = score(&model, &[1, 2, 3], &[0, 0, 1]);
        }
    }
}

#[test]
fn refuses_headers_that_lie() {
    let tensor = |offsets: &str, shape: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let cases = [
        ("a header of 2^60 bytes", (1u64 << 60).to_le_bytes().to_vec()),
        ("a header of 2^64 - 1 bytes", u64::MAX.to_le_bytes().to_vec()),
        ("no JSON", with_header("{{{{", 0)),
        ("a list", with_header("[1,2]", 0)),
        ("offsets behind the end", with_header(&tensor("[0,16]", "[4]"), 8)),
        ("offsets backwards", with_header(&tensor("[16,0]", "[4]"), 16)),
        ("a hole", with_header(&tensor("[4,20]", "[4]"), 20)),
        ("a shape that overflows", with_header(&tensor("[0,16]", "[4611686018427387904,4]"), 16)),
        ("a shape of another size", with_header(&tensor("[0,16]", "[5]"), 16)),
        (
            "overlapping tensors",
            with_header(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12,
            ),
        ),
        ("an unknown dtype", with_header(r#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, 4)),
    ];
    for (what, bytes) in cases {
        assert!(matches!(open(bytes), Err(ModelError::Damaged { .. })), "{what}");
    }
}

#[test]
fn lists_every_missing_unexpected_and_wrong_tensor_at_once() {
    let mut tensors = tensors();
    tensors.remove("bert.encoder.layer.0.output.dense.bias");
    tensors.remove("classifier.weight");
    tensors.insert("lm_head.weight".into(), (vec![1], vec![0.0]));
    tensors.insert("bert.embeddings.position_ids".into(), (vec![1, 16], vec![0.0; 16]));
    tensors.insert("bert.pooler.dense.weight".into(), (vec![4, 8], vec![0.0; 32]));
    let Err(ModelError::WeightsMismatch { missing, unexpected, wrong }) = load(serialize(&tensors)) else {
        panic!("the file must be refused");
    };
    assert_eq!(missing, ["bert.encoder.layer.0.output.dense.bias", "classifier.weight"].map(str::to_owned));
    assert_eq!(unexpected, ["lm_head.weight"]);
    assert_eq!((wrong[0].name.as_str(), wrong[0].found.as_str()), ("bert.pooler.dense.weight", "F32 [4, 8]"));
}

#[test]
fn names_the_tensor_that_holds_nan() {
    for (name, label) in [
        ("bert.encoder.layer.0.output.dense.weight", "bert.encoder.layer.0.output.dense.weight, row 0"),
        ("classifier.bias", "classifier.bias"),
    ] {
        let mut tensors = tensors();
        tensors.get_mut(name).unwrap().1[0] = f32::NAN;
        let Err(ModelError::NotFinite { tensor }) = load(serialize(&tensors)) else { panic!("{name}") };
        assert_eq!(tensor, label);
    }
}

#[test]
fn names_the_embedding_row_that_holds_an_infinity_when_it_is_used() {
    let mut tensors = tensors();
    tensors.get_mut("bert.embeddings.word_embeddings.weight").unwrap().1[3 * 8] = f32::INFINITY;
    let model = load(serialize(&tensors)).unwrap();
    assert!(score(&model, &[1, 2], &[0, 0]).is_ok());
    let Err(ModelError::NotFinite { tensor }) = score(&model, &[1, 3], &[0, 0]) else {
        panic!("row 3 was used")
    };
    assert_eq!(tensor, "bert.embeddings.word_embeddings.weight, row 3");
}

#[test]
fn a_result_that_overflows_is_an_error_not_a_score() {
    let mut tensors = tensors();
    tensors.get_mut("bert.pooler.dense.bias").unwrap().1.fill(100.0);
    tensors.get_mut("classifier.weight").unwrap().1.fill(f32::MAX);
    let model = load(serialize(&tensors)).unwrap();
    assert!(matches!(score(&model, &[1, 2, 3], &[0, 0, 1]), Err(ModelError::LogitNotFinite)));
}

#[test]
fn refuses_inputs_the_model_has_no_rows_for() {
    let model = load(serialize(&tensors())).unwrap();
    assert!(matches!(
        score(&model, &[10], &[0]),
        Err(ModelError::TokenOutOfRange { id: 10, vocab_size: 10 })
    ));
    assert!(matches!(score(&model, &[1], &[2]), Err(ModelError::TypeOutOfRange { id: 2, .. })));
    assert!(matches!(
        score(&model, &[1; 17], &[0; 17]),
        Err(ModelError::TooLong { tokens: 17, max_tokens: 16 })
    ));
    assert!(matches!(score(&model, &[], &[]), Err(ModelError::EmptyPair)));
    assert!(block_on(model.forward(&PackedPairs::default())).unwrap().is_empty());
}

#[test]
fn quantized_rows_without_their_scales_are_refused_even_unchecked() {
    let read = |dtype, shape: &[usize], scales: &[f32]| {
        let stored = vec![1; shape.iter().product()];
        let scale_bytes: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new;
        let weight = view(dtype, shape.to_vec(), &stored).unwrap();
        let scale = view(safetensors::Dtype::F32, vec![scales.len()], &scale_bytes).unwrap();
        let file = safetensors::serialize([("w", weight), ("w_scale", scale)], None).unwrap();
        let source = Box::new(MemorySource(Cow::Owned(file))) as Box<dyn WeightSource>;
        Checkpoint::open(vec![("file".to_owned(), source)]).unwrap().read_f32("w", Precision::F32)
    };
    assert_eq!(read(safetensors::Dtype::I8, &[2, 1], &[0.5, 2.0]).unwrap(), [0.5, 2.0]);
    // Found by fuzzing: more rows than scales.
    assert!(matches!(
        read(safetensors::Dtype::I8, &[3, 2], &[0.5, 2.0]),
        Err(ModelError::WeightsMismatch { .. })
    ));
    assert!(matches!(read(safetensors::Dtype::U8, &[2, 3], &[0.5, 2.0]), Err(ModelError::Damaged { .. })));
    assert!(matches!(read(safetensors::Dtype::I8, &[2, 0], &[0.5, 2.0]), Err(ModelError::Damaged { .. })));
}

#[test]
fn a_shard_index_cannot_name_files_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    for outside in ["../weights.safetensors", "/etc/passwd", "..", "a/b.safetensors"] {
        let index = format!(r#"{{"weight_map":{{"a":"{outside}"}}}}"#);
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        let error = Checkpoint::open_folder(folder.path()).err().unwrap();
        assert!(matches!(error, ModelError::Damaged { .. }), "{outside}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::open_folder(folder.path()).err().unwrap();
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}
