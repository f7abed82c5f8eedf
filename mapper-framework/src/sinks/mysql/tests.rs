//! Against a MySQL that speaks just enough of its protocol
//! (<https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>), over loopback: the client crate takes no other stream.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use chassis::task::{self, AbortOnDrop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::value::Value;

/// What the server was asked, in order: statements as they are, parameters as the bytes of the packet.
#[derive(Clone, Default)]
struct Book {
    queries: Arc<Mutex<Vec<String>>>,
    parameters: Arc<Mutex<Vec<String>>>,
    /// Statements that contain this text get this error, once.
    fault: Arc<Mutex<Option<(&'static str, u16)>>>,
    logins: Arc<Mutex<Vec<String>>>,
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];

fn greeting() -> Vec<u8> {
    // Protocol 4.1, transactions, authentication by plugin; a database may be chosen at once.
    let capabilities: u32 = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;
    let [low, lower, high, higher] = capabilities.to_le_bytes();
    [
        &b"\x0a8.0.36\0\x01\0\0\0saltsalt\0"[..],
        &[low, lower, 45, 2, 0, high, higher, 21],
        &[0; 10],
        b"saltsaltsalt\0mysql_native_password\0",
    ]
    .concat()
}

fn error(code: u16) -> Vec<u8> {
    [&[0xff][..], &code.to_le_bytes(), b"#HY000it was told to"].concat()
}

async fn send(stream: &mut TcpStream, sequence: &mut u8, payload: &[u8]) {
    let [a, b, c, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    *sequence = sequence.wrapping_add(1);
    stream.write_all(&[&[a, b, c, *sequence][..], payload].concat()).await.unwrap();
}

async fn receive(stream: &mut TcpStream, sequence: &mut u8) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    *sequence = head[3];
    let mut payload = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16];
    stream.read_exact(&mut payload).await.ok()?;
    Some(payload)
}

async fn serve(mut stream: TcpStream, book: Book) -> Option<()> {
    // The greeting is the first packet of all, number 0.
    let mut sequence = u8::MAX;
    send(&mut stream, &mut sequence, &greeting()).await;
    let login = receive(&mut stream, &mut sequence).await?;
    book.logins.lock().unwrap().push(String::from_utf8_lossy(&login[32..]).into_owned());
    send(&mut stream, &mut sequence, OK).await;
    while let Some(packet) = receive(&mut stream, &mut sequence).await {
        let text = String::from_utf8_lossy(&packet[1..]).into_owned();
        let fault = book.fault.lock().unwrap().take_if(|(part, _)| text.contains(*part));
        if let Some((_, code)) = fault {
            send(&mut stream, &mut sequence, &error(code)).await;
            continue;
        }
        match packet[0] {
            // A query.
            3 => {
                book.queries.lock().unwrap().push(text);
                send(&mut stream, &mut sequence, OK).await;
            }
            // A statement to prepare: its parameters are described.
            0x16 => {
                let parameters = u16::try_from(text.matches('?').count()).ok()?;
                book.queries.lock().unwrap().push(text);
                let [low, high] = parameters.to_le_bytes();
                send(&mut stream, &mut sequence, &[0, 1, 0, 0, 0, 0, 0, low, high, 0, 0, 0]).await;
                let described = b"\x03def\0\0\0\x01?\0\x0c\x2d\0\0\0\0\0\xfd\0\0\0\0\0";
                for _ in 0..parameters {
                    send(&mut stream, &mut sequence, described).await;
                }
                send(&mut stream, &mut sequence, EOF).await;
            }
            // A statement to execute.
            0x17 => {
                book.parameters.lock().unwrap().push(text);
                send(&mut stream, &mut sequence, OK).await;
            }
            // One to forget has no answer.
            0x19 => {}
            _ => return None,
        }
    }
    Some(())
}

struct Bench {
    book: Book,
    sink: MySql,
    _serving: AbortOnDrop<()>,
}

async fn bench() -> Bench {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let book = Book::default();
    let served = book.clone();
    let _serving = task::spawn(tracing::Span::none(), async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, served.clone()).await;
        }
    });
    let sink = MySql::new(&address, "plant", ("mapper", "secret"), &Trust::default()).unwrap();
    Bench { book, sink, _serving }
}

impl Bench {
    fn queries(&self) -> Vec<String> {
        let mut queries = std::mem::take(&mut *self.book.queries.lock().unwrap());
        queries.retain(|query| !query.starts_with("SELECT @@"));
        queries
    }
}

