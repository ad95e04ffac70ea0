//! A model with the one thread that runs it, and the bounded queue in front of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context;
use crossrank::{CancelToken, Error, Job, Reranker, Scheduler};
use crossrank_hub::ModelList;
use tokio::sync::oneshot;

use super::failure::Failure;

/// Seconds that a client is told to wait at most.
const LONGEST_WAIT: u64 = 60;

/// A loaded model.
pub(crate) struct Engine {
    pub(crate) reranker: Arc<Reranker>,
    /// In lower case.
    names: HashSet<String>,
    queue: mpsc::Sender<Waiting>,
    load: Arc<Load>,
    max_tokens: usize,
    /// Text is tokenized apart from forward passes: neither waits for the other's threads.
    tokenizing: Arc<rayon::ThreadPool>,
    thread: JoinHandle<()>,
}

/// What waits for a model, or runs.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) tokens: AtomicUsize,
    pub(crate) requests: AtomicUsize,
}

struct Waiting {
    job: Job,
    done: oneshot::Sender<Result<Job, Error>>,
}

/// A request's place in the queue. Whoever drops it, an answer or a client that has gone, gives it back.
struct Place {
    load: Arc<Load>,
    tokens: usize,
    cancel: CancelToken,
}

impl Engine {
    /// Starts the thread of a model, which answers to the name it was `asked` for by and to all it is known by.
    ///
    /// # Errors
    /// Those of starting threads.
    pub(crate) fn start(asked: &str, reranker: Reranker, max_tokens: usize) -> anyhow::Result<Self> {
        let name = reranker.model().name.clone();
        let mut names = HashSet::from([asked.to_lowercase(), name.to_lowercase()]);
        if let Some(entry) = ModelList::embedded()?.find(&name) {
            names.extend(entry.aliases.iter().chain([&entry.repo]).map(|name| name.to_lowercase()));
        }
        let (queue, waiting) = mpsc::channel();
        let reranker = Arc::new(reranker);
        let running = Arc::clone(&reranker);
        let thread = std::thread::Builder::new().name(format!("engine {name}"));
        let thread = thread.spawn(move || run(&running, &waiting)).context("cannot start a thread")?;
        let threads = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
        let tokenizing = Arc::new(threads.build().context("cannot start the threads of the tokenizer")?);
        Ok(Self { reranker, names, queue, load: Arc::default(), max_tokens, tokenizing, thread })
    }

    pub(crate) fn name(&self) -> &str {
        &self.reranker.model().name
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names.contains(&name.to_lowercase())
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Runs the job that `make` makes, unless `accept` refuses it once its text is tokenized. Its place is taken at
    /// once, or refused, by an estimate of its tokens; dropping this future gives the place back and ends the job
    /// before the next texts or the next forward pass.
    pub(crate) async fn run(
        &self,
        tokens: usize,
        make: impl FnOnce(&Reranker, CancelToken) -> Result<Job, Failure> + Send + 'static,
        accept: impl FnOnce(&Job) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Job, Failure> {
        let place = self.take_place(tokens)?;
        let (reranker, tokenizing, cancel) =
            (Arc::clone(&self.reranker), Arc::clone(&self.tokenizing), place.cancel.clone());
        let made = tokio::task::spawn_blocking(move || {
            let mut job = make(&reranker, cancel)?;
            // A few texts at a time: in between the threads are another request's.
            while tokenizing.install(|| job.tokenize_next(&reranker))? {}
            accept(&job).map(|()| job)
        });
        let job = made.await.map_err(|panic| Failure::bug(&panic))??;
        let (done, finished) = oneshot::channel();
        self.queue.send(Waiting { job, done }).map_err(|gone| Failure::bug(&gone))?;
        Ok(finished.await.map_err(|gone| Failure::bug(&gone))??)
    }

    fn take_place(&self, tokens: usize) -> Result<Place, Failure> {
        let admit = |waiting: usize| {
            // One that is larger than the queue is taken where nothing else waits.
            (waiting == 0 || waiting + tokens <= self.max_tokens).then_some(waiting + tokens)
        };
        let order = Ordering::Relaxed;
        if let Err(waiting) = self.load.tokens.fetch_update(order, order, admit) {
            let seconds = self.reranker.rate().map_or(1.0, |rate| waiting as f64 / rate);
            return Err(Failure::Overloaded { retry_after: (seconds.ceil() as u64).clamp(1, LONGEST_WAIT) });
        }
        self.load.requests.fetch_add(1, order);
        Ok(Place { load: Arc::clone(&self.load), tokens, cancel: CancelToken::default() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
        self.load.requests.fetch_sub(1, Ordering::Relaxed);
        self.cancel.cancel();
    }
}

/// The engine's thread: takes what has come, runs a pass over all of it, and hands out what is finished.
fn run(reranker: &Reranker, queue: &mpsc::Receiver<Waiting>) {
    let mut scheduler = Scheduler::new(reranker);
    loop {
        if scheduler.jobs().len() == 0 {
            match queue.recv() {
                Ok(Waiting { job, done }) => scheduler.add(job, done),
                Err(_) => return,
            }
        }
        queue.try_iter().for_each(|Waiting { job, done }| scheduler.add(job, done));
        for (done, job) in scheduler.step() {
            // A client that has gone takes no answer.
            let _ = done.send(job);
        }
    }
}
