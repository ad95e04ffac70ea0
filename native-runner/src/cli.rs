//! The command line: every flag, its environment variable and its help.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use crossrank::{DeviceChoice, Precision, Truncation, WindowRule};

mod serve;
pub(crate) use serve::{LogFormat, ServeArguments};

/// Rerank search results with a cross-encoder, on this machine
///
/// A cross-encoder reads the query and a document together and says how well the one answers the
/// other. Text never leaves this machine. A small English model is part of this program; `crossrank
/// models` lists others.
#[derive(Debug, Parser)]
#[command(name = "crossrank", version, arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  crossrank rerank --sample
  crossrank rerank --query \"how long does cooked rice keep\" --documents passages.jsonl --top-n 5
  grep -ri rice notes/ | crossrank rerank --query \"how long does cooked rice keep\" --documents -

Exit statuses:
  0 success   2 bad input   3 bad model   4 download or storage   5 device or memory   70 a bug";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Rerank(RerankArguments),
    Score(ScoreArguments),
    Serve(ServeArguments),
    Tokenize(TokenizeArguments),
    Bench(BenchArguments),
    Eval(crate::commands::eval::EvalArguments),
    Verify(crate::commands::verify::VerifyArguments),
    Models(ModelsArguments),
    Pull(PullArguments),
    Convert(ConvertArguments),
    Devices(DevicesArguments),
    Completions(CompletionsArguments),
}

/// Rank documents by how well they answer a query
///
/// Documents are a JSON array, JSON Lines of strings or objects, or plain lines; the content decides.
/// A document longer than the model's context is read in windows, and its best window counts.
#[derive(Debug, Args)]
#[command(
    override_usage = "crossrank rerank --query <QUERY> --documents <FILE|-> [OPTIONS]\n       crossrank rerank --sample",
    arg_required_else_help = true,
    after_long_help = RERANK_EXAMPLES
)]
pub(crate) struct RerankArguments {
    /// What is searched for
    #[arg(long, short, env = "CROSSRANK_QUERY")]
    pub(crate) query: Option<String>,
    /// The documents, best of the first stage first; `-` reads standard input
    #[arg(long, short, env = "CROSSRANK_DOCUMENTS", value_name = "FILE|-")]
    pub(crate) documents: Option<PathBuf>,
    /// Rank the sample that is part of this program
    #[arg(long, env = "CROSSRANK_SAMPLE", value_parser = FalseyValueParser::new())]
    pub(crate) sample: bool,
    /// Fields of object documents to read, in this order; all but `_id` without it
    #[arg(long, env = "CROSSRANK_RANK_FIELDS", value_name = "FIELD,…", value_delimiter = ',')]
    pub(crate) rank_fields: Option<Vec<String>>,
    /// Tokens of a document that are read at most
    #[arg(long, env = "CROSSRANK_MAX_TOKENS_PER_DOC", value_name = "N", default_value_t = 4096)]
    pub(crate) max_tokens_per_doc: usize,
    /// How long documents are split; the model's own rule without it
    #[arg(long, env = "CROSSRANK_WINDOW")]
    pub(crate) window: Option<Window>,
    /// Score documents by their beginning, and the N best again, read whole; these rank above the others
    #[arg(long, env = "CROSSRANK_CASCADE_KEEP", value_name = "N")]
    pub(crate) cascade_keep: Option<usize>,
    /// Tokens of a document's beginning
    #[arg(
        long,
        env = "CROSSRANK_CASCADE_TOKENS",
        value_name = "N",
        default_value_t = 128,
        requires = "cascade_keep"
    )]
    pub(crate) cascade_tokens: usize,
    /// Milliseconds until the answer is due; documents not reached keep their order at the end
    #[arg(long, env = "CROSSRANK_DEADLINE_MS", value_name = "N")]
    pub(crate) deadline_ms: Option<u64>,
    #[command(flatten)]
    pub(crate) results: ResultArguments,
    #[command(flatten)]
    pub(crate) profile: ProfileArguments,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
}

const RERANK_EXAMPLES: &str = "Examples:
  crossrank rerank --query \"berlin population\" --documents passages.txt
  crossrank rerank --query \"quiet pump\" --documents products.jsonl --rank-fields title,specs
  crossrank rerank --query \"quiet pump\" --documents products.jsonl --format trec > run.trec";

#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct ResultArguments {
    /// Results to print; all without it
    #[arg(long, env = "CROSSRANK_TOP_N", value_name = "N")]
    pub(crate) top_n: Option<usize>,
    /// Leave out results with a lower score
    #[arg(long, env = "CROSSRANK_MIN_SCORE", value_name = "0..1", allow_negative_numbers = true)]
    pub(crate) min_score: Option<f64>,
    /// Print each document with its result (json, jsonl)
    #[arg(long, env = "CROSSRANK_RETURN_DOCUMENTS", value_parser = FalseyValueParser::new())]
    pub(crate) return_documents: bool,
    /// Print the model's raw output beside the score
    #[arg(long, env = "CROSSRANK_RAW_SCORES", value_parser = FalseyValueParser::new())]
    pub(crate) raw_scores: bool,
    /// How results are printed; a table on a terminal, jsonl elsewhere
    #[arg(long, env = "CROSSRANK_FORMAT")]
    pub(crate) format: Option<Format>,
    /// The query's identifier in a TREC run
    #[arg(long, env = "CROSSRANK_QUERY_ID", value_name = "ID", default_value = "1")]
    pub(crate) query_id: String,
}

