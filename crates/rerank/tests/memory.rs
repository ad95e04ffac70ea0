//! Promises about memory, counted in the allocator. They stand apart, so that nothing else allocates.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossrank::{LoadOptions, Request, Reranker};

mod default_model;
use default_model::{assert_same_logits, files, load, logits, ragged, request};

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

fn load_within(memory_budget_bytes: u64) -> Reranker {
    load(&LoadOptions { memory_budget_bytes: Some(memory_budget_bytes), ..LoadOptions::default() })
}

/// Ranks `asked` in a budget, and holds what was allocated against it.
fn assert_within(megabytes: usize, asked: &Request) {
    let reranker = load_within((megabytes as u64) << 20);
    // Threads and their buffers are made once, outside of any budget.
    reranker.rerank(&request(ragged(2))).unwrap();
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
    for megabytes in [12, 16, 24, 1024] {
        assert_within(megabytes, &asked);
    }
}

#[test]
fn documents_of_one_length_stay_within_it_too() {
    let _alone = ALONE.lock().unwrap();
    // All are cut to the same length, and their attention is computed together.
    let asked = request(vec!["berlin people ".repeat(250); 24]);
    for megabytes in [12, 16, 24, 1024] {
        assert_within(megabytes, &asked);
    }
}

#[test]
fn where_memory_ends_passes_are_halved_and_the_answer_is_the_same() {
    let _alone = ALONE.lock().unwrap();
    let reranker = load_within(1 << 30);
    let asked = request(ragged(40));
    let whole = reranker.rerank(&asked).unwrap();
    // Less than the 34 MiB of a full pass, more than the 7 MiB of the longest document.
    LIMIT.store(IN_USE.load(Relaxed) + (20 << 20), Relaxed);
    let halved = reranker.rerank(&asked);
    LIMIT.store(usize::MAX, Relaxed);
    let halved = halved.unwrap();
    println!("{} passes instead of {}", halved.usage.batches, whole.usage.batches);
    assert!(halved.usage.batches > whole.usage.batches);
    assert_same_logits(&logits(&whole), &logits(&halved));
}

#[test]
fn a_model_larger_than_memory_is_an_error() {
    let _alone = ALONE.lock().unwrap();
    LIMIT.store(IN_USE.load(Relaxed) + (64 << 20), Relaxed);
    let loaded = Reranker::load(files(), &LoadOptions::default());
    LIMIT.store(usize::MAX, Relaxed);
    assert_eq!(loaded.err().unwrap().code(), "out_of_memory");
}
