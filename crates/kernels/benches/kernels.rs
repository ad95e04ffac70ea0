//! The kernels alone, on one thread of the CPU. Criterion's elements are operations: its Gelem/s are GFLOP/s.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossrank_kernels::Activation;
use crossrank_kernels::cpu::{Operands, PackedMatrix, add_norm, attention, linear};

/// Hidden size and heads of the flagship models; the feed-forward layer is four times as wide.
const MODELS: [(&str, usize, usize); 3] =
    [("default", 384, 12), ("jina-v2", 768, 12), ("bge-v2-m3", 1024, 16)];
/// Tokens of a pass: eight pairs of one length.
const PAIR: usize = 128;
const ROWS: usize = 8 * PAIR;

fn floats(count: usize) -> Vec<f32> {
    (0..count).map(|place| (place as f32 * 0.7).sin()).collect()
}

/// The products of a layer, with what follows them: keys and values, output, up with GELU, down.
fn products(criterion: &mut Criterion) {
    for (model, hidden, _) in MODELS {
        let mut group = criterion.benchmark_group(format!("product/{model}"));
        let shapes = [
            ("key_value", hidden, 2 * hidden, Activation::None),
            ("output", hidden, hidden, Activation::None),
            ("up", hidden, 4 * hidden, Activation::Gelu),
            ("down", 4 * hidden, hidden, Activation::None),
        ];
        for (name, inputs, outputs, activation) in shapes {
            group.throughput(Throughput::Elements((2 * ROWS * inputs * outputs) as u64));
            let integers: Vec<i8> = (0..inputs * outputs).map(|place| (place * 37 % 255) as i8).collect();
            let weights = [
                ("f32", PackedMatrix::from_f32(&floats(inputs * outputs), inputs)),
                ("q8", PackedMatrix::quantized(&integers, &vec![0.01; outputs])),
            ];
            let (rows, bias, mut out) =
                (floats(ROWS * inputs), floats(outputs), Vec::with_capacity(ROWS * outputs));
            let out = &mut out.spare_capacity_mut()[..ROWS * outputs];
            for (dtype, weight) in &weights {
                group.bench_function(BenchmarkId::new(*dtype, name), |bencher| {
                    bencher.iter(|| linear(&rows, weight, &bias, activation, out).len());
                });
            }
        }
    }
}

fn attention_and_norm(criterion: &mut Criterion) {
    for (model, hidden, heads) in MODELS {
        let (query, key_value) = (floats(ROWS * hidden), floats(ROWS * 2 * hidden));
        let mut out = vec![0.0; ROWS * hidden];
        let mut attended = Vec::with_capacity(ROWS * hidden);
        let attended = &mut attended.spare_capacity_mut()[..ROWS * hidden];
        let mut group = criterion.benchmark_group("attention");
        for length in [PAIR, 4 * PAIR] {
            // Scores and their sums with the values: two products of tokens by tokens for every head.
            group.throughput(Throughput::Elements((4 * ROWS * length * hidden) as u64));
            let lengths = vec![length; ROWS / length];
            for operands in [Operands::F32, Operands::Bf16] {
                group.bench_function(BenchmarkId::new(format!("{operands:?}/{model}"), length), |bencher| {
                    bencher.iter(|| attention(&query, &key_value, &lengths, heads, operands, attended).len());
                });
            }
        }
        group.finish();
        let mut group = criterion.benchmark_group("add_norm");
        group.throughput(Throughput::Elements((ROWS * hidden) as u64));
        let (weight, bias) = (vec![1.0; hidden], vec![0.0; hidden]);
        group.bench_function(model, |bencher| {
            bencher.iter(|| add_norm(&mut out, Some(&query), &weight, &bias, 1e-12));
        });
    }
}

/// On one thread: what a core does, whatever else the machine does.
fn one_thread() -> Criterion {
    // It fails only where the pool exists already, with as many threads.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    Criterion::default().sample_size(20).configure_from_args()
}

criterion_group! { name = kernels; config = one_thread(); targets = products, attention_and_norm }
criterion_main!(kernels);
