//! Every kernel beside its definition in f64, with every set of instructions that this machine has.

use proptest::prelude::*;

use super::{Bits, Operands, PackedMatrix, add_norm, written};
use crate::Activation;

#[cfg(target_arch = "x86_64")]
use super::x86::tests::at_every_level;

#[cfg(not(target_arch = "x86_64"))]
fn at_every_level(test: impl Fn()) {
    test();
}

fn linear(rows: &[f32], weight: &PackedMatrix, bias: &[f32], activation: Activation) -> Vec<f32> {
    let length = rows.len() / weight.inputs() * weight.outputs();
    written(length, |out| super::linear(rows, weight, bias, activation, out))
}

/// Attention of two heads.
fn attention(query: &[f32], key_value: &[f32], lengths: &[usize], operands: Operands) -> Vec<f32> {
    written(query.len(), |out| super::attention(query, key_value, lengths, 2, operands, out))
}

/// softmax(q · kᵀ / √d) · v, of one query and one segment.
fn attended(query: &[f32], key_value: &[f32]) -> Vec<f64> {
    let (hidden, head_dim) = (query.len(), query.len() / 2);
    let head = |head: usize| {
        let columns = head * head_dim..(head + 1) * head_dim;
        let score = |key: &[f32]| -> f64 {
            let products = query[columns.clone()].iter().zip(&key[columns.clone()]);
            products.map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>() / (head_dim as f64).sqrt()
        };
        let weights: Vec<f64> = key_value.chunks(2 * hidden).map(|key| score(key).exp()).collect();
        let total: f64 = weights.iter().sum();
        columns
            .clone()
            .map(move |column| {
                let values = key_value.chunks(2 * hidden).map(|row| f64::from(row[hidden + column]));
                values.zip(&weights).map(|(value, weight)| value * weight).sum::<f64>() / total
            })
            .collect::<Vec<_>>()
    };
    [head(0), head(1)].concat()
}