fn push(device: &str, property: &str, value: &str) -> Push {
    let sample = Sample {
        namespace: "ns".into(),
        device: device.into(),
        property: property.into(),
        data_type: None,
        value: Value::String(value.into()),
        at: 1_767_323_045_000,
        anomaly: None,
    };
    Push { method: Arc::default(), sample }
}

const CREATE: &str = "(id INT AUTO_INCREMENT PRIMARY KEY, ts DATETIME NOT NULL, field TEXT)";

#[tokio::test]
async fn values_become_rows_of_the_table_of_their_property_as_in_stock() {
    let mut bench = bench().await;
    let evil = "'); DROP TABLE x; -- \\'";
    let batch = [push("d", "t", "21"), push("d", "t", evil), push("d", "`; DROP TABLE x; --", "1")];
    bench.sink.push(&batch).await.unwrap();
    assert_eq!(
        bench.queries(),
        [
            format!("CREATE TABLE IF NOT EXISTS `ns/d/``; DROP TABLE x; --` {CREATE}"),
            format!("CREATE TABLE IF NOT EXISTS `ns/d/t` {CREATE}"),
            "START TRANSACTION".to_owned(),
            "INSERT INTO `ns/d/``; DROP TABLE x; --` (ts, field) VALUES (?, ?)".to_owned(),
            "INSERT INTO `ns/d/t` (ts, field) VALUES (?, ?), (?, ?)".to_owned(),
            "COMMIT".to_owned(),
        ]
    );
    let parameters = bench.book.parameters.lock().unwrap().clone();
    assert!(parameters[1].contains("2026-01-02 03:04:05") && parameters[1].contains(evil), "{parameters:?}");
    let logins = bench.book.logins.lock().unwrap().clone();
    assert!(logins[0].starts_with("mapper\0") && logins[0].contains("plant\0"), "{logins:?}");
    assert!(!logins[0].contains("secret"), "{logins:?}");
    // The second time the tables are there, and so is the connection.
    bench.sink.push(&batch[..1]).await.unwrap();
    let queries = bench.queries();
    assert!(queries.iter().all(|query| !query.starts_with("CREATE")), "{queries:?}");
    assert_eq!(bench.book.logins.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_stops_no_other_value_and_what_is_for_now_is_tried_again() {
    let mut bench = bench().await;
    let fault = |part, code| *bench.book.fault.lock().unwrap() = Some((part, code));
    let batch = [push("d", "long", "x"), push("d", "t", "21"), push("d", &"x".repeat(60), "1")];
    // Data too long for the column.
    fault("INSERT INTO `ns/d/long`", 1406);
    let partly = bench.sink.push(&batch).await.unwrap_err();
    assert!(matches!(partly, SinkError::Partly { refused: 2, .. }), "{partly}");
    assert_eq!(bench.queries().last().unwrap(), "COMMIT");
    let refused = bench.sink.push(&batch[2..]).await.unwrap_err();
    assert!(matches!(refused, SinkError::Refused(_)) && refused.to_string().contains("64"), "{refused}");
    // A deadlock; and a table that somebody has dropped, which is made anew.
    for code in [1213, NO_TABLE] {
        bench.queries();
        fault("VALUES (?, ?)", code);
        // Another row count: a statement that was prepared is not prepared again.
        let batch = [push("d", "t", "1"), push("d", &code.to_string(), "2")];
        let away = bench.sink.push(&batch).await.unwrap_err();
        assert!(matches!(away, SinkError::Unreachable(_)), "{away}");
        assert!(bench.queries().iter().all(|query| query != "COMMIT"));
        bench.sink.push(&batch).await.unwrap();
    }
    assert!(bench.queries().iter().any(|query| query.starts_with("CREATE TABLE IF NOT EXISTS `ns/d/t`")));
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_where_tls_is_asked_for() {
    let mut bench = bench().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let book = bench.book.clone();
    let _serving = task::spawn(tracing::Span::none(), async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, book.clone()).await;
        }
    });
    let trust = crate::tls::tests::Authority::new().trust();
    let address = format!("tls://127.0.0.1:{port}");
    bench.sink = MySql::new(&address, "plant", ("mapper", "secret"), &trust).unwrap();
    let error = bench.sink.push(&[push("d", "t", "1")]).await.unwrap_err();
    assert!(matches!(error, SinkError::Unreachable(_)), "{error}");
    assert!(bench.book.logins.lock().unwrap().is_empty(), "nobody was told a name");
}
