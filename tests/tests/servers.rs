//! The servers and the network that other tests spoil do what these tests believe.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use executor_tests::{OwnMariaDb, OwnPostgres, Proxy, Settings, until};
use mysql_async::prelude::Queryable;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_postgres::NoTls;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// Long enough for anything on this machine, where it is going to happen at all.
const LONG: Duration = Duration::from_secs(30);

/// How long nothing must happen.
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_postgres_of_a_tests_own_keeps_what_is_committed_when_it_crashes() {
    let Some(mut server) = OwnPostgres::start(Settings::default()).await else {
        return;
    };
    let client = postgres(&server.url()).await.expect("a login");
    let made = "CREATE TABLE kept (number int); INSERT INTO kept VALUES (7)";
    client.batch_execute(made).await.expect("it is written");

    server.stop();
    assert!(client.batch_execute("SELECT 1").await.is_err());
    let refused = TcpStream::connect(server.addr()).await;
    let refused = refused.expect_err("nobody is there");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

    server.start_again().await;
    let client = postgres(&server.url()).await.expect("a login");
    let row = client.query_one("SELECT number FROM kept", &[]).await;
    assert_eq!(row.expect("the row").get::<_, i32>(0), 7);
    let durable = client.query_one("SHOW fsync", &[]).await.expect("a row");
    assert_eq!(durable.get::<_, &str>(0), "on");
}

#[tokio::test]
async fn a_mariadb_of_a_tests_own_keeps_what_is_committed_when_it_crashes() {
    let Some(mut server) = OwnMariaDb::start(Settings::default()).await else {
        return;
    };
    let mut client = maria_db(&server.url()).await.expect("a login");
    let made = "CREATE DATABASE own; CREATE TABLE own.kept (number int) ENGINE = InnoDB; \
                INSERT INTO own.kept VALUES (7)";
    client.query_drop(made).await.expect("it is written");

    server.stop();
    assert!(client.query_drop("SELECT 1").await.is_err());
    let refused = TcpStream::connect(server.addr()).await;
    let refused = refused.expect_err("nobody is there");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

    server.start_again().await;
    let mut client = maria_db(&server.url()).await.expect("a login");
    let kept: Option<i32> = client
        .query_first("SELECT number FROM own.kept")
        .await
        .expect("a table");
    assert_eq!(kept, Some(7));
}

#[tokio::test]
async fn a_server_that_is_shut_down_tells_its_clients() {
    let settings = Settings::default().without_fsync();
    let Some(mut server) = OwnPostgres::start(settings).await else {
        return;
    };
    let client = postgres(&server.url()).await.expect("a login");
    let sleeping = client.batch_execute("SELECT pg_sleep(600)");
    let (_, outcome) = tokio::join!(server.shut_down(), sleeping);
    let error = outcome.expect_err("it was interrupted");
    assert_eq!(error.code().expect("a code").code(), "57P01");
}

#[tokio::test]
async fn settings_reach_the_servers() {
    let settings = || {
        let settings = Settings::default().without_fsync();
        settings.set("max_connections", 17)
    };
    if let Some(server) = OwnPostgres::start(settings()).await {
        let client = postgres(&server.url()).await.expect("a login");
        for (name, value) in [("max_connections", "17"), ("fsync", "off")] {
            let row = client.query_one(&format!("SHOW {name}"), &[]).await;
            assert_eq!(row.expect("a row").get::<_, &str>(0), value, "{name}");
        }
    }
    if let Some(server) = OwnMariaDb::start(settings()).await {
        let mut client = maria_db(&server.url()).await.expect("a login");
        let row: Option<(u32, u32)> = client
            .query_first("SELECT @@max_connections, @@innodb_flush_log_at_trx_commit")
            .await
            .expect("a row");
        assert_eq!(row, Some((17, 0)));
    }
}