fn matrix(length: usize, seed: u32) -> Vec<f32> {
    let value = |index: usize| ((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32;
    (0..length).map(|index| value(index) / (1 << 23) as f32 - 1.0).collect()
}

fn product(rows: &[f32], weight: &[f32], bias: &[f32], inputs: usize) -> Vec<f64> {
    let dot = |row: &[f32], weight: &[f32]| -> f64 {
        row.iter().zip(weight).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum()
    };
    let outputs =
        |row| weight.chunks(inputs).zip(bias).map(move |(weight, &bias)| dot(row, weight) + f64::from(bias));
    rows.chunks(inputs).flat_map(outputs).collect()
}

/// Φ by its series (Abramowitz and Stegun, 26.2.10), and where that cancels by its asymptotic one (26.2.12).
fn gelu(x: f64) -> f64 {
    if x.abs() > 5.0 {
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        return x.max(0.0) - density * (1.0 - x.powi(-2) + 3.0 * x.powi(-4));
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while f64::abs(term) > 1e-18 {
        term *= -x * x / (2.0 * n);
        sum += term / (2.0 * n + 1.0);
        n += 1.0;
    }
    x * (0.5 + sum / (2.0 * std::f64::consts::PI).sqrt())
}

fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(found) - expected).abs() / expected.abs().max(1.0);
        assert!(off <= tolerance, "{index}: {found} {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_product_is_that_of_the_definition(rows in 1usize..40, inputs in 1usize..600, outputs in 1usize..80, seed: u32) {
        let (x, bias) = (matrix(rows * inputs, seed), matrix(outputs, seed ^ 1));
        let integers: Vec<i8> = matrix(outputs * inputs, !seed).iter().map(|value| (value * 127.0) as i8).collect();
        let scales: Vec<f32> = matrix(outputs, seed ^ 2).iter().map(|value| value.abs() / 100.0).collect();
        let weight: Vec<f32> =
            integers.chunks(inputs).zip(&scales).flat_map(|(row, &scale)| row.iter().map(move |&w| f32::from(w) * scale)).collect();
        let expected = product(&x, &weight, &bias, inputs);
        let one_scale = |row: usize| (integers[row * inputs..(row + 1) * inputs].to_vec(), vec![scales[row]]);
        at_every_level(|| {
            for packed in [PackedMatrix::from_f32(&weight, inputs), PackedMatrix::from_integers((outputs, inputs), Bits::Eight, one_scale)] {
                let found = linear(&x, &packed, &bias, Activation::None);
                // Rounding of 600 products of magnitude 1.
                assert_close(&found, &expected, 1e-5);
                let activated: Vec<f64> = expected.iter().map(|&value| gelu(value)).collect();
                let found = linear(&x, &packed, &bias, Activation::Gelu);
                assert_close(&found, &activated, 1e-5);
            }
        });
    }

    #[test]
    fn integers_in_blocks_are_those_that_were_packed(rows in 1usize..20, blocks in 1usize..20, outputs in 1usize..80, seed: u32) {
        let inputs = 32 * blocks;
        let (x, bias) = (matrix(rows * inputs, seed), matrix(outputs, seed ^ 1));
        let scales = matrix(outputs * blocks, seed ^ 2);
        for (bits, most) in [(Bits::Four, 7.99), (Bits::Eight, 127.0)] {
            let integers: Vec<i8> = matrix(outputs * inputs, !seed).iter().map(|value| (value * most).floor() as i8).collect();
            let weight: Vec<f32> =
                integers.chunks(32).zip(&scales).flat_map(|(block, &scale)| block.iter().map(move |&w| f32::from(w) * scale)).collect();
            let expected = product(&x, &weight, &bias, inputs);
            let read = |row: usize| {
                (integers[row * inputs..(row + 1) * inputs].to_vec(), scales[row * blocks..(row + 1) * blocks].to_vec())
            };
            at_every_level(|| {
                let packed = PackedMatrix::from_integers((outputs, inputs), bits, read);
                // Rounding of 640 products of magnitude 128.
                assert_close(&linear(&x, &packed, &bias, Activation::None), &expected, 1e-3);
            });
        }
    }

    #[test]
    fn integers_are_off_by_half_a_step_of_each_block(rows in prop_oneof![1usize..30, 200usize..300], inputs in 1usize..400, outputs in 1usize..50, largest in prop::sample::select(vec![20.0_f32, 70.0, 127.0]), seed: u32) {
        // A row that is off the middle, as those behind GELU are.
        let x: Vec<f32> = matrix(rows * inputs, seed).iter().map(|value| value * 0.6 + 0.4).collect();
        let bias = matrix(outputs, seed ^ 1);
        let integers: Vec<i8> = matrix(outputs * inputs, !seed).iter().map(|value| (value * largest) as i8).collect();
        let scales = vec![0.01; outputs];
        let weight: Vec<f32> = integers.iter().map(|&value| f32::from(value) * 0.01).collect();
        let expected = product(&x, &weight, &bias, inputs);
        let first = std::cell::OnceCell::new();
        at_every_level(|| {
            let out = linear(&x, &PackedMatrix::quantized(&integers, &scales), &bias, Activation::None);
            for (row, (out, expected)) in out.chunks(outputs).zip(expected.chunks(outputs)).enumerate() {
                let x = &x[row * inputs..(row + 1) * inputs];
                for (column, (&out, &expected)) in out.iter().zip(expected).enumerate() {
                    let blocks = x.chunks(128).zip(weight[column * inputs..][..inputs].chunks(128));
                    let bound: f32 = blocks.map(|(x, weight)| {
                        let (least, most) = x.iter().fold((0.0_f32, 0.0_f32), |(least, most), &x| (least.min(x), most.max(x)));
                        // Half a step for its rounding, and as much for the zero point's at the ends.
                        (most - least) / 127.0 * 1.01 * weight.iter().map(|weight| weight.abs()).sum::<f32>()
                    }).sum();
                    assert!((f64::from(out) - expected).abs() <= f64::from(bound) + 1e-4, "{out} {expected} {bound}");
                }
            }
            // The same integers everywhere: what is left is the rounding of a few f32.
            let first: &Vec<f64> = first.get_or_init(|| out.iter().map(|&value| f64::from(value)).collect());
            assert_close(&out, first, 1e-5);
        });
    }

    #[test]
    fn attention_is_that_of_the_definition(
        lengths in prop::collection::vec(1usize..100, 1..4),
        head_dim in prop::sample::select(vec![5_usize, 32, 64]),
        first_only: bool,
        seed: u32,
    ) {
        let (rows, hidden) = (lengths.iter().sum::<usize>(), 2 * head_dim);
        // Bf16 holds these as they are; most scores are below 4.
        let exact = |length, seed| -> Vec<f32> { matrix(length, seed).iter().map(|x| (x * 64.0).round() / 32.0).collect() };
        let (mut query, key_value) = (exact(rows * hidden, seed), exact(rows * 2 * hidden, !seed));
        let (mut expected, mut first, mut start) = (Vec::new(), Vec::new(), 0);
        for length in &lengths {
            let segment = &key_value[start * 2 * hidden..(start + length) * 2 * hidden];
            let queries = &query[start * hidden..(start + length) * hidden];
            let queries = if first_only { &queries[..hidden] } else { queries };
            first.extend_from_slice(queries);
            queries.chunks(hidden).for_each(|query| expected.extend(attended(query, segment)));
            start += length;
        }
        query = first;
        at_every_level(|| {
            assert_close(&attention(&query, &key_value, &lengths, Operands::F32), &expected, 1e-5);
            assert_close(&attention(&query, &key_value, &lengths, Operands::Bf16), &expected, 1e-2);
        });
    }

    #[test]
    fn a_norm_is_that_of_the_definition(rows in 1usize..6, width in 1usize..100, seed: u32) {
        let (x, residual) = (matrix(rows * width, seed), matrix(rows * width, !seed));
        let (weight, bias) = (matrix(width, seed ^ 1), matrix(width, seed ^ 2));
        let expected: Vec<f64> = x.chunks(width).zip(residual.chunks(width)).flat_map(|(x, residual)| {
            let sums: Vec<f64> = x.iter().zip(residual).map(|(&x, &r)| f64::from(x + r)).collect();
            let mean = sums.iter().sum::<f64>() / width as f64;
            let variance = sums.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / width as f64;
            let norm = move |x: f64| (x - mean) / (variance + 1e-5).sqrt();
            sums.into_iter().zip(&weight).zip(&bias).map(move |((x, &w), &b)| norm(x) * f64::from(w) + f64::from(b)).collect::<Vec<_>>()
        }).collect();
        at_every_level(|| {
            let mut found = x.clone();
            add_norm(&mut found, Some(&residual), &weight, &bias, 1e-5);
            // A variance near epsilon multiplies the mean's rounding.
            assert_close(&found, &expected, 3e-5);
        });
    }
}

#[test]
fn a_long_segment_is_attended_to_whole() {
    let (query, key_value) = (matrix(3000 * 64, 1), matrix(3000 * 128, 2));
    let expected: Vec<f64> =
        query.chunks(64).step_by(499).flat_map(|query| attended(query, &key_value)).collect();
    for (operands, tolerance) in [(Operands::F32, 2e-6), (Operands::Bf16, 2e-3)] {
        let found = attention(&query, &key_value, &[3000], operands);
        let found: Vec<f32> = found.chunks(64).step_by(499).flatten().copied().collect();
        assert_close(&found, &expected, tolerance);
    }
}

#[test]
fn gelu_and_its_tails_are_exact() {
    let x: Vec<f32> =
        (-800..=800).map(|step| step as f32 / 100.0).chain([-40.0, 40.0, 1e30, -1e30]).collect();
    let expected: Vec<f64> = x.iter().map(|&x| gelu(f64::from(x))).collect();
    at_every_level(|| {
        let one = PackedMatrix::from_f32(&[1.0], 1);
        let found = linear(&x, &one, &[0.0], Activation::Gelu);
        // Two units in the last place of Φ, times x.
        assert_close(&found[..1601], &expected[..1601], 8e-7);
        assert_close(&found[1601..], &expected[1601..], 2e-6);
    });
}

#[test]
fn what_is_not_finite_is_not_lost_in_integers() {
    at_every_level(|| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = matrix(200, 1);
            x[77] = bad;
            let weight = PackedMatrix::quantized(&[1; 400], &[1.0, 1.0]);
            let out = linear(&x, &weight, &[0.0; 2], Activation::None);
            assert!(out.iter().all(|value| !value.is_finite()), "{bad}: {out:?}");
        }
    });
}

