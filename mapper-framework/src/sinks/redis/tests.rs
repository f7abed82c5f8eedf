//! Against a Redis in memory that speaks its protocol (RESP, <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::*;
use crate::value::{DataType, Value};

/// Reads commands, tells the test of them, and answers `1` to ZADD unless it was told another answer.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    told: mpsc::Sender<Vec<String>>,
    mut answers: VecDeque<&'static str>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(command) = read(&mut stream).await {
        let is_zadd = command[0] == "ZADD";
        told.send(command).await.unwrap();
        let answer = if is_zadd { answers.pop_front().unwrap_or(":1") } else { "+OK" };
        if answer.is_empty() {
            return;
        }
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

/// One command: a list of texts.
async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Vec<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let count: usize = line.trim().strip_prefix('*')?.parse().ok()?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let length: usize = line.trim().strip_prefix('$')?.parse().ok()?;
        let mut text = vec![0; length + 2];
        stream.read_exact(&mut text).await.ok()?;
        text.truncate(length);
        parts.push(String::from_utf8(text).ok()?);
    }
    Some(parts)
}

struct Bench {
    sink: Redis,
    told: mpsc::Receiver<Vec<String>>,
    _serving: AbortOnDrop<()>,
}

async fn bench(answers: &[&'static str]) -> Bench {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (tell, told) = mpsc::channel(64);
    let serving = serve(theirs, tell, answers.iter().copied().collect());
    let _serving = task::spawn(tracing::Span::none(), serving);
    Bench { sink: Redis::over(ours, "secret").await.unwrap(), told, _serving }
}

impl Bench {
    /// The next commands of that name.
    async fn commands(&mut self, name: &str, count: usize) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        while all.len() < count {
            let command = self.told.recv().await.unwrap();
            if command[0] == name {
                all.push(command);
            }
        }
        all
    }
}

fn push(device: &str, value: i64) -> Push {
    let sample = Sample {
        namespace: "ns".into(),
        device: device.into(),
        property: "t".into(),
        data_type: Some(DataType::Int),
        value: Value::Int(value),
        at: 1_767_323_045_000 + value,
        anomaly: None,
    };
    Push { method: Arc::default(), sample }
}

#[tokio::test(start_paused = true)]
async fn values_are_members_of_the_set_of_their_device_as_in_stock() {
    let mut bench = bench(&[]).await;
    // A name with what would end a command, were it a line of text.
    let odd = "d\r\nDEL other\r\n";
    bench.sink.push(&[push("room", 21), push(odd, 22)]).await.unwrap();
    assert_eq!(bench.commands("AUTH", 1).await, [["AUTH", "secret"]]);
    assert_eq!(bench.commands("SELECT", 1).await, [["SELECT", "3"]]);
    let added = bench.commands("ZADD", 2).await;
    let member = r#"{"DeviceName":"room","PropertyName":"t","Namespace":"ns","Value":"21","Type":"int","TimeStamp":1767323045021}"#;
    assert_eq!(added[0], ["ZADD", "room", "1767323045021", member]);
    assert_eq!(added[1][..3], ["ZADD", odd, "1767323045022"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_stops_no_other_value_and_what_is_for_now_is_tried_again() {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let mut first = bench(&[":1", wrong, ":1"]).await;
    let batch = [push("a", 1), push("b", 2), push("c", 3)];
    let partly = first.sink.push(&batch).await.unwrap_err();
    assert!(matches!(partly, SinkError::Partly { refused: 1, .. }), "{partly}");
    assert!(partly.to_string().contains("WRONGTYPE"), "{partly}");
    first.sink.push(&batch).await.unwrap();
    let mut none = bench(&[wrong]).await;
    let refused = none.sink.push(&batch[..1]).await.unwrap_err();
    assert!(matches!(refused, SinkError::Refused(_)), "{refused}");
    for busy in ["-LOADING Redis is loading the dataset in memory", "-READONLY You can't write", "-OOM used"]
    {
        let mut bench = bench(&[busy]).await;
        let away = bench.sink.push(&batch[..1]).await.unwrap_err();
        assert!(matches!(away, SinkError::Unreachable(_)), "{away}");
    }
    let mut gone = bench(&[""]).await;
    let away = gone.sink.push(&batch).await.unwrap_err();
    assert!(matches!(away, SinkError::Unreachable(_)), "{away}");
    assert!(gone.sink.connection.is_none(), "the next attempt opens another connection");
}

#[test]
fn an_address_says_whether_tls_is_spoken() {
    let tls = |address: &str| {
        let trust = Trust::default();
        Redis::new(address, 0, "", &trust).map(|redis| (redis.address.port, redis.tls.is_some()))
    };
    assert_eq!(tls("127.0.0.1:6379").unwrap(), (6379, false));
    assert_eq!(tls("redis://cache").unwrap(), (6379, false));
    assert!(matches!(tls("http://cache"), Err(SinkError::Refused(_))));
}
