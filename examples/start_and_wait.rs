//! A job that hands its work to another program, and goes on with what that one has made.
//!
//! `cargo run --example start_and_wait`

use executor::{Event, prelude::*};

/// Renders one chapter.
#[job]
async fn render(title: String) -> Result<usize, JobError> {
    println!("rendering {title:?}");
    Ok(title.len() * 10)
}

/// Binds what was rendered into a book, and tells its number of pages.
#[job]
async fn bind(lines: Output<Render>) -> Result<usize, JobError> {
    Ok(lines.div_ceil(30))
}

/// Has a book made by a program of its own. It returns what the last job of that program returns.
#[job]
async fn make_book(ctx: Context, title: String) -> Result<usize, JobError> {
    let book = Program::new(()).then(Render { title }).then(Bind);
    // This program now waits, without a slot and without a worker.
    Err(ctx.start_and_wait(book))
}

#[job]
async fn ship(pages: Output<MakeBook>) -> Result<String, JobError> {
    Ok(format!("{} pages are on their way", *pages))
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let folder =
        std::env::temp_dir().join(format!("executor-start-and-wait-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let executor = executor::builder()
        .database_url(format!("sqlite:{}", folder.join("programs.db").display()))
        // One slot is enough: who waits takes none.
        .slots(1)
        .connect()
        .await?;

    let mut events = executor.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::StepDone { run_id, job, .. } = event {
                println!("{run_id}: {job} is done");
            }
        }
    });

    let title = "The life of a program".to_owned();
    let run_id = Program::new(())
        .then(MakeBook { title })
        .then(Ship)
        .create(&executor)
        .await?;
    for program in executor.work_until_ended([&run_id]).await? {
        println!(
            "{}: {}",
            program.state,
            program.output().unwrap_or(&"nothing".into())
        );
    }
    for child in executor.children(&run_id).await? {
        println!("its child: {child}");
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
