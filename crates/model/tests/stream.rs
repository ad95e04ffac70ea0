//! Weights that arrive as a stream give the model that the same file gives when it is read in place.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use crossrank_model::{
    Checkpoint, CrossEncoder, Device, ModelConfig, ModelError, PackedPairs, Precision, WeightStream,
};
use pollster::block_on;

fn folder(fixture: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/model").join(fixture)
}

fn config(fixture: &str) -> ModelConfig {
    ModelConfig::from_json(&std::fs::read(folder(fixture).join("config.json")).unwrap()).unwrap()
}

/// The weight files of a fixture, the last shard first.
fn files(fixture: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder(fixture))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("model") && name.ends_with(".safetensors"))
        .map(|name| (name.clone(), std::fs::read(folder(fixture).join(name)).unwrap()))
        .collect();
    files.sort_by(|a, b| b.0.cmp(&a.0));
    files
}

fn streamed(
    fixture: &str,
    files: &[(String, Vec<u8>)],
    precision: Precision,
    piece: usize,
) -> Result<CrossEncoder, ModelError> {
    let mut stream = WeightStream::new(config(fixture), precision, &Device::Cpu);
    for (name, bytes) in files {
        stream.begin_file(name.clone(), bytes.len() as u64)?;
        bytes.chunks(piece).try_for_each(|piece| stream.push(piece))?;
    }
    stream.finish()
}

fn logits(model: &CrossEncoder) -> Vec<f32> {
    let mut pairs = PackedPairs::default();
    for length in [5_u32, 9, 3] {
        let ids: Vec<u32> = (0..length).map(|token| 2 + token * 7 % 30).collect();
        pairs.push(&ids, &vec![0; ids.len()]);
    }
    block_on(model.forward(&pairs)).unwrap()
}

#[test]
fn a_stream_gives_the_very_model_of_the_file_whatever_its_pieces() {
    for fixture in ["xlmr", "xlmr-flash", "bert", "xlmr-f16", "xlmr-small-embeddings"] {
        let files = files(fixture);
        for precision in [Precision::F32, Precision::Q8, Precision::Q4] {
            let checkpoint = Checkpoint::open_folder(&folder(fixture)).unwrap();
            let read = CrossEncoder::load(config(fixture), checkpoint, precision, &Device::Cpu).unwrap();
            for piece in [7, 1021, 65_536, usize::MAX] {
                let streamed = streamed(fixture, &files, precision, piece).unwrap();
                assert_eq!(logits(&streamed), logits(&read), "{fixture} {precision:?} {piece}");
            }
        }
    }
}

#[test]
fn what_is_kept_is_counted() {
    let (files, config) = (files("xlmr"), config("xlmr"));
    let kept = |precision| {
        let mut stream = WeightStream::new(config.clone(), precision, &Device::Cpu);
        stream.begin_file("model.safetensors", files[0].1.len() as u64).unwrap();
        stream.push(&files[0].1).unwrap();
        stream.kept_bytes()
    };
    let (f32, q8, q4) = (kept(Precision::F32), kept(Precision::Q8), kept(Precision::Q4));
    // The file, but for its header.
    assert!(f32 <= files[0].1.len() as u64 && f32 > files[0].1.len() as u64 * 9 / 10, "{f32}");
    // On the CPU only tables have 4 bits.
    assert!(q8 < f32 * 2 / 5 && q4 < q8, "{f32} {q8} {q4}");
}

#[test]
fn a_stream_that_ends_early_or_late_is_damage() {
    let (name, whole) = files("xlmr").remove(0);
    let cut = |length: usize, claimed: usize| {
        let mut stream = WeightStream::new(config("xlmr"), Precision::F32, &Device::Cpu);
        stream.begin_file(name.clone(), claimed as u64)?;
        stream.push(&whole[..length])?;
        stream.finish().map(drop)
    };
    cut(whole.len(), whole.len()).unwrap();
    for length in [1, 7, 8, 9, 100, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(cut(length, whole.len()), Err(ModelError::Damaged { .. })), "{length}");
        assert!(matches!(cut(length, length), Err(ModelError::Damaged { .. })), "a file of {length}");
    }
    assert!(matches!(cut(whole.len(), whole.len() - 1), Err(ModelError::Damaged { .. })));
    assert!(matches!(cut(0, 0), Err(ModelError::WeightsMismatch { .. })));
}

#[test]
fn a_shard_that_never_comes_is_named_by_its_tensors() {
    let mut files = files("bert");
    assert!(files.len() > 1, "the fixture is sharded");
    files.pop();
    let Err(ModelError::WeightsMismatch { missing, unexpected, .. }) =
        streamed("bert", &files, Precision::F32, usize::MAX)
    else {
        panic!("it must be refused")
    };
    assert!(!missing.is_empty() && unexpected.is_empty(), "{missing:?}");
}

#[test]
fn a_header_of_impossible_length_is_refused_at_once() {
    let mut stream = WeightStream::new(config("xlmr"), Precision::F32, &Device::Cpu);
    stream.begin_file("model.safetensors", u64::MAX).unwrap();
    let error = stream.push(&(1_u64 << 60).to_le_bytes()).unwrap_err();
    assert!(matches!(error, ModelError::Damaged { .. }), "{error}");
    let mut stream = WeightStream::new(config("xlmr"), Precision::F32, &Device::Cpu);
    assert!(matches!(stream.push(&[0]), Err(ModelError::Damaged { .. })), "bytes before a name");
}

#[test]
fn a_flipped_bit_in_the_header_never_panics() {
    let (name, whole) = files("xlmr").remove(0);
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for bit in 0..header * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = streamed("xlmr", &[(name.clone(), bytes)], Precision::F32, usize::MAX);
    }
}
