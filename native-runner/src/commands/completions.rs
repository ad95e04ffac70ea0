//! `crossrank completions`: a script for a shell.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArguments};
use crate::output::write_stdout;

pub(crate) fn run(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    // Into memory first: clap panics when it writes to a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "crossrank", &mut script);
    write_stdout(&script)
}
