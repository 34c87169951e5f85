//! Progress that is durable before the job goes on.

use std::{fmt, ops::Deref};

use serde::Serialize;

use super::{Attempt, JobError};

/// A field of a job's data that is durable progress.
///
/// It reads like its value. [`set`](Saved::set) and [`update`](Saved::update) return when the new
/// value is in the database: an attempt after a crash goes on from there. It starts as
/// `T::default()`.
///
/// ```
/// use executor::prelude::*;
///
/// #[job]
/// async fn send_pages(mut page: Saved<u32>) -> Result<u32, JobError> {
///     while *page < 3 {
///         // … send it …
///         page.set(*page + 1).await?;
///     }
///     Ok(*page)
/// }
///
/// # async fn test() -> Result<(), JobError> {
/// assert_eq!(send_pages(Saved::new(1)).await?, 3);
/// # Ok(()) }
/// ```
pub struct Saved<T> {
    value: T,
    /// None in a test that calls the function itself.
    place: Option<(Attempt, &'static str)>,
}

impl<T> Saved<T> {
    /// For calling a job's function in a test: nothing is stored.
    pub fn new(value: T) -> Self {
        Self { value, place: None }
    }
}

impl<T: Serialize> Saved<T> {
    /// Makes `value` durable, and then the present one.
    ///
    /// # Errors
    /// The program was stopped (the value is stored all the same), or another worker has taken it:
    /// return the error with `?`, and the engine knows what to do.
    pub async fn set(&mut self, value: T) -> Result<(), JobError> {
        if let Some((attempt, field)) = &self.place {
            attempt.save_field(field, &value).await?;
        }
        self.value = value;
        Ok(())
    }
}

impl<T: Serialize + Clone> Saved<T> {
    /// Makes a changed value durable, and then the present one.
    ///
    /// # Errors
    /// As [`set`](Saved::set).
    pub async fn update(&mut self, change: impl FnOnce(&mut T)) -> Result<(), JobError> {
        let mut value = self.value.clone();
        change(&mut value);
        self.set(value).await
    }
}

impl<T> Deref for Saved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Saved<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Saved").field(&self.value).finish()
    }
}

/// A field that is saved progress.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `Saved<T>`",
    label = "a parameter type of this name must be executor's own",
    note = "give your own type another name, or import `executor::Saved`"
)]
pub trait SavedParam: Sized {
    /// The `T` of `Saved<T>`.
    type Value;

    /// The field's value with the place to store it.
    fn from_field(attempt: &Attempt, field: &'static str, value: Self::Value) -> Self;
}

// Without bounds: what `T` must be is said once, at the field of the job's data.
impl<T> SavedParam for Saved<T> {
    type Value = T;

    fn from_field(attempt: &Attempt, field: &'static str, value: T) -> Self {
        Self {
            value,
            place: Some((attempt.clone(), field)),
        }
    }
}
