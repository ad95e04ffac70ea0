//! From an error to words on standard error and an exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use crossrank_eval::EvalError;
use crossrank_hub::HubError;

use crate::input::InputError;

/// Says what went wrong and gives the exit status; a reader that closed the pipe is no error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let code = code(error);
    // Nobody reads standard error any more: the status still says it.
    let _ = write_report(&mut io::stderr().lock(), code, error);
    ExitCode::from(status(code))
}

fn write_report(out: &mut impl Write, code: &str, error: &anyhow::Error) -> io::Result<()> {
    writeln!(out, "error[{code}]: {error}")?;
    for cause in error.chain().skip(1) {
        writeln!(out, "  because: {cause}")?;
    }
    Ok(())
}

/// The code of the first error in the chain that has one.
fn code(error: &anyhow::Error) -> &'static str {
    let of_cause = |cause: &(dyn std::error::Error + 'static)| {
        (cause.downcast_ref::<crossrank::Error>().map(crossrank::Error::code))
            .or_else(|| cause.downcast_ref::<EvalError>().map(EvalError::code))
            .or_else(|| cause.downcast_ref::<HubError>().map(HubError::code))
            .or_else(|| cause.downcast_ref::<InputError>().map(InputError::code))
            .or_else(|| cause.downcast_ref::<io::Error>().map(io_code))
    };
    error.chain().find_map(of_cause).unwrap_or("internal")
}

fn io_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "storage_full",
        // Of a path, or of an address, that the command line named.
        io::ErrorKind::AddrInUse
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => "invalid_input",
        _ => "internal",
    }
}

/// The exit status of an error code; clap's own status for a wrong command line is 2 as well.
fn status(code: &str) -> u8 {
    match code {
        "invalid_input" | "input_too_long" => 2,
        "model_not_found" | "model_unreadable" | "model_unsupported" => 3,
        "weights_mismatch" | "tokenizer_mismatch" | "integrity_mismatch" => 3,
        "download_failed" | "offline" | "storage_full" | "cache_unusable" => 4,
        "device_unavailable" | "device_lost" | "out_of_memory" => 5,
        "overloaded" => 6,
        "cancelled" => 130,
        _ => 70,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_pipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_code_through_context() {
        let error = anyhow::Error::from(crossrank::Error::NoDocuments).context("while reranking");
        assert_eq!((code(&error), status(code(&error))), ("invalid_input", 2));
        let full = anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(status(code(&full)), 4);
    }

    #[test]
    fn a_closed_pipe_is_success() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&error.context("while writing")));
        assert!(!is_broken_pipe(&anyhow::anyhow!("other")));
    }

    #[test]
    fn a_report_names_the_code_and_every_cause() {
        let error = anyhow::anyhow!("no route").context("cannot download");
        let mut written = Vec::new();
        write_report(&mut written, "download_failed", &error).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "error[download_failed]: cannot download\n  because: no route\n"
        );
    }
}
