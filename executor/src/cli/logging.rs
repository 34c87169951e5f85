//! What is logged, where the application has not seen to it itself.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::terminal::Stderr;
use crate::error::{Error, ErrorKind, Result};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const WARN: usize = 2;
const INFO: usize = 3;

/// Logs to stderr as `RUST_LOG` or `-v` and `-q` say; else a working process tells what it does, and
/// a command only what went wrong. An application's own subscriber stays.
pub(super) fn start(works: bool, verbose: u8, quiet: u8) -> Result<()> {
    if tracing::dispatcher::has_been_set() {
        return Ok(());
    }
    let color =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    // Somebody who was faster has a reason.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter(works, verbose, quiet)?)
        .with_writer(|| Stderr)
        .with_ansi(color)
        .try_init();
    Ok(())
}

fn filter(works: bool, verbose: u8, quiet: u8) -> Result<EnvFilter> {
    let from_environment = std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    match from_environment {
        Some(filter) if verbose == 0 && quiet == 0 => {
            EnvFilter::builder().parse(filter).map_err(|e| {
                let message =
                    "RUST_LOG is no filter; write it like \"info\" or \"executor=debug,info\"";
                Error::with_source(ErrorKind::Configuration, message, e)
            })
        }
        // Trouble with RabbitMQ is told once, by whoever has it.
        _ if verbose == 0 => Ok(EnvFilter::new(format!(
            "{},lapin=off",
            level(works, verbose, quiet)
        ))),
        _ => Ok(EnvFilter::new(level(works, verbose, quiet))),
    }
}

fn level(works: bool, verbose: u8, quiet: u8) -> &'static str {
    let usual = if works { INFO } else { WARN };
    let wanted = (usual + usize::from(verbose)).saturating_sub(usize::from(quiet));
    LEVELS[wanted.min(LEVELS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn each_repetition_is_one_level() {
        assert_eq!(level(true, 0, 0), "info");
        assert_eq!(level(false, 0, 0), "warn");
        assert_eq!(level(false, 2, 0), "debug");
        assert_eq!(level(true, 200, 0), "trace");
        assert_eq!(level(false, 0, 2), "off");
        assert_eq!(level(true, 0, 255), "off");
    }
}
