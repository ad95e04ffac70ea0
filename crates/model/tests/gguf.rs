//! GGUF files against the `gguf` package and transformers in f64 (`tests/golden/gguf/make_golden.py`).

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crossrank_model::{
    Checkpoint, CrossEncoder, Device, GgufHeader, Layout, MemorySource, ModelConfig, ModelError, PackedPairs,
    Precision, WeightSource, WeightStream,
};
use pollster::block_on;

const FIXTURES: [&str; 3] = ["xlmr-f16", "xlmr-q8_0", "xlmr-flash-q4_0"];

#[derive(serde::Deserialize)]
struct Golden {
    pairs: Vec<Pair>,
    logits: Vec<f64>,
}

#[derive(serde::Deserialize)]
struct Pair {
    ids: Vec<u32>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/gguf")
}

fn golden(fixture: &str) -> Golden {
    let all = std::fs::read(folder().join("golden.json")).unwrap();
    serde_json::from_slice::<BTreeMap<String, Golden>>(&all).unwrap().remove(fixture).unwrap()
}

fn bytes(fixture: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{fixture}.gguf"))).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint, ModelError> {
    let source: Box<dyn WeightSource> = Box::new(MemorySource(Cow::Owned(bytes)));
    Checkpoint::open(vec![("model.gguf".to_owned(), source)])
}

fn load(bytes: Vec<u8>, precision: impl Into<Option<Precision>>) -> Result<CrossEncoder, ModelError> {
    let mut checkpoint = open(bytes)?;
    let config = ModelConfig::from_gguf(&checkpoint.take_gguf().unwrap())?;
    CrossEncoder::load(config, checkpoint, precision, &Device::Cpu)
}

fn streamed(bytes: &[u8], precision: Precision, piece: usize) -> Result<(CrossEncoder, u64), ModelError> {
    let header = GgufHeader::read("model.gguf", bytes, bytes.len() as u64)?.unwrap();
    let config = ModelConfig::from_gguf(&header.metadata)?;
    let mut stream = WeightStream::new(config, precision, &Device::Cpu);
    stream.begin_gguf("model.gguf", bytes.len() as u64, header)?;
    bytes.chunks(piece).try_for_each(|piece| stream.push(piece))?;
    let kept = stream.kept_bytes();
    Ok((stream.finish()?, kept))
}

fn logits(model: &CrossEncoder, pairs: &[Pair]) -> Vec<f32> {
    let mut packed = PackedPairs::default();
    pairs.iter().for_each(|pair| packed.push(&pair.ids, &vec![0; pair.ids.len()]));
    block_on(model.forward(&packed)).unwrap()
}

fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences = found
        .iter()
        .zip(expected)
        .map(|(&found, &expected)| (f64::from(found) - expected).abs() / expected.abs().max(1.0));
    differences.fold(0.0, f64::max)
}

#[test]
fn gives_transformers_logits_of_what_the_file_holds() {
    for fixture in FIXTURES {
        let golden = golden(fixture);
        let model = load(bytes(fixture), Precision::F32).unwrap();
        let worst = worst(&logits(&model, &golden.pairs), &golden.logits);
        println!("{fixture}: largest relative difference {worst:.1e}");
        // The promise of the f32 path.
        assert!(worst <= 2e-5, "{fixture}: {worst:e}");
    }
    assert_eq!(load(bytes("xlmr-q8_0"), Precision::F32).unwrap().layout(), Layout::XlmRoberta);
    assert_eq!(load(bytes("xlmr-flash-q4_0"), Precision::F32).unwrap().layout(), Layout::Flash);
}

#[test]
fn integers_are_kept_as_they_are_where_as_many_bits_are_asked_for() {
    for fixture in ["xlmr-q8_0", "xlmr-flash-q4_0"] {
        let golden = golden(fixture);
        let whole = bytes(fixture);
        let (model, kept) = streamed(&whole, Precision::F32, 1 << 16).unwrap();
        let worst = worst(&logits(&model, &golden.pairs), &golden.logits);
        assert!(worst <= 2e-5, "{fixture}: {worst:e}");
        assert!(kept < whole.len() as u64, "{fixture}: {kept} bytes kept of {}", whole.len());
    }
    // Fewer bits than the file has: rounded, and smaller.
    let (golden, whole) = (golden("xlmr-q8_0"), bytes("xlmr-q8_0"));
    let (model, kept) = streamed(&whole, Precision::Q4, 1 << 16).unwrap();
    assert!(worst(&logits(&model, &golden.pairs), &golden.logits) > 1e-3);
    // Its matrices have 8 bits on the CPU, whatever is asked for; tables have 4.
    assert!(kept < streamed(&whole, Precision::Q8, 1 << 16).unwrap().1);
}

#[test]
fn integers_are_multiplied_as_integers_unless_floats_are_asked_for() {
    for fixture in ["xlmr-q8_0", "xlmr-flash-q4_0"] {
        let golden = golden(fixture);
        // Random weights with peaked attention are the worst case: measured 0.4 and, with a file's own 4 bits or fewer
        // than it has, 1.0 and 2.4.
        for (precision, name, bound) in [(None, "q8", 1.0), (Some(Precision::Q4), "q4", 4.0)] {
            let model = load(bytes(fixture), precision).unwrap();
            assert_eq!(model.precision().name(), name);
            let off = logits(&model, &golden.pairs);
            let off =
                off.iter().zip(&golden.logits).map(|(&found, expected)| (f64::from(found) - expected).abs());
            let mean = off.sum::<f64>() / golden.pairs.len() as f64;
            assert!(mean > 1e-3 && mean < bound, "{fixture} {name}: {mean}");
        }
    }
}

