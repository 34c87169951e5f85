//! What goes to stdout and stderr.
//!
//! Results are for stdout, where a reader that goes away (`list | head`) is no error. Remarks, logs
//! and progress bars share stderr: what is written while bars stand there goes above them.

use std::{
    io::{self, ErrorKind as IoErrorKind, Write},
    sync::OnceLock,
};

use indicatif::MultiProgress;
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Writes to stdout. `false`: nobody reads there any more.
pub(super) fn print(text: &str) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == IoErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::with_source(
            ErrorKind::Other,
            "stdout can't be written to",
            error,
        )),
    }
}

/// Writes JSON for scripts to stdout, laid out so that people can read it too.
pub(super) fn print_json(value: &impl Serialize) -> Result<bool> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Writes a line for people to stderr.
pub(super) fn note(text: &str) {
    // Where nobody can read it, nothing is lost.
    let _ = Stderr.write_all(format!("{text}\n").as_bytes());
}

/// The place of all progress bars of this process.
pub(super) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// Stderr, with the progress bars out of the way.
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match BARS.get() {
            Some(bars) => bars.suspend(|| io::stderr().write(text)),
            None => io::stderr().write(text),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
