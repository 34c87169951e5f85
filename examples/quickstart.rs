//! The first look: a program of five jobs on the embedded store.
//!
//!     cargo run --example quickstart             # run it; kill it half way, and run it again
//!     cargo run --example quickstart -- --help   # the command line that every application has
#![allow(clippy::print_stdout, reason = "showing is what it is for")]

use std::time::{Duration, Instant};

use executor::{ProgramInfo, RunId, prelude::*};

/// What all jobs of the program can read.
#[derive(Serialize, Deserialize)]
struct Campaign {
    segment: String,
}

/// Finds out who gets the mail.
#[job]
async fn find_contacts(campaign: ProgramData<Campaign>) -> Result<Vec<String>, JobError> {
    some_work().await;
    Ok(["Ada", "Grace", "Edsger", "Barbara"]
        .map(|name| format!("{name} ({})", campaign.segment))
        .into())
}

/// Writes the mail; the first attempt fails on purpose, and the engine tries again.
#[job(retry(max = 5, backoff = "500ms..5s"))]
async fn write_mail(ctx: Context) -> Result<String, JobError> {
    some_work().await;
    if ctx.attempt() == 1 {
        return Err(JobError::retry("failing once on purpose, to show a retry"));
    }
    Ok("Dear friend".to_owned())
}

/// Sends the mails one by one, and after a crash goes on behind the last one sent.
#[job]
async fn send_mails(
    contacts: Output<FindContacts>, // what an earlier job returned: the compiler checks that it ran
    mut sent: Saved<usize>,         // progress, durable as soon as it is set
) -> Result<usize, JobError> {
    for contact in contacts.iter().skip(*sent) {
        some_work().await;
        sent.set(*sent + 1).await?;
        println!("    sent to {contact}");
    }
    Ok(*sent)
}

/// Counts who has opened the mail.
#[job]
async fn count_opened(sent: Output<SendMails>) -> Result<usize, JobError> {
    some_work().await;
    Ok(*sent - 1)
}

/// Sums it up.
#[job]
async fn report(sent: Output<SendMails>, opened: Output<CountOpened>) -> Result<String, JobError> {
    some_work().await;
    Ok(format!("{} of {} opened it", *opened, *sent))
}

/// Sends a mail to a segment of the customers, and reports on it.
#[program]
fn campaign(segment: String) -> impl IntoProgram {
    Program::new(Campaign { segment })
        .then(FindContacts)
        .then(WriteMail)
        .then(SendMails::default())
        .then(CountOpened)
        .then(Report)
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:quickstart.db".to_owned());
    let builder = executor::builder().database_url(url);
    if std::env::args().len() > 1 {
        return builder.run().await; // the command line; most applications have this line alone
    }
    let executor = builder.connect().await?;
    // At most one unfinished program has this key: after a crash this finds the one of before.
    let program = campaign("vip".to_owned()).unique("quickstart");
    let created = executor.create(program.named("campaign")).await?;
    let run_id = created.run_id;
    match executor.get(&run_id).await? {
        Some(found) if created.existed => {
            let job = found.job().unwrap_or("the end");
            println!("going on with {run_id}, step {} ({job})", found.step + 1);
        }
        _ => println!("created program {run_id}; kill me at any time, and start me again"),
    }
    // Work here until the program has been shown to its end.
    let mut shown = Ok(());
    let end = async { shown = show(&executor, &run_id).await };
    executor.work_until(end).await?;
    shown
}

/// Shows what happens to the program, and a table at the end.
async fn show(executor: &Executor, run_id: &RunId) -> executor::Result<()> {
    let start = Instant::now();
    let mut watch = executor.watch(run_id);
    let (mut retries, mut done) = (None, Vec::new());
    while let Some(program) = watch.next().await? {
        let seen = retries.replace(program.errors.len());
        for failed in program.errors.iter().skip(seen.unwrap_or(usize::MAX)) {
            println!("  ↻ {}: {}", failed.job, failed.error);
        }
        for job in program.jobs.iter().take(program.step).skip(done.len()) {
            done.push(match seen {
                Some(_) => format!("{:.1}s", start.elapsed().as_secs_f64()),
                None => "before".to_owned(), // by the process that was killed
            });
            println!("  ✓ {job} ({} of {})", done.len(), program.jobs.len());
        }
        if program.state.is_terminal() {
            table(&program, &done);
        }
    }
    Ok(())
}

fn table(program: &ProgramInfo, done: &[String]) {
    println!("\n{:15} {:8} {:8} result", "job", "retries", "done");
    for (step, (job, done)) in program.jobs.iter().zip(done).enumerate() {
        let failed = program.errors.iter().filter(|error| error.step == step);
        let (retries, result) = (failed.count(), &program.outputs[job]);
        println!("{job:15} {retries:<8} {done:8} {result}");
    }
    println!("\nthe program has {}; to see more of it:", program.state);
    println!("cargo run --example quickstart -- show {}", program.run_id);
}

/// Stands for what real jobs do.
async fn some_work() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}