#[tokio::test]
async fn a_frozen_server_stands_still_until_it_is_thawed() {
    let settings = Settings::default().without_fsync();
    if let Some(server) = OwnPostgres::start(settings.clone()).await {
        let client = postgres(&server.url()).await.expect("a login");
        server.freeze();
        let mut asking = Box::pin(client.batch_execute("SELECT 1"));
        assert!(timeout(SHORT, &mut asking).await.is_err());
        let url = server.url();
        assert!(timeout(SHORT, postgres(&url)).await.is_err());
        server.thaw();
        let answer = timeout(LONG, asking).await.expect("in time");
        answer.expect("an answer");
    }
    if let Some(server) = OwnMariaDb::start(settings).await {
        let mut client = maria_db(&server.url()).await.expect("a login");
        server.freeze();
        let mut asking = Box::pin(client.query_drop("SELECT 1"));
        assert!(timeout(SHORT, &mut asking).await.is_err());
        server.thaw();
        let answer = timeout(LONG, asking).await.expect("in time");
        answer.expect("an answer");
    }
}

#[tokio::test]
async fn a_server_with_tls_lets_nobody_in_without() {
    if let Some(server) = OwnPostgres::start(Settings::tls()).await {
        let login = postgres(&server.url()).await;
        let Err(refused) = login else {
            panic!("it lets clients in without TLS");
        };
        assert_eq!(refused.code().expect("a code").code(), "28000");
        let handshake = postgres_handshake(server.addr(), server.ca_file()).await;
        handshake.expect("a certificate that verifies");
    }
    if let Some(server) = OwnMariaDb::start(Settings::tls()).await {
        let login = maria_db(&server.url()).await;
        let Err(mysql_async::Error::Server(refused)) = login else {
            panic!("not a refusal of the server's: {login:?}");
        };
        // Versions differ: access is denied, or insecure transport prohibited.
        assert!([1045, 3159].contains(&refused.code), "{refused}");
        let handshake = maria_db_handshake(server.addr(), server.ca_file()).await;
        handshake.expect("a certificate that verifies");
    }
}

