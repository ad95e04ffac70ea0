//! `--profile`: the spans of a command in the Trace Event Format, which chrome://tracing and Perfetto show.
//!
//! Written as they end, by the thread that ends them: a thread of its own would take its time from what is measured.

use std::cell::Cell;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::ProfileArguments;

/// Runs `command`, and writes its spans to the file that is asked for.
///
/// # Errors
/// Those of `command`, and of writing the file.
pub(crate) fn recorded(
    arguments: &ProfileArguments,
    command: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(path) = &arguments.profile else { return command() };
    let problem = || format!("cannot write the profile {}", path.display());
    let trace = Arc::new(Trace::create(path).with_context(problem)?);
    // Other crates have spans as well: tokenizers traces every normalized character.
    let ours = Targets::new().with_target("crossrank", Level::TRACE);
    let spans = Spans(Arc::clone(&trace)).with_filter(ours);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(spans))?;
    let result = command();
    let written = trace.finish();
    result?;
    written.with_context(problem)
}

/// A trace as it is written, until writing fails.
struct Trace {
    started: Instant,
    file: Mutex<io::Result<BufWriter<File>>>,
}

impl Trace {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let process = json!({ "ph": "M", "pid": 1, "name": "process_name", "args": { "name": "crossrank" } });
        write!(file, "[\n{process}")?;
        Ok(Self { started: Instant::now(), file: Mutex::new(Ok(file)) })
    }

    fn write(&self, event: &Value) {
        let mut file = self.lock();
        if let Ok(open) = &mut *file
            && let Err(error) = write!(open, ",\n{event}")
        {
            *file = Err(error);
        }
    }

    fn finish(&self) -> io::Result<()> {
        let mut file = std::mem::replace(&mut *self.lock(), Err(io::ErrorKind::BrokenPipe.into()))?;
        writeln!(file, "\n]")?;
        file.flush()
    }

    fn lock(&self) -> MutexGuard<'_, io::Result<BufWriter<File>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Spans(Arc<Trace>);

/// When a span began, and its fields.
struct Began(Instant, Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Began(Instant::now(), fields.0));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let ended = Instant::now();
        let Some(span) = context.span(&id) else { return };
        let Some(Began(began, fields)) = span.extensions_mut().remove() else { return };
        let microseconds = |from, to: Instant| to.saturating_duration_since(from).as_nanos() as f64 / 1e3;
        self.0.write(&json!({
            "ph": "X",
            "pid": 1,
            "tid": thread(),
            "ts": microseconds(self.0.started, began),
            "dur": microseconds(began, ended),
            "name": span.name(),
            "args": fields,
        }));
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

/// A number for the calling thread, counted from 0.
fn thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<Option<usize>> = const { Cell::new(None) });
    NUMBER.with(|number| {
        let own = number.get().unwrap_or_else(|| THREADS.fetch_add(1, Ordering::Relaxed));
        number.set(Some(own));
        own
    })
}
