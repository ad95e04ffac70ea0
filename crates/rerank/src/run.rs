//! The loop: requests share forward passes. Between two passes, and only there, cancelling, deadlines and
//! new requests are looked at.

use crossrank_model::{ModelError, PackedPairs, Segments};
use crossrank_tokenizer::PairIds;
use rayon::prelude::*;
use tracing::{Instrument, trace_span};
use web_time::Instant;

use crate::batch_plan::{Lane, cut, next_pass};
use crate::budget::{can_allocate, pass_bytes};
use crate::device::DeviceKind;
use crate::guard::caught;
use crate::{Error, Job, Reranker};

/// Tokens of a forward pass aimed at: enough to keep a device busy, few enough to stop soon. A processor is kept
/// busy by less than a GPU, and one thread of WebAssembly by even less.
const CPU_PASS_TOKENS: usize = if cfg!(target_family = "wasm") { 512 } else { 1024 };
pub(crate) const GPU_PASS_TOKENS: usize = 2048;
/// Tokens of a part of a pass at least: fewer do not keep a thread's matrix products busy.
const SHARD_TOKENS: usize = 256;

/// Runs any number of jobs, each with the caller's `ticket`, in forward passes that they share.
///
/// Jobs take turns by tokens, so a short one is not kept waiting by a long one. A job gets the same logits as
/// it would alone, but for the order of summation inside a matrix product.
pub struct Scheduler<'a, T> {
    reranker: &'a Reranker,
    jobs: Vec<(Job, T)>,
    /// Place of the job whose turn it is.
    turn: usize,
}

impl<'a, T> Scheduler<'a, T> {
    /// Without jobs.
    pub fn new(reranker: &'a Reranker) -> Self {
        Self { reranker, jobs: Vec::new(), turn: 0 }
    }

    /// Takes a job into the next pass but for the turns of others.
    pub fn add(&mut self, job: Job, ticket: T) {
        self.jobs.push((job, ticket));
    }

    /// The jobs that are not finished.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = &Job> {
        self.jobs.iter().map(|(job, _)| job)
    }

    /// Runs a forward pass and gives the jobs that it finished.
    pub fn step(&mut self) -> Vec<(T, Result<Job, Error>)> {
        pollster::block_on(self.step_async())
    }

    /// [`Self::step`] for callers that must not block, as in a browser.
    pub async fn step_async(&mut self) -> Vec<(T, Result<Job, Error>)> {
        let plan = trace_span!("plan").entered();
        let mut finished = self.take_finished();
        let mut lanes: Vec<&mut Lane> = self.jobs.iter_mut().map(|(job, _)| &mut job.lane).collect();
        let is_cpu = self.reranker.summary.device.kind == DeviceKind::Cpu;
        let target_tokens = if is_cpu { CPU_PASS_TOKENS } else { GPU_PASS_TOKENS };
        let pass = next_pass(&mut lanes, &mut self.turn, target_tokens);
        drop(plan);
        if !pass.is_empty() {
            let span = trace_span!("pass", pairs = pass.len());
            self.run(pass).instrument(span).await;
            finished.extend(self.take_finished());
        }
        finished
    }

    fn take_finished(&mut self) -> Vec<(T, Result<Job, Error>)> {
        let (mut finished, mut place) = (Vec::new(), 0);
        while let Some((job, _)) = self.jobs.get_mut(place) {
            let has_work = job.has_work(self.reranker);
            if matches!(has_work, Ok(true)) {
                place += 1;
                continue;
            }
            let (job, ticket) = self.jobs.remove(place);
            finished.push((ticket, has_work.map(|_| job)));
            self.turn -= usize::from(place < self.turn);
        }
        finished
    }

    /// Runs a pass of (job, pair). One that fails is halved as long as it holds more than one job, or memory was
    /// short, so that a pair that cannot be computed costs nobody but its own job.
    async fn run(&mut self, pass: Vec<(usize, usize)>) {
        let mut parts = vec![pass];
        while let Some(mut part) = parts.pop() {
            let pairs: Vec<&PairIds> = part.iter().map(|&(job, pair)| self.jobs[job].0.pair(pair)).collect();
            let first = part[0].0;
            match self.reranker.forward(&pairs).await {
                Ok(forward) => self.take_logits(&part, &forward),
                Err(error)
                    if part.len() > 1
                        && (is_out_of_memory(&error) || part.iter().any(|(job, _)| *job != first)) =>
                {
                    parts.push(part.split_off(part.len().div_ceil(2)));
                    parts.push(part);
                }
                Err(error) => {
                    self.jobs[first].0.error = Some(error);
                    parts.iter_mut().for_each(|part| part.retain(|(job, _)| *job != first));
                    parts.retain(|part| !part.is_empty());
                }
            }
        }
    }

    fn take_logits(&mut self, part: &[(usize, usize)], forward: &Forward) {
        for (&(job, pair), &logit) in part.iter().zip(&forward.logits) {
            self.jobs[job].0.score(pair, logit, forward.rows_per_token);
        }
        let mut jobs: Vec<usize> = part.iter().map(|(job, _)| *job).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs.into_iter().for_each(|job| self.jobs[job].0.count_pass(forward.elapsed));
    }
}