#[tokio::test]
async fn a_certificate_may_be_of_another_host_or_expired() {
    let settings = Settings::tls_of("elsewhere.example").without_fsync();
    if let Some(server) = OwnPostgres::start(settings).await {
        let handshake = postgres_handshake(server.addr(), server.ca_file()).await;
        let error = handshake.expect_err("another host's").to_string();
        assert!(error.contains("elsewhere.example"), "{error}");
    }
    let settings = Settings::tls_expired().without_fsync();
    if let Some(server) = OwnMariaDb::start(settings).await {
        let handshake = maria_db_handshake(server.addr(), server.ca_file()).await;
        let error = handshake.expect_err("expired").to_string();
        assert!(error.contains("expired"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_goes_between_client_and_server() {
    let settings = Settings::default().without_fsync();
    let Some(server) = OwnPostgres::start(settings).await else {
        return;
    };
    let proxy = Proxy::to_url(&server.url()).await;
    assert_ne!(proxy.url(), server.url());
    assert_eq!(proxy.requests(), 0);
    let client = postgres(proxy.url()).await.expect("a login");
    client.batch_execute("SELECT 1").await.expect("an answer");
    assert!(proxy.requests() > 0);
}

#[tokio::test]
async fn a_cut_ends_all_connections_and_no_later_one() {
    let proxy = Proxy::to(echo().await).await;
    let mut client = TcpStream::connect(proxy.addr()).await.expect("accepted");
    assert_eq!(ask(&mut client, b"one").await.expect("an answer"), b"one");
    proxy.cut().await;
    assert!(ask(&mut client, b"two").await.is_err());
    let mut client = TcpStream::connect(proxy.addr()).await.expect("accepted");
    assert_eq!(
        ask(&mut client, b"three").await.expect("an answer"),
        b"three"
    );
}

#[tokio::test]
async fn a_stalled_connection_is_silent_and_open_until_it_is_resumed() {
    let mut proxy = Proxy::to(echo().await).await;
    let mut old = TcpStream::connect(proxy.addr()).await.expect("accepted");
    assert_eq!(ask(&mut old, b"one").await.expect("an answer"), b"one");
    let passed = proxy.requests();

    proxy.stall();
    let mut new = TcpStream::connect(proxy.addr()).await.expect("accepted");
    for client in [&mut old, &mut new] {
        assert!(timeout(SHORT, ask(client, b"two")).await.is_err());
    }
    assert_eq!(proxy.requests(), passed);

    proxy.resume().await;
    for client in [&mut old, &mut new] {
        let mut answer = [0; 3];
        let arrives = timeout(LONG, client.read_exact(&mut answer)).await;
        arrives.expect("in time").expect("an answer");
        assert_eq!(&answer, b"two");
    }
}

#[tokio::test]
async fn with_answers_stalled_requests_still_reach_the_server() {
    let proxy = Proxy::to(echo().await).await;
    let mut client = TcpStream::connect(proxy.addr()).await.expect("accepted");
    assert_eq!(ask(&mut client, b"one").await.expect("an answer"), b"one");

    proxy.stall_answers();
    client.write_all(b"two").await.expect("it is sent");
    until("the request is there", async || proxy.requests() == 6).await;
    let answer = client.read_u8();
    assert!(timeout(SHORT, answer).await.is_err());
    proxy.cut().await;
    client.read_u8().await.expect_err("the answer is lost");
}

#[tokio::test]
async fn a_refusing_proxy_is_like_a_server_that_is_down() {
    let mut proxy = Proxy::to(echo().await).await;
    let mut old = TcpStream::connect(proxy.addr()).await.expect("accepted");
    assert_eq!(ask(&mut old, b"one").await.expect("an answer"), b"one");

    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.addr()).await;
    let refused = refused.expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(ask(&mut old, b"two").await.expect("an answer"), b"two");

    proxy.resume().await;
    let mut new = TcpStream::connect(proxy.addr()).await.expect("accepted");
    assert_eq!(ask(&mut new, b"three").await.expect("an answer"), b"three");
}

async fn postgres(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // What ends a connection shows in the client's calls.
    tokio::spawn(async { drop(connection.await) });
    Ok(client)
}

async fn maria_db(url: &str) -> mysql_async::Result<mysql_async::Conn> {
    mysql_async::Conn::new(mysql_async::Opts::from_url(url)?).await
}

/// The protocol's request for TLS, and the handshake.
async fn postgres_handshake(server: SocketAddr, authority: &Path) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
    assert_eq!(stream.read_u8().await?, b'S');
    handshake(stream, authority).await
}

/// The protocol's request for TLS after the server's greeting, and the handshake.
async fn maria_db_handshake(server: SocketAddr, authority: &Path) -> io::Result<()> {
    const PROTOCOL_41: u32 = 1 << 9;
    const SSL: u32 = 1 << 11;
    const SECURE_CONNECTION: u32 = 1 << 15;
    let mut stream = TcpStream::connect(server).await?;
    let length = stream.read_u32_le().await? & 0xff_ffff;
    let mut greeting = vec![0; length as usize];
    stream.read_exact(&mut greeting).await?;
    let mut request = vec![32, 0, 0, 1];
    request.extend((PROTOCOL_41 | SSL | SECURE_CONNECTION).to_le_bytes());
    request.extend((1_u32 << 24).to_le_bytes());
    request.push(45); // utf8mb4
    request.extend([0; 23]);
    stream.write_all(&request).await?;
    handshake(stream, authority).await
}

async fn handshake(stream: TcpStream, authority: &Path) -> io::Result<()> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(authority).expect("a certificate");
    roots.add(authority).expect("an authority");
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(host, stream).await.map(drop)
}

/// A server that gives back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    addr
}

async fn ask(client: &mut TcpStream, question: &[u8]) -> io::Result<Vec<u8>> {
    client.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    client.read_exact(&mut answer).await?;
    Ok(answer)
}
