//! The one error that the library hands out.

use std::fmt;

/// Any error, boxed: what [`Error`] and [`JobError`](struct@crate::JobError) are made from.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of everything that talks to the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
///
/// Opaque: [`kind`](Error::kind) is what a program decides by, the text is for people. It does
/// not implement [`std::error::Error`], so that `?` turns any error into it; its `Debug` is
/// one line, so that `main` can return it.
///
/// ```
/// fn read() -> executor::Result<u32> {
///     Ok("seven".parse::<u32>()?)
/// }
/// assert_eq!(format!("{:?}", read().expect_err("it is wrong")), "invalid digit found in string");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
    /// Whether the store is away, and may come back by itself.
    away: bool,
}

/// What went wrong, as conditions that code can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong or missing: the text names it.
    Configuration,
    /// The command line was used wrongly.
    Usage,
    /// No job of this name is registered in this binary.
    UnknownJob,
    /// Two jobs, or two programs, of one name are registered.
    DuplicateName,
    /// No `#[program]` of this name is registered.
    UnknownProgram,
    /// Data does not fit the type that reads it: the text has the field's path.
    InvalidData,
    /// A list of jobs that cannot run: empty, or an output is needed before it is made.
    InvalidProgram,
    /// A job needs state that the application did not provide.
    MissingState,
    /// There is no such program.
    NotFound,
    /// The program's present state does not allow it: the text says which state that is.
    Conflict,
    /// Another claim has taken the program.
    LeaseLost,
    /// The tables were made by a newer version that this one must not write to.
    NewerSchema,
    /// The store could not be reached, or refused.
    Store,
    /// The program that was waited for ended as errored.
    ProgramErrored,
    /// Any error of the application's own, by `?`.
    Other,
}

impl Error {
    /// An error of this kind; the text is one line, in lower case, and says what to do next.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            away: false,
        }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: Some(source.into()),
            away: false,
        }))
    }

    /// The same where it is so: the store is away, and may come back by itself.
    #[cfg(feature = "server")]
    pub(crate) fn away_if(mut self, away: bool) -> Self {
        self.0.away = away;
        self
    }

    /// Whether it is worth while to wait for the store.
    pub(crate) fn is_away(&self) -> bool {
        self.0.away
    }

    /// The condition that code can decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The error beneath this one, if there is one.
    pub fn source(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {}", Chain(source.as_ref()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: Into<BoxError>> From<E> for Error {
    fn from(error: E) -> Self {
        let error = error.into();
        Self::new(ErrorKind::Other, Chain(error.as_ref()).to_string())
    }
}

/// An error and all beneath it, in one line; a text that its parent repeats is left out.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_becomes_one_by_question_mark() {
        fn parse() -> Result<u8> {
            Ok("x".parse::<u8>()?)
        }
        let error = parse().expect_err("it is wrong");
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(error.to_string(), "invalid digit found in string");
    }

    #[test]
    fn debug_is_one_line_with_the_chain() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::with_source(ErrorKind::Store, "the store can't be opened", io);
        assert_eq!(
            format!("{error:?}"),
            "the store can't be opened: disk on fire"
        );
    }
}
