//! Pairs on their way through the model: the loop over the batch plan.

use std::time::Duration;

use crossrank_model::{ModelError, PackedPairs, Segments};
use crossrank_tokenizer::PairIds;
use rayon::prelude::*;
use web_time::Instant;

use crate::batch_plan::{BatchPlan, cut, tokens};
use crate::budget::{can_allocate, pass_bytes};
use crate::device::DeviceKind;
use crate::guard::caught;
use crate::reranker::milliseconds;
use crate::{Control, Error, Progress, Reranker, Usage};

/// Tokens of a part of a pass at least: fewer do not keep a thread's matrix products busy.
const SHARD_TOKENS: usize = 256;

/// Pairs on their way through the model, one forward pass a step.
pub(crate) struct Run<'a> {
    reranker: &'a Reranker,
    pairs: Vec<PairIds>,
    lengths: Vec<usize>,
    plan: BatchPlan,
    deadline: Option<Instant>,
    /// The logit of every pair that is scored, in input order.
    pub(crate) logits: Vec<Option<f32>>,
    done: usize,
    batches: usize,
    tokens: usize,
    /// Rows that the model was given to compute for these tokens.
    rows: usize,
    compute: Duration,
}

impl<'a> Run<'a> {
    pub(crate) fn new(reranker: &'a Reranker, deadline: Option<Instant>) -> Self {
        Self {
            reranker,
            pairs: Vec::new(),
            lengths: Vec::new(),
            plan: BatchPlan::in_order(0..0),
            deadline,
            logits: Vec::new(),
            done: 0,
            batches: 0,
            tokens: 0,
            rows: 0,
            compute: Duration::ZERO,
        }
    }

    /// True if every pair has been scored.
    pub(crate) fn is_idle(&self) -> bool {
        self.done == self.pairs.len()
    }

    /// Plans more pairs; only when idle.
    pub(crate) fn add(&mut self, pairs: Vec<PairIds>) {
        let new = self.pairs.len()..self.pairs.len() + pairs.len();
        self.lengths.extend(pairs.iter().map(|pair| pair.ids.len()));
        self.pairs.extend(pairs);
        self.logits.resize(new.end, None);
        let (reranker, lengths) = (self.reranker, &self.lengths);
        self.plan = match self.deadline {
            // Under a deadline the first stage's best must come first.
            Some(_) => BatchPlan::in_order(new),
            None => BatchPlan::sorted(new, lengths, |batch| fits(reranker, lengths, batch)),
        };
    }

    /// Runs the next forward pass; false when there is none or the deadline has come.
    pub(crate) async fn step(&mut self, control: &Control<'_>) -> Result<bool, Error> {
        control.cancel.check()?;
        let Some(batch) = self.next_batch() else { return Ok(false) };
        let tokens = tokens(&batch, &self.lengths);
        let (shards, needed) = self.shards(&batch);
        let packed: Vec<PackedPairs> = shards.iter().map(|shard| self.packed(shard)).collect();
        let allowed = shards.iter().all(|shard| fits(self.reranker, &self.lengths, shard));
        let started = Instant::now();
        let logits = if allowed && can_allocate(needed) { self.forward(&packed).await? } else { None };
        let Some(logits) = logits else {
            if self.plan.halve(batch) {
                return Ok(true);
            }
            return Err(Error::OutOfMemory { tokens, needed, available: self.reranker.budget.bytes });
        };
        for (&pair, logit) in batch.iter().zip(logits) {
            self.logits[pair] = Some(logit);
        }
        let elapsed = started.elapsed();
        self.reranker.set_rate(tokens as f64 / elapsed.as_secs_f64().max(1e-9));
        self.compute += elapsed;
        self.done += batch.len();
        self.tokens += tokens;
        self.rows += packed.iter().map(PackedPairs::tokens).sum::<usize>();
        self.batches += 1;
        if let Some(report) = control.on_progress {
            report(Progress { pairs_done: self.done, pairs_total: self.pairs.len() });
        }
        if let Some(pause) = control.pause {
            pause().await;
        }
        Ok(true)
    }

    fn next_batch(&mut self) -> Option<Vec<usize>> {
        let Some(deadline) = self.deadline else { return self.plan.next_batch() };
        let remaining = deadline.saturating_duration_since(Instant::now());
        // The first pair is scored in any case: an answer that ranks nothing helps nobody.
        let (first, reranker, lengths) = (self.done == 0, self.reranker, &self.lengths);
        let fits = |batch: &[usize]| fits(reranker, lengths, batch);
        self.plan.next_within(lengths, remaining, reranker.rate(), first, fits)
    }

    /// A pass cut into parts that run side by side on the CPU, as many as its threads, its tokens and memory
    /// allow, and the bytes that they need together. On a GPU a pass is one part.
    fn shards(&self, batch: &[usize]) -> (Vec<Vec<usize>>, u64) {
        let Reranker { summary, budget, .. } = self.reranker;
        let threads = if summary.device.kind == DeviceKind::Cpu { rayon::current_num_threads() } else { 1 };
        let most = threads.min(tokens(batch, &self.lengths) / SHARD_TOKENS).max(1);
        let needed = |shard: &Vec<usize>| pass_bytes(&summary.config, &segments(shard, &self.lengths));
        let mut count = most;
        loop {
            let shards = cut(batch, &self.lengths, count);
            let needed = shards.iter().map(needed).sum();
            if needed <= budget.bytes && can_allocate(needed) || count == 1 {
                return (shards, needed);
            }
            count /= 2;
        }
    }

    fn packed(&self, shard: &[usize]) -> PackedPairs {
        let mut packed = PackedPairs::default();
        shard.iter().for_each(|&pair| packed.push(&self.pairs[pair].ids, &self.pairs[pair].type_ids));
        packed
    }

    /// The logits of one pass; `None` if the device has no memory for it.
    async fn forward(&self, shards: &[PackedPairs]) -> Result<Option<Vec<f32>>, Error> {
        let Reranker { model, summary, .. } = self.reranker;
        let forward = |packed| caught(summary.device.kind, model.forward(packed));
        let logits = match shards {
            [whole] => forward(whole).await,
            // Many operations of the CPU backend use one thread; side by side they use all.
            _ => {
                let parts = shards.par_iter().map(|packed| pollster::block_on(forward(packed)));
                parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
            }
        };
        match logits {
            Err(error) if is_out_of_memory(&error) => Ok(None),
            logits => logits.map(Some),
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            tokens: self.tokens,
            pairs: self.done,
            batches: self.batches,
            padding: (self.rows - self.tokens) as f64 / self.rows.max(1) as f64,
            compute_ms: milliseconds(self.compute),
            ..Usage::default()
        }
    }
}

fn fits(reranker: &Reranker, lengths: &[usize], batch: &[usize]) -> bool {
    reranker.budget.fits(&reranker.summary.config, &segments(batch, lengths))
}

fn segments(batch: &[usize], lengths: &[usize]) -> Segments {
    Segments::new(batch.iter().map(|&pair| lengths[pair]).collect())
}

/// What wgpu and CubeCL call it.
pub(crate) fn is_out_of_memory(error: &Error) -> bool {
    let Error::Model(ModelError::Device { problem }) = error else { return false };
    let problem = problem.to_lowercase();
    ["out of memory", "outofmemory", "buffertoobig", "too big"].iter().any(|words| problem.contains(words))
}
