//! The GPU path on Mesa's software Vulkan, chosen by name: the same answers as the CPU.
#![cfg(feature = "gpu")]
// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crossrank::{DeviceChoice, DeviceKind, Document, LoadOptions, Precision, Request, Reranker, devices};

mod default_model;
use default_model::files;

const ADAPTER: &str = "llvmpipe";

/// Every model on an adapter shares its device, whose work and memory are counted together: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The default model where there is lavapipe; `None`, saying so, on a machine without it.
fn load(test: &str, device: DeviceChoice, precision: Precision) -> Option<Reranker> {
    if !devices().iter().any(|device| device.name.contains(ADAPTER)) {
        println!("skipped: {test}: no Vulkan adapter named {ADAPTER} (install mesa-vulkan-drivers)");
        return None;
    }
    let options = LoadOptions { device, precision: Some(precision), ..LoadOptions::default() };
    Some(default_model::load(&options))
}

fn request() -> Request {
    let documents = [
        "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
        "Berlin is well known for its museums.",
        "New York City is famous for the Metropolitan Museum of Art.",
        "The population of Berlin fell sharply in the 1940s and took decades to recover.",
        "Nobody lives in the Berlin zoo, apart from some twenty thousand animals.",
        "",
    ];
    Request::new("How many people live in Berlin?", documents.map(Document::from).to_vec())
}

fn logits(reranker: &Reranker) -> Vec<f32> {
    default_model::logits(&reranker.rerank(&request()).unwrap())
}

#[test]
fn lavapipe_gives_the_cpus_logits_and_order() {
    let _alone = alone();
    let test = "lavapipe_gives_the_cpus_logits_and_order";
    let adapter = DeviceChoice::Adapter(ADAPTER.to_owned());
    let Some(gpu) = load(test, adapter, Precision::F32) else { return };
    let cpu = load(test, DeviceChoice::Cpu, Precision::F32).unwrap();
    let device = &gpu.model().device;
    assert!(device.name.contains(ADAPTER) && device.kind == DeviceKind::Software, "{device:?}");
    let (on_gpu, on_cpu) = (logits(&gpu), logits(&cpu));
    // The weights, 85 MB of f32 without the embedding table, are in the adapter's memory.
    let used = gpu.device_bytes_in_use().unwrap();
    assert!(used > 80_000_000, "{used} bytes on the adapter");
    let worst = on_gpu
        .iter()
        .zip(&on_cpu)
        .map(|(gpu, cpu)| (gpu - cpu).abs() / cpu.abs().max(1.0))
        .fold(0.0, f32::max);
    println!("largest relative difference from the CPU: {worst:.1e} on {}", device.name);
    // Other kernels sum in another order; the issue allows 2e-4.
    assert!(worst <= 2e-4, "{worst:e}");
    let order = |reranker: &Reranker| {
        reranker.rerank(&request()).unwrap().results.iter().map(|result| result.index).collect::<Vec<_>>()
    };
    assert_eq!(order(&gpu), order(&cpu));
}

#[test]
fn a_layer_is_seven_launches() {
    let _alone = alone();
    let adapter = DeviceChoice::Adapter(ADAPTER.to_owned());
    let Some(gpu) = load("a_layer_is_seven_launches", adapter, Precision::F32) else { return };
    let launched = |request: &Request| {
        let before = gpu.device_launches();
        let passes = gpu.rerank(request).unwrap().usage.batches as u64;
        assert_eq!(passes, 1);
        gpu.device_launches() - before
    };
    // Beside the layers: the embeddings' LayerNorm; of the last layer its first rows and their queries; the head's two.
    assert_eq!(launched(&request()), 7 * gpu.model().config.num_hidden_layers as u64 + 5);
    let used = gpu.device_bytes_in_use();
    launched(&request());
    assert_eq!(gpu.device_bytes_in_use(), used, "bytes on the adapter after the second request");
}

#[test]
fn f16_on_lavapipe_keeps_the_order() {
    let _alone = alone();
    let adapter = DeviceChoice::Adapter(ADAPTER.to_owned());
    let test = "f16_on_lavapipe_keeps_the_order";
    let f16 = devices().iter().any(|device| device.name.contains(ADAPTER) && device.f16);
    if !f16 {
        println!("skipped: {test}: no adapter named {ADAPTER} with f16");
        return;
    }
    let Some(gpu) = load(test, adapter, Precision::F16) else { return };
    let cpu = load(test, DeviceChoice::Cpu, Precision::F32).unwrap();
    let (on_gpu, on_cpu) = (logits(&gpu), logits(&cpu));
    let worst = on_gpu.iter().zip(&on_cpu).map(|(gpu, cpu)| (gpu - cpu).abs()).fold(0.0, f32::max);
    println!("f16: largest difference from the CPU in f32 {worst:.1e}");
    // f16 keeps 11 bits; twelve layers lose a few of them.
    assert!(worst < 0.2, "{worst}");
}

#[test]
fn auto_never_takes_a_software_adapter() {
    let Some(chosen) = load("auto_never_takes_a_software_adapter", DeviceChoice::Auto, Precision::F32) else {
        return;
    };
    assert_ne!(chosen.model().device.kind, DeviceKind::Software);
}

#[test]
fn an_unknown_adapter_is_refused_with_the_names_there_are() {
    let options =
        LoadOptions { device: DeviceChoice::Adapter("no such adapter".into()), ..LoadOptions::default() };
    let error = Reranker::load(files(), &options).err().unwrap();
    assert_eq!(error.code(), "device_unavailable");
    assert!(error.to_string().contains("adapters found"), "{error}");
}

#[test]
fn lavapipe_passes_the_self_test() {
    let _alone = alone();
    let test = "lavapipe_passes_the_self_test";
    if !devices().iter().any(|device| device.name.contains(ADAPTER)) {
        println!("skipped: {test}: no Vulkan adapter named {ADAPTER} (install mesa-vulkan-drivers)");
        return;
    }
    let adapter = DeviceChoice::Adapter(ADAPTER.to_owned());
    pollster::block_on(crossrank::self_test(&adapter, Precision::F32)).unwrap();
}
