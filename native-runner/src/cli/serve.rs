//! The flags of `crossrank serve`.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::EngineArguments;

/// Serve the rerank APIs of Cohere, Jina and TEI over HTTP
///
/// Clients of these APIs change their base URL and nothing else: docs/http-api.md. The server keeps no state
/// and opens no connection of its own but to fetch models; TLS is left to a proxy. The base URL is printed
/// on standard output when the models are loaded. SIGTERM answers what was accepted, then ends.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ServeArguments {
    /// The address to listen on; 0.0.0.0 for all
    #[arg(long, env = "CROSSRANK_HOST", value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// The port to listen on; 0 for any that is free
    #[arg(long, env = "CROSSRANK_PORT", value_name = "N", default_value_t = 8080)]
    pub(crate) port: u16,
    /// What is logged: error, warn, info, debug, or a filter of tracing-subscriber; never text of requests
    #[arg(long, env = "CROSSRANK_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// How the log on standard error is written
    #[arg(long, env = "CROSSRANK_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
    /// A model to serve, as for `crossrank rerank`; the first one answers for names that are not known
    #[arg(
        long,
        short,
        env = "CROSSRANK_MODEL",
        value_name = "NAME|DIR|FILE",
        value_delimiter = ',',
        default_value = "default",
        help_heading = "Model and device"
    )]
    pub(crate) model: Vec<String>,
    /// Answer 404 to names of models that are not loaded
    #[arg(long, env = "CROSSRANK_STRICT_MODELS", value_parser = FalseyValueParser::new(),
          help_heading = "Model and device")]
    pub(crate) strict_models: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
}

const EXAMPLES: &str = "Examples:
  crossrank serve
  crossrank serve --model bge-v2-m3 --model default --port 9000
  crossrank serve --host 0.0.0.0 --api-keys keys.txt
  printf %s my-secret-key | sha256sum | cut -d ' ' -f 1 >> keys.txt";

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArguments {
    /// A file of API keys, one sha256 in hexadecimal a line; every caller is let in without it
    #[arg(long, env = "CROSSRANK_API_KEYS", value_name = "FILE")]
    pub(crate) api_keys: Option<PathBuf>,
    /// Host names that requests may be sent to, beside localhost and addresses; `*` for all
    #[arg(long, env = "CROSSRANK_ALLOWED_HOSTS", value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins whose pages may call this server; none without it
    #[arg(long, env = "CROSSRANK_CORS_ORIGINS", value_name = "ORIGIN,…", value_delimiter = ',')]
    pub(crate) cors_origins: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArguments {
    /// Bytes of a request's body at most
    #[arg(long, env = "CROSSRANK_MAX_BODY_BYTES", value_name = "BYTES", default_value_t = 32 << 20)]
    pub(crate) max_body_bytes: usize,
    /// Documents of a request at most
    #[arg(long, env = "CROSSRANK_MAX_DOCUMENTS", value_name = "N", default_value_t = 10_000)]
    pub(crate) max_documents: usize,
    /// Tokens that may wait for a model, at about 4 bytes each; 429 is answered to what comes on top
    #[arg(long, env = "CROSSRANK_QUEUE_TOKENS", value_name = "N", default_value_t = 1_000_000)]
    pub(crate) queue_tokens: usize,
    /// Connections that are open at a time
    #[arg(long, env = "CROSSRANK_MAX_CONNECTIONS", value_name = "N", default_value = "2048")]
    pub(crate) max_connections: NonZeroUsize,
    /// Milliseconds until a ranking is due, where the request names no deadline; none without it
    #[arg(long, env = "CROSSRANK_DEADLINE_MS", value_name = "N")]
    pub(crate) deadline_ms: Option<u64>,
    /// Seconds that a client may take to send a request
    #[arg(long, env = "CROSSRANK_READ_SECONDS", value_name = "N", default_value_t = 30)]
    pub(crate) read_seconds: u64,
    /// Seconds that SIGTERM leaves for requests that were accepted
    #[arg(long, env = "CROSSRANK_DRAIN_SECONDS", value_name = "N", default_value_t = 60)]
    pub(crate) drain_seconds: u64,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}