/// What a forward pass gave.
struct Forward {
    logits: Vec<f32>,
    elapsed: std::time::Duration,
    /// Rows that the model was given to compute for a token: more than 1 where it pads.
    rows_per_token: f64,
}

impl Reranker {
    /// One forward pass, which must fit the budget.
    async fn forward(&self, pairs: &[&PairIds]) -> Result<Forward, Error> {
        let (shards, needed) = self.shards(pairs);
        if !(shards.iter().all(|shard| self.budget.fits(&self.summary.config, &segments(shard)))
            && can_allocate(needed))
        {
            return Err(Error::OutOfMemory { tokens: tokens(pairs), needed, available: self.budget.bytes });
        }
        let packed: Vec<PackedPairs> = shards.into_iter().map(packed).collect();
        let started = Instant::now();
        let kind = self.summary.device.kind;
        let forward = |packed| caught(kind, self.model.forward(packed));
        let logits = if kind == DeviceKind::Cpu {
            let part = |packed| pollster::block_on(forward(packed));
            // In rayon's pool, a single part, too: from outside every product would wake its threads anew.
            rayon::scope(|_| packed.par_iter().map(part).collect::<Result<Vec<_>, _>>())?.concat()
        } else {
            forward(&packed[0]).await?
        };
        let (elapsed, tokens) = (started.elapsed(), tokens(pairs) as f64);
        self.set_rate(tokens / elapsed.as_secs_f64().max(1e-9));
        let rows: usize = packed.iter().map(PackedPairs::tokens).sum();
        Ok(Forward { logits, elapsed, rows_per_token: rows as f64 / tokens })
    }

    /// A pass cut into parts that run side by side on the CPU, as many as its threads, its tokens and memory
    /// allow, and the bytes that they need together. On a GPU a pass is one part.
    fn shards<'p, 'i>(&self, pairs: &'p [&'i PairIds]) -> (Vec<&'p [&'i PairIds]>, u64) {
        let threads =
            if self.summary.device.kind == DeviceKind::Cpu { rayon::current_num_threads() } else { 1 };
        let mut count = threads.min(tokens(pairs) / SHARD_TOKENS).max(1);
        loop {
            let shards = cut(pairs, |pair| pair.ids.len(), count);
            let needed = shards.iter().map(|shard| pass_bytes(&self.summary.config, &segments(shard))).sum();
            if needed <= self.budget.bytes && can_allocate(needed) || count == 1 {
                return (shards, needed);
            }
            count /= 2;
        }
    }
}

fn tokens(pairs: &[&PairIds]) -> usize {
    pairs.iter().map(|pair| pair.ids.len()).sum()
}

fn segments(pairs: &[&PairIds]) -> Segments {
    Segments::new(pairs.iter().map(|pair| pair.ids.len()).collect())
}

fn packed(pairs: &[&PairIds]) -> PackedPairs {
    let mut packed = PackedPairs::default();
    pairs.iter().for_each(|pair| packed.push(&pair.ids, &pair.type_ids));
    packed
}

/// Our own budget's word, and what wgpu and CubeCL call it.
pub(crate) fn is_out_of_memory(error: &Error) -> bool {
    let problem = match error {
        Error::OutOfMemory { .. } => return true,
        Error::Model(ModelError::Device { problem }) => problem.to_lowercase(),
        _ => return false,
    };
    ["out of memory", "outofmemory", "buffertoobig", "too big"].iter().any(|words| problem.contains(words))
}