/// Score (query, document) pairs in their own order
///
/// One JSON line out for each pair in: {"index":0,"score":0.98,"logit":3.9,"tokens":31}. Pairs are read
/// as a stream; one longer than the model's context is truncated.
#[derive(Debug, Args)]
#[command(after_long_help = SCORE_EXAMPLES)]
pub(crate) struct ScoreArguments {
    #[command(flatten)]
    pub(crate) pairs: PairArguments,
    /// Print the model's raw output as `score`, too, in the place of its sigmoid
    #[arg(long, env = "CROSSRANK_RAW_SCORES", value_parser = FalseyValueParser::new())]
    pub(crate) raw_scores: bool,
    /// How scores are printed
    #[arg(long, env = "CROSSRANK_FORMAT", default_value = "jsonl")]
    pub(crate) format: PairFormat,
    #[command(flatten)]
    pub(crate) profile: ProfileArguments,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
}

const SCORE_EXAMPLES: &str = "Examples:
  crossrank score --pairs pairs.jsonl > scores.jsonl
  echo '[\"berlin population\",\"Berlin has 3.5 million inhabitants.\"]' | crossrank score --pairs -";

/// Print the token ids of (query, document) pairs
///
/// One JSON line out for each pair in, as the model reads it: {"index":0,"ids":[…],"type_ids":[…]}.
#[derive(Debug, Args)]
#[command(after_long_help = TOKENIZE_EXAMPLES)]
pub(crate) struct TokenizeArguments {
    #[command(flatten)]
    pub(crate) pairs: PairArguments,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
}

const TOKENIZE_EXAMPLES: &str = "Examples:
  crossrank tokenize --pairs pairs.jsonl
  echo '[\"berlin population\",\"Berlin has 3.5 million inhabitants.\"]' | crossrank tokenize --pairs -";

/// Measure how fast this machine scores (query, document) pairs
///
/// One line of JSON: the machine's device, the seconds of every round, pairs and GFLOP per second of the best one.
#[derive(Debug, Args)]
#[command(after_long_help = BENCH_EXAMPLES)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    pub(crate) pairs: PairArguments,
    /// Rounds that are timed, after one that is not
    #[arg(long, env = "CROSSRANK_ROUNDS", value_name = "N", default_value = "5")]
    pub(crate) rounds: std::num::NonZeroUsize,
    /// TFLOP/s of the device at this dtype, as its maker says: the best round is printed in percent of it, too
    #[arg(long, env = "CROSSRANK_PEAK_TFLOPS", value_name = "N", value_parser = positive)]
    pub(crate) peak_tflops: Option<f64>,
    /// Print the logits, too
    #[arg(long, env = "CROSSRANK_LOGITS", value_parser = FalseyValueParser::new())]
    pub(crate) logits: bool,
    #[command(flatten)]
    pub(crate) profile: ProfileArguments,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "it must be a finite number above 0".to_owned())
}

const BENCH_EXAMPLES: &str = "Examples:
  crossrank bench --pairs pairs.jsonl --device gpu --peak-tflops 29.8
  crossrank bench --pairs pairs.jsonl --device cpu --dtype q8 --threads 4";

#[derive(Debug, Args)]
pub(crate) struct PairArguments {
    /// JSON Lines of {"query":"…","document":"…"} or ["query","document"]; `-` reads standard input
    #[arg(long, short, env = "CROSSRANK_PAIRS", value_name = "FILE|-")]
    pub(crate) pairs: PathBuf,
    /// Tokens of a pair at most, special tokens included; the model's limit without it
    #[arg(long, env = "CROSSRANK_MAX_LENGTH", value_name = "N")]
    pub(crate) max_length: Option<usize>,
    /// Which side of a pair that is too long gives way
    #[arg(long, env = "CROSSRANK_TRUNCATION", default_value = "longest-first")]
    pub(crate) truncation: TruncationRule,
}