#[test]
fn scores_that_overflow_are_not_lost_in_softmax() {
    at_every_level(|| {
        for operands in [Operands::F32, Operands::Bf16] {
            let (mut query, mut key_value) = (matrix(5 * 64, 1), matrix(5 * 128, 2));
            query[..64].fill(1e30);
            key_value[2 * 128..2 * 128 + 64].fill(1e30);
            let out = attention(&query, &key_value, &[5], operands);
            assert!(out[..64].iter().all(|value| value.is_nan()), "{operands:?} {out:?}");
            assert!(out[64..].iter().all(|value| value.is_finite()), "{operands:?} {out:?}");
        }
    });
}

#[test]
fn sums_of_the_largest_integers_do_not_overflow() {
    let x = [1.0; 301];
    at_every_level(|| {
        for weight in i8::MIN..=i8::MAX {
            let packed = PackedMatrix::quantized(&[weight; 301], &[1.0]);
            let out = linear(&x, &packed, &[0.0], Activation::None);
            assert_close(&out, &[f64::from(weight) * 301.0], 1e-5);
        }
    });
}

#[test]
fn rows_of_zeros_stay_zero() {
    at_every_level(|| {
        let weight = PackedMatrix::quantized(&[127; 900], &[1.0; 3]);
        let out = linear(&[0.0; 300], &weight, &[0.0, 0.5, -0.5], Activation::None);
        assert_eq!(out, [0.0, 0.5, -0.5]);
    });
}
