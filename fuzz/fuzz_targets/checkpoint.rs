//! Any bytes as model.safetensors, plain or quantized: tensors or a typed error.
#![no_main]

use std::borrow::Cow;

use crossrank_model::{Checkpoint, MemorySource, Precision, WeightSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let source = Box::new(MemorySource(Cow::Owned(bytes.to_vec()))) as Box<dyn WeightSource>;
    let Ok(checkpoint) = Checkpoint::open(vec![("fuzzed".to_owned(), source)]) else { return };
    let names: Vec<String> = checkpoint.tensors().map(|(name, ..)| name.to_owned()).collect();
    for name in names {
        let _ = checkpoint.bytes(&name);
        for precision in [Precision::F32, Precision::Q8, Precision::Q4] {
            let _ = checkpoint.read_f32(&name, precision);
        }
    }
});