#[derive(Debug, Args)]
pub(crate) struct ProfileArguments {
    /// Write where the time goes, for chrome://tracing or ui.perfetto.dev; costs a little of it
    #[arg(long, env = "CROSSRANK_PROFILE", value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model and device")]
pub(crate) struct ModelArguments {
    /// A name of `crossrank models`, a Hugging Face repository (owner/name), a folder, or a GGUF file
    #[arg(long, short, env = "CROSSRANK_MODEL", value_name = "NAME|DIR|FILE", default_value = "default")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model and device")]
pub(crate) struct EngineArguments {
    /// auto, cpu, gpu, cuda, or part of an adapter's name (`crossrank devices`)
    #[arg(long, env = "CROSSRANK_DEVICE", default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// How weights are multiplied; by default f16 on a GPU that has it, q8 on a CPU if the file holds integers, else f32
    #[arg(long, env = "CROSSRANK_DTYPE")]
    pub(crate) dtype: Option<Dtype>,
    /// Processor threads; all without it
    #[arg(long, env = "CROSSRANK_THREADS", value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
    /// Bytes of working memory beside the weights; 1 GiB without it
    #[arg(long, env = "CROSSRANK_MEMORY_BUDGET", value_name = "BYTES")]
    pub(crate) memory_budget: Option<u64>,
    #[command(flatten)]
    pub(crate) network: NetworkArguments,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NetworkArguments {
    /// Never open a connection: use what is on this machine
    #[arg(long, env = "CROSSRANK_OFFLINE", value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
}

/// List the models that have a name here
#[derive(Debug, Args)]
pub(crate) struct ModelsArguments {
    /// How the list is printed
    #[arg(long, env = "CROSSRANK_FORMAT", default_value = "table")]
    pub(crate) format: ListFormat,
}

/// Download a model or a collection into the Hugging Face cache and print its folder
///
/// HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN and HF_HUB_OFFLINE mean what they mean elsewhere.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  crossrank pull bge-v2-m3\n  crossrank pull BAAI/bge-reranker-base")]
pub(crate) struct PullArguments {
    /// A name of `crossrank models`, a Hugging Face repository (owner/name), or a collection that `crossrank eval` knows
    #[arg(env = "CROSSRANK_MODEL", value_name = "NAME")]
    pub(crate) name: String,
    /// Which of a collection's judgements
    #[arg(long, env = "CROSSRANK_SPLIT", default_value = "test")]
    pub(crate) split: String,
    #[command(flatten)]
    pub(crate) network: NetworkArguments,
}

/// Write a quantized copy of a model as a folder that `--model` takes
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  crossrank convert bge-base --quantize q8 --out bge-base-q8\n  crossrank rerank --model bge-base-q8 --query berlin --documents passages.txt"
)]
pub(crate) struct ConvertArguments {
    /// A name of `crossrank models`, a Hugging Face repository (owner/name), or a folder
    #[arg(env = "CROSSRANK_MODEL", value_name = "MODEL")]
    pub(crate) model: String,
    /// 8 bits with a scale per row, or 4 bits with a scale per 32 columns
    #[arg(long, env = "CROSSRANK_QUANTIZE")]
    pub(crate) quantize: Quantization,
    /// The folder to write; it must not hold a model yet
    #[arg(long, env = "CROSSRANK_OUT", value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) network: NetworkArguments,
}

/// List the devices this build can run on
#[derive(Debug, Args)]
pub(crate) struct DevicesArguments {
    /// How the list is printed
    #[arg(long, env = "CROSSRANK_FORMAT", default_value = "table")]
    pub(crate) format: ListFormat,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  crossrank completions bash > ~/.local/share/bash-completion/completions/crossrank"
)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(env = "CROSSRANK_SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// How a ranking is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Rank, former place, move, score and text
    Table,
    /// The body of Cohere's v2 rerank endpoint
    Json,
    /// One JSON object a line, best first
    Jsonl,
    /// A run file for trec_eval
    Trec,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// Columns
    Table,
    /// A JSON array
    Json,
}

/// How scores of pairs are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PairFormat {
    /// One JSON object a line, in input order
    Jsonl,
}

/// How long documents are split.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Window {
    /// Windows that do not overlap
    Cohere,
    /// Windows that overlap by up to 80 tokens, the last one flush right
    Jina,
    /// One window, the rest is not read
    None,
}

impl From<Window> for WindowRule {
    fn from(window: Window) -> Self {
        match window {
            Window::Cohere => WindowRule::Cohere,
            Window::Jina => WindowRule::Jina,
            Window::None => WindowRule::None,
        }
    }
}

/// Which side of a pair gives way.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TruncationRule {
    /// The longer one, token by token
    LongestFirst,
    /// The document
    OnlySecond,
}

impl From<TruncationRule> for Truncation {
    fn from(rule: TruncationRule) -> Self {
        match rule {
            TruncationRule::LongestFirst => Truncation::LongestFirst,
            TruncationRule::OnlySecond => Truncation::OnlySecond,
        }
    }
}

/// How weights are kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    F16,
    Q8,
    Q4,
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Precision::F32,
            Dtype::F16 => Precision::F16,
            Dtype::Q8 => Precision::Q8,
            Dtype::Q4 => Precision::Q4,
        }
    }
}

/// What weights are converted to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Quantization {
    Q8,
    Q4,
}

impl From<Quantization> for Precision {
    fn from(quantization: Quantization) -> Self {
        match quantization {
            Quantization::Q8 => Precision::Q8,
            Quantization::Q4 => Precision::Q4,
        }
    }
}
