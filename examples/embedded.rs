//! The handle inside an existing tokio application: a small HTTP server creates programs and shows
//! them, and a worker runs in the same process.
//!
//! `cargo run --example embedded`, then `curl localhost:8077/Ada` and `curl localhost:8077/`.

use executor::{Filter, prelude::*};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[job]
async fn greet(name: String) -> Result<String, JobError> {
    Ok(format!("hello {name}"))
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let executor = executor::builder()
        .database_url("sqlite:embedded.db")
        .connect()
        .await?;

    // The application owns its signals: the worker stops when this future is ready.
    let working = executor.clone();
    let worker = tokio::spawn(async move {
        working
            .work_until(async { drop(tokio::signal::ctrl_c().await) })
            .await
    });

    tokio::select! {
        served = serve(executor) => served,
        worked = worker => worked?,
    }
}

async fn serve(executor: Executor) -> executor::Result<()> {
    let server = TcpListener::bind("127.0.0.1:8077").await?;
    println!("listening on http://{}", server.local_addr()?);
    loop {
        let (stream, _) = server.accept().await?;
        let executor = executor.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &executor).await {
                eprintln!("{error}");
            }
        });
    }
}

/// `/NAME` greets somebody and waits for it; `/` lists the last programs.
async fn answer(mut stream: TcpStream, executor: &Executor) -> executor::Result<()> {
    let mut request = vec![0; 1024];
    let read = stream.read(&mut request).await?;
    let request = String::from_utf8_lossy(&request[..read]);
    let name = request
        .split_whitespace()
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/');
    let mut body = String::new();
    if name.is_empty() {
        for program in executor.list(Filter::new().limit(10)).await? {
            body.push_str(&format!(
                "{} {} {:?}\n",
                program.run_id,
                program.state,
                program.output()
            ));
        }
    } else {
        let run_id = Greet {
            name: name.to_owned(),
        }
        .create(executor)
        .await?;
        let program = executor.wait(&run_id).await?;
        body.push_str(&format!("{}: {:?}\n", program.state, program.output()));
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    Ok(())
}
