//! What is measured, and how: the same for every contestant.
//!
//! A contestant is a small program around one crate: it implements [`Contestant`] and hands itself to
//! [`run`]. The clocks, the counts and the look into the database are here, so that all are held to
//! the same: a part ends when the *database* shows that all is done, whatever the worker believes.

mod body;
mod database;
mod measure;
mod options;
mod report;

pub use body::body;
pub use database::Database;
pub use options::{Options, Part, Steps};
pub use report::Report;

use clap::Parser;

/// What the contestants' functions return.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One job framework.
pub trait Contestant: Sized + Send + Sync + 'static {
    /// A query of one row and column: whether any program is unfinished.
    const UNFINISHED: &'static str;

    /// Why it leaves this part out.
    fn leaves_out(part: Part) -> Option<&'static str> {
        let _ = part;
        None
    }

    /// Connects, and sets up the tables of the fresh database.
    fn connect(options: &Options) -> impl Future<Output = Result<Self>>;

    /// Creates one program of this many steps, and returns when it is durable.
    fn create(&self, steps: Steps) -> impl Future<Output = Result<()>> + Send;

    /// Creates this many in the fastest way there is.
    fn create_many(&self, count: usize, steps: Steps) -> impl Future<Output = Result<()>> + Send;

    /// Runs a worker until `end` resolves. Its jobs call [`body`] and do nothing else.
    fn work(
        &self,
        steps: Steps,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Result<()>>;
}

/// Runs the part that the command line names, and prints its figures as one line of JSON.
///
/// # Errors
///
/// - The contestant or the database failed.
#[allow(clippy::print_stdout, reason = "the line is what it is for")]
pub fn run<C: Contestant>() -> Result<()> {
    let options = Options::parse();
    let report = match C::leaves_out(options.part) {
        Some(why) => Report::skipped(why),
        None => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(measure::measure::<C>(&options))?,
    };
    println!("{}", report.line(options.part)?);
    Ok(())
}
