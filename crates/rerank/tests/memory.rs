//! Promises about memory, counted in the allocator. They stand apart, so that nothing else allocates.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossrank::{Document, LoadOptions, ModelFiles, Request, Reranker, Response};

mod ragged;
use ragged::ragged;

static ALONE: Mutex<()> = Mutex::new(());
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Bytes at which this machine's memory ends.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let in_use = IN_USE.fetch_add(layout.size(), Relaxed) + layout.size();
        if in_use > LIMIT.load(Relaxed) {
            IN_USE.fetch_sub(layout.size(), Relaxed);
            return std::ptr::null_mut();
        }
        PEAK.fetch_max(in_use, Relaxed);
        // SAFETY: the caller's promise about `layout` is the one that System asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn files() -> ModelFiles {
    ModelFiles::open_folder(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/default")).unwrap()
}

fn load(memory_budget_bytes: u64) -> Reranker {
    let options = LoadOptions { memory_budget_bytes: Some(memory_budget_bytes), ..LoadOptions::default() };
    Reranker::load(files(), &options).unwrap()
}

fn request(documents: Vec<String>) -> Request {
    Request::new("How many people live in Berlin?", documents.into_iter().map(Document::from).collect())
}

fn logits(response: &Response) -> Vec<f32> {
    let mut logits = vec![f32::NAN; response.results.len()];
    response.results.iter().for_each(|result| logits[result.index] = result.logit.unwrap());
    logits
}

/// Ranks `asked` in a budget, and holds what was allocated against it.
fn assert_within(megabytes: usize, asked: &Request) {
    let reranker = load((megabytes as u64) << 20);
    // Threads and their buffers are made once, outside of any budget.
    reranker.rerank(&request(ragged(2).iter().map(|text| text[..99].to_owned()).collect())).unwrap();
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let response = reranker.rerank(asked).unwrap();
    let used = PEAK.load(Relaxed) - before;
    let (passes, used_megabytes) = (response.usage.batches, used as f64 / 1048576.0);
    println!("budget {megabytes} MiB: {passes} passes, {used_megabytes:.1} MiB at most");
    // A megabyte for texts and token ids, which the budget of a pass does not count.
    assert!(used <= (megabytes + 1) << 20, "{used} bytes of {megabytes} MiB");
}

#[test]
fn a_request_stays_within_its_memory_budget() {
    let _alone = ALONE.lock().unwrap();
    let asked = request(ragged(40));
    for megabytes in [40, 48, 64, 1024] {
        assert_within(megabytes, &asked);
    }
}

#[test]
fn documents_of_one_length_stay_within_it_too() {
    let _alone = ALONE.lock().unwrap();
    // All are cut to the same length, and their attention is computed together.
    let asked = request(vec!["berlin people ".repeat(250); 24]);
    for megabytes in [40, 64, 96, 1024] {
        assert_within(megabytes, &asked);
    }
}

#[test]
fn where_memory_ends_passes_are_halved_and_the_answer_is_the_same() {
    let _alone = ALONE.lock().unwrap();
    let reranker = load(1 << 30);
    let asked = request(ragged(40));
    let whole = reranker.rerank(&asked).unwrap();
    // Less than the 54 MiB of a full pass, more than the 31 MiB of the longest document.
    LIMIT.store(IN_USE.load(Relaxed) + (44 << 20), Relaxed);
    let halved = reranker.rerank(&asked);
    LIMIT.store(usize::MAX, Relaxed);
    let halved = halved.unwrap();
    println!("{} passes instead of {}", halved.usage.batches, whole.usage.batches);
    assert!(halved.usage.batches > whole.usage.batches);
    for (left, right) in logits(&whole).iter().zip(logits(&halved)) {
        // Only the order of summation inside a matrix product differs.
        assert!((left - right).abs() <= 1e-5 * left.abs().max(1.0), "{left} {right}");
    }
}

#[test]
fn a_model_larger_than_memory_is_an_error() {
    let _alone = ALONE.lock().unwrap();
    LIMIT.store(IN_USE.load(Relaxed) + (64 << 20), Relaxed);
    let loaded = Reranker::load(files(), &LoadOptions::default());
    LIMIT.store(usize::MAX, Relaxed);
    assert_eq!(loaded.err().unwrap().code(), "out_of_memory");
}
