//! The `crossrank` program: rerank search results with a cross-encoder, on this machine.
//!
//! Standard output is data, standard error is talk. Exit statuses are in [`exit`].

mod cli;
mod cohere;
mod commands;
mod exit;
mod input;
mod model;
mod output;
mod profile;
mod quantized_copy;
mod server;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Rerank(arguments) => {
            profile::recorded(&arguments.profile, || commands::rerank::run(&arguments))
        }
        Command::Score(arguments) => {
            profile::recorded(&arguments.profile, || commands::score::run(&arguments))
        }
        Command::Serve(arguments) => server::run(arguments),
        Command::Tokenize(arguments) => commands::tokenize::run(&arguments),
        Command::Bench(arguments) => {
            profile::recorded(&arguments.profile, || commands::bench::run(&arguments))
        }
        Command::Eval(arguments) => commands::eval::run(&arguments),
        Command::Verify(arguments) => commands::verify::run(&arguments),
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Pull(arguments) => commands::pull::run(&arguments),
        Command::Convert(arguments) => commands::convert::run(&arguments),
        Command::Devices(arguments) => commands::devices::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
