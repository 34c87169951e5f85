//! Panics of job bodies, caught with their message and place.
//!
//! The place is known to the panic hook alone. Ours is installed in front of the application's
//! and keeps silent for job bodies (the engine logs those as errors of their program); every
//! other panic goes on to the application's hook.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::Once,
    task::{Context, Poll},
};

thread_local! {
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs the hook, once for the process.
fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IN_JOB.get() {
                PLACE.set(info.location().map(ToString::to_string));
            } else {
                next(info);
            }
        }));
    });
}

/// Runs `body`; a panic comes back as `message (file:line:column)`.
pub(super) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    install_hook();
    let outer = IN_JOB.replace(true);
    // What the body leaves behind is dropped with the attempt, and never looked at.
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    IN_JOB.set(outer);
    result.map_err(|payload| {
        let message = message(payload.as_ref());
        match PLACE.take() {
            Some(place) => format!("{message} ({place})"),
            None => message,
        }
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

/// A future whose panics are caught.
pub(crate) struct CatchPanic<F>(Pin<Box<F>>)
where
    F: ?Sized;

impl<F: Future + ?Sized> CatchPanic<F> {
    pub(crate) fn new(future: Pin<Box<F>>) -> Self {
        Self(future)
    }

    /// Drops the future, and catches a panic of its destructors.
    pub(crate) fn discard(self) -> Result<(), String> {
        catch(|| drop(self))
    }
}

impl<F: Future + ?Sized> Future for CatchPanic<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| self.0.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_message_and_place() {
        let error = catch(|| panic!("out of {}", "cheese")).expect_err("it panics");
        assert!(
            error.starts_with("out of cheese (executor/src/job/panic.rs:"),
            "{error}"
        );
        let error = catch(|| panic::panic_any(7)).expect_err("it panics");
        assert!(error.starts_with("a panic without a message ("), "{error}");
    }

    #[test]
    fn leaves_a_value_alone() {
        assert_eq!(catch(|| 7), Ok(7));
    }
}