#[test]
fn a_stream_gives_the_very_model_of_the_file_whatever_its_pieces() {
    for fixture in FIXTURES {
        let (golden, whole) = (golden(fixture), bytes(fixture));
        for precision in [Precision::F32, Precision::Q8, Precision::Q4] {
            let read = logits(&load(whole.clone(), precision).unwrap(), &golden.pairs[..3]);
            for piece in [7, 1021, 65_536, usize::MAX] {
                let (model, _) = streamed(&whole, precision, piece).unwrap();
                assert_eq!(logits(&model, &golden.pairs[..3]), read, "{fixture} {precision:?} {piece}");
            }
        }
    }
}

#[test]
fn a_header_is_complete_or_asked_for_again() {
    let whole = bytes("xlmr-q8_0");
    let length = whole.len() as u64;
    let read = |bytes: &[u8]| GgufHeader::read("f", bytes, length).unwrap().is_some();
    let end = (0..whole.len()).find(|&end| read(&whole[..end])).unwrap();
    assert!((10_000..whole.len() / 2).contains(&end), "{end}");
    assert!(read(&whole[..end + 1]));
}

#[test]
fn every_truncation_and_every_addition_is_damage() {
    let whole = bytes("xlmr-q8_0");
    for length in [0, 3, 4, 7, 8, 23, 24, 100, 20_000, whole.len() / 2, whole.len() - 33] {
        let error = open(whole[..length].to_vec()).err().unwrap();
        assert!(matches!(error, ModelError::Damaged { .. }), "{length}: {error}");
    }
    let mut longer = whole.clone();
    longer.extend([0; 64]);
    assert!(matches!(open(longer), Err(ModelError::Damaged { .. })));
    let (head, tail) = whole.split_at(whole.len() / 2);
    let header = GgufHeader::read("f", &whole, whole.len() as u64).unwrap().unwrap();
    let config = ModelConfig::from_gguf(&header.metadata).unwrap();
    let mut stream = WeightStream::new(config, Precision::F32, &Device::Cpu);
    stream.begin_gguf("f", whole.len() as u64, header).unwrap();
    stream.push(head).unwrap();
    assert!(matches!(stream.finish(), Err(ModelError::Damaged { .. })), "{} bytes more", tail.len());
}

#[test]
fn a_flipped_bit_in_the_header_never_panics() {
    let whole = bytes("xlmr-flash-q4_0");
    let length = whole.len() as u64;
    let end = (0..whole.len()).find(|&end| GgufHeader::read("f", &whole[..end], length).unwrap().is_some());
    // The vocabulary in the middle is alike: its beginning will do.
    let end = end.unwrap();
    for bit in (0..3000 * 8).chain((end - 6000) * 8..end * 8) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(mut checkpoint) = open(bytes) else { continue };
        let Ok(config) = ModelConfig::from_gguf(&checkpoint.take_gguf().unwrap()) else { continue };
        // A bit of a dimension may ask for gigabytes; what does not match is refused before.
        let _ = CrossEncoder::load(config, checkpoint, Precision::Q8, &Device::Cpu);
    }
}

#[test]
fn refuses_what_it_does_not_read_by_its_name() {
    let whole = bytes("xlmr-q8_0");
    let replaced = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|window| window == from).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let error_of = |bytes| load(bytes, Precision::F32).err().unwrap().to_string();
    let architecture = error_of(replaced(b"\x04\0\0\0\0\0\0\0bert", b"\x04\0\0\0\0\0\0\0gpt2"));
    assert!(architecture.contains("general.architecture \"gpt2\" is not supported"), "{architecture}");
    let tokenizer = error_of(replaced(b"\x02\0\0\0\0\0\0\0t5", b"\x02\0\0\0\0\0\0\0t6"));
    assert!(tokenizer.contains("tokenizer.ggml.model \"t6\""), "{tokenizer}");
    let version = error_of(replaced(b"GGUF\x03", b"GGUF\x01"));
    assert!(version.contains("version 2 or 3"), "{version}");
    let absent = error_of(replaced(b"bert.block_count", b"bert.block_cownt"));
    assert!(absent.contains("no `bert.block_count`"), "{absent}");
    let missing = error_of(replaced(b"cls.output.weight", b"cls.outpvt.weight"));
    assert!(missing.contains("missing classifier.out_proj.weight"), "{missing}");
    // Q8_0, number 8, becomes Q4_K, number 12.
    let name = b"blk.0.ffn_up.weight";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4 + 16;
    assert_eq!(whole[at], 8);
    let mut bytes = whole.clone();
    bytes[at] = 12;
    let kind = error_of(bytes);
    assert!(kind.contains("blk.0.ffn_up.weight") && kind.contains("Q8_0"), "{kind}");
}

#[test]
fn infinite_scales_are_refused_in_every_form_they_are_kept_in() {
    let mut whole = bytes("xlmr-q8_0");
    let header = GgufHeader::read("f", &whole, whole.len() as u64).unwrap();
    assert!(header.is_some());
    // The last tensors of the file are biases and norms; the scale of a block stands somewhere before.
    let name = b"blk.1.attn_q.weight";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4 + 16 + 4;
    let offset = u64::from_le_bytes(whole[at..at + 8].try_into().unwrap()) as usize;
    let end = (0..whole.len())
        .find(|&end| GgufHeader::read("f", &whole[..end], whole.len() as u64).unwrap().is_some());
    let data = end.unwrap().next_multiple_of(32);
    whole[data + offset..data + offset + 2].copy_from_slice(&[0x00, 0x7C]);
    for precision in [Precision::F32, Precision::Q8, Precision::Q4] {
        let error = load(whole.clone(), precision).err().unwrap();
        assert!(matches!(error, ModelError::NotFinite { .. }), "{precision:?}: {error}");
    }
}
