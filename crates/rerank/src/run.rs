//! The loop: requests share forward passes. Between two passes, and only there, cancelling, deadlines and
//! new requests are looked at.

use crossrank_model::{ModelError, PackedPairs, together};
use crossrank_tokenizer::PairIds;
use tracing::{Instrument, trace_span};
use web_time::Instant;

use crate::batch_plan::{Lane, next_pass};
use crate::budget::{can_allocate, pass_bytes};
use crate::device::DeviceKind;
use crate::guard::caught;
use crate::{Error, Job, Reranker};

/// Tokens of a forward pass aimed at: enough to keep a device busy, few enough to stop soon.
pub(crate) const PASS_TOKENS: usize = 2048;
/// What keeps one thread of a processor busy; more of it only leaves the cache.
const THREAD_TOKENS: usize = 512;

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
        let busy = if is_cpu { THREAD_TOKENS * rayon::current_num_threads() } else { PASS_TOKENS };
        let pass = next_pass(&mut lanes, &mut self.turn, busy.min(PASS_TOKENS));
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
            self.jobs[job].0.score(pair, logit);
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
}

impl Reranker {
    /// One forward pass, which must fit the budget.
    async fn forward(&self, pairs: &[&PairIds]) -> Result<Forward, Error> {
        let packed = packed(pairs);
        let (segments, config) = (packed.segments(), &self.summary.config);
        let needed = pass_bytes(config, &segments);
        if !(self.budget.fits(config, &segments) && can_allocate(needed)) {
            let (tokens, available) = (packed.tokens(), self.budget.bytes);
            return Err(Error::OutOfMemory { tokens, needed, available });
        }
        let started = Instant::now();
        let kind = self.summary.device.kind;
        let forward = || caught(kind, self.model.forward(&packed));
        let logits = match kind {
            DeviceKind::Cpu => together(|| pollster::block_on(forward()))?,
            _ => forward().await?,
        };
        let elapsed = started.elapsed();
        self.set_rate(packed.tokens() as f64 / elapsed.as_secs_f64().max(1e-9));
        Ok(Forward { logits, elapsed })
    }
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
