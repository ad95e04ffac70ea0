//! Every kernel on a software adapter beside its definition in f64.
#![allow(clippy::print_stdout)]

use cubecl::wgpu::{RuntimeOptions, WgpuSetup, init_device, wgpu};
use proptest::prelude::*;

use super::*;
use crate::Segments;

/// Mesa's software Vulkan; `None`, saying so, on a machine without it.
fn gpu(test: &str) -> Option<Gpu> {
    static GPU: std::sync::OnceLock<Option<Gpu>> = std::sync::OnceLock::new();
    let gpu = GPU.get_or_init(|| pollster::block_on(open())).clone();
    if gpu.is_none() {
        println!("skipped: {test}: no Vulkan adapter named llvmpipe (install mesa-vulkan-drivers)");
    }
    gpu
}

async fn open() -> Option<Gpu> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = instance.enumerate_adapters(wgpu::Backends::VULKAN).await;
    let adapter = adapters.into_iter().find(|adapter| adapter.get_info().name.contains("llvmpipe"))?;
    let descriptor = wgpu::DeviceDescriptor {
        required_features: adapter.features() & !wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&descriptor).await.unwrap();
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    Some(Gpu::new(cubecl::Device::Wgpu(init_device(setup, RuntimeOptions::default())).client()))
}

fn read(matrix: Matrix) -> Vec<f32> {
    pollster::block_on(matrix.read()).unwrap()
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let value = |index: usize| ((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16) as f32;
    (0..count).map(|index| value(index) / 32768.0 - 1.0).collect()
}

fn rounded(values: Vec<f32>, f16: bool) -> Vec<f32> {
    if f16 { values.iter().map(|&value| half::f16::from_f32(value).to_f32()).collect() } else { values }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn linear_is_its_definition(
        rows in 1usize..200, outputs in 1usize..200, inputs in 1usize..20, f16: bool, seed: u32, then in 0usize..4, first in 0usize..9,
    ) {
        let Some(gpu) = gpu("linear_is_its_definition") else { return Ok(()) };
        let inputs = inputs * VECTOR;
        let then = [Then::Nothing, Then::Gelu, Then::Tanh, Then::Add][then];
        let x = rounded(numbers(rows * inputs, seed), f16);
        let w = rounded(numbers((first + outputs) * inputs, !seed), f16);
        let bias = numbers(first + outputs, seed ^ 7);
        let residual = rounded(numbers(rows * outputs, seed ^ 9), f16);
        let found = read(Weight::new(gpu.weight(&w, inputs, f16), &bias).forward(
            &gpu.weight(&x, inputs, f16),
            first..first + outputs,
            then,
            Some(&gpu.weight(&residual, outputs, f16)),
        ));
        for (index, found) in found.iter().enumerate() {
            let (row, output) = (index / outputs, first + index % outputs);
            let products = x[row * inputs..][..inputs].iter().zip(&w[output * inputs..][..inputs]);
            let sum = products.map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>() + f64::from(bias[output]);
            let expected = match then {
                Then::Nothing => sum,
                Then::Gelu => sum * 0.5 * (1.0 + erf(sum / 2f64.sqrt())),
                Then::Tanh => sum.tanh(),
                Then::Add => sum + f64::from(residual[index]),
            };
            let tolerance = if f16 { 1e-3 } else { 2e-6 } * expected.abs().max(4.0);
            prop_assert!((f64::from(*found) - expected).abs() <= tolerance, "{index}: {found} {expected}");
        }
    }

    #[test]
    fn norm_is_its_definition(rows in 1usize..40, width in 0usize..4, f16: bool, seed: u32) {
        let Some(gpu) = gpu("norm_is_its_definition") else { return Ok(()) };
        let width = [4, 384, 516, 1024][width];
        let x = rounded(numbers(rows * width, seed), f16);
        let (weight, bias) = (numbers(width, !seed), numbers(width, seed ^ 5));
        let vector = |values: &[f32]| gpu.weight(values, width, false);
        let norm = Norm { weight: vector(&weight), bias: vector(&bias), epsilon: 1e-5 };
        let found = read(norm.forward(&gpu.weight(&x, width, f16), f16));
        for (row, found) in x.chunks(width).zip(found.chunks(width)) {
            let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
            let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width as f64;
            for (column, found) in found.iter().enumerate() {
                let normal = (f64::from(row[column]) - mean) / (variance + 1e-5).sqrt();
                let expected = normal * f64::from(weight[column]) + f64::from(bias[column]);
                let tolerance = if f16 { 2e-3 } else { 1e-5 };
                prop_assert!((f64::from(*found) - expected).abs() <= tolerance, "{found} {expected}");
            }
        }
    }

    #[test]
    fn attention_is_its_definition(
        lengths in prop::collection::vec(1usize..150, 1..5), heads in 1usize..4, head in 0usize..4, f16: bool, seed: u32, first_only: bool,
    ) {
        let Some(gpu) = gpu("attention_is_its_definition") else { return Ok(()) };
        let (segments, head) = (Segments::new(lengths.clone()), [4, 20, 32, 64][head]);
        let hidden = heads * head;
        let x = rounded(numbers(segments.rows() * 3 * hidden, seed), f16);
        let all = gpu.weight(&x, 3 * hidden, f16);
        let starts = segments.starts();
        let asked: Vec<usize> = if first_only { starts.clone() } else { (0..segments.rows()).collect() };
        let query = if first_only { gather(&all, &asked) } else { all.clone() };
        let blocks = AttentionBlocks::default();
        let blocks = if first_only { blocks.first(&gpu, &segments) } else { blocks.all(&gpu, &segments) };
        let found = read(attention((&query, 0), (&all, hidden), blocks, (heads, hidden)));
        let number = |row: usize, column: usize| f64::from(x[row * 3 * hidden + column]);
        for (index, &row) in asked.iter().enumerate() {
            let segment = starts.iter().rposition(|&start| start <= row).unwrap();
            let keys = starts[segment]..starts[segment] + lengths[segment];
            for column in 0..hidden {
                let place = column / head * head;
                let score = |key: usize| {
                    let products = (place..place + head).map(|c| number(row, c) * number(key, hidden + c));
                    (products.sum::<f64>() / (head as f64).sqrt()).exp()
                };
                if column % head != 0 && column % 7 != 0 { continue }
                let total: f64 = keys.clone().map(score).sum();
                let sum: f64 = keys.clone().map(|key| score(key) * number(key, 2 * hidden + column)).sum();
                let found = f64::from(found[index * hidden + column]);
                let tolerance = if f16 { 1e-3 } else { 2e-6 };
                prop_assert!((found - sum / total).abs() <= tolerance, "{found} {}", sum / total);
            }
        }
    }
}

/// The error function by its series and its continued fraction, to 1e-12.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while f64::abs(term) > 1e-17 * f64::abs(sum) && n < 200.0 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    if x.abs() > 5.0 { x.signum() } else { sum * 2.0 / std::f64::consts::PI.sqrt() }
}
