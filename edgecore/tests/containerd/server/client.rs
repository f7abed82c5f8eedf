//! What kubectl and the API server do with the local server, in as few words as it takes.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(120);
/// Streams of `v4.channel.k8s.io`: the first byte of each message.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

/// How a command went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path).await
    }

    pub(crate) async fn post(&self, path: &str) -> (u16, String) {
        self.ask("POST", path).await
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = self.request(method, path).await;
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it ends").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// The body until it ends with `end`.
    pub(crate) async fn read_until(&self, path: &str, end: &str) -> String {
        let mut stream = self.request("GET", path).await;
        let mut answer = Vec::new();
        let reading = async {
            while !answer.ends_with(end.as_bytes()) {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "it goes on");
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("it comes");
        let answer = String::from_utf8(answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// HTTP/1.0: bodies come as they are, and end with the connection.
    async fn request(&self, method: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Runs an exec or attach to its end, giving it `input`.
    pub(crate) async fn stream(&self, path: &str, input: &str) -> Ended {
        let mut socket = self.open(path, "v4.channel.k8s.io").await;
        if !input.is_empty() {
            let mut message = vec![STDIN];
            message.extend(input.as_bytes());
            socket.send(Message::Binary(message.into())).await.unwrap();
        }
        let (mut ended, mut status) = (Ended::default(), Vec::new());
        let reading = async {
            while let Some(message) = socket.next().await {
                let Ok(Message::Binary(message)) = message else { break };
                let Some((channel, bytes)) = message.split_first() else { continue };
                let text = String::from_utf8_lossy(bytes);
                match *channel {
                    STDOUT => ended.stdout += &text,
                    STDERR => ended.stderr += &text,
                    STATUS => status.extend(bytes),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("it ends");
        ended.code = exit_code(&serde_json::from_slice(&status).expect("a status comes last"));
        ended
    }

    /// Sends `request` to the forwarded port and reads to the end.
    pub(crate) async fn forwarded(&self, path: &str, request: &str) -> String {
        let mut socket = self.open(path, "v4.channel.k8s.io").await;
        let mut message = vec![0];
        message.extend(request.as_bytes());
        socket.send(Message::Binary(message.into())).await.unwrap();
        let mut answer = Vec::new();
        let reading = async {
            // Each of the two channels, data and errors, begins with the number of the port.
            let mut begun = [false; 2];
            while let Some(Ok(Message::Binary(message))) = socket.next().await {
                let Some((channel, bytes)) = message.split_first() else { continue };
                let is_port = !std::mem::replace(&mut begun[usize::from(*channel)], true);
                if !is_port {
                    assert_eq!(*channel, 0, "{}", String::from_utf8_lossy(bytes));
                    answer.extend(bytes);
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("it ends");
        String::from_utf8(answer).unwrap()
    }

    /// Asks for an upgrade to SPDY; the head of the answer, in small letters.
    pub(crate) async fn upgrade(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
             X-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: channel.k8s.io\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        let reading = async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer");
        String::from_utf8(head).unwrap().to_lowercase()
    }

    async fn open(&self, path: &str, protocol: &str) -> WebSocketStream<TcpStream> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        let opening = tokio::time::timeout(PATIENCE, client_async(request, stream));
        opening.await.expect("an answer").unwrap().0
    }
}

/// Of a `v1.Status`.
fn exit_code(status: &Value) -> i64 {
    if status["status"] == "Success" {
        return 0;
    }
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let code = causes.iter().find(|cause| cause["reason"] == "ExitCode");
    code.and_then(|cause| cause["message"].as_str()?.parse().ok()).unwrap_or(-1)
}

/// TCP connections of this machine with this port at one end, which are not over (proc(5): states 06 and 0A are
/// `TIME_WAIT` and `LISTEN`).
pub(crate) fn open_connections(port: u16) -> usize {
    let port = format!(":{port:04X}");
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let open = lines.filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, ..] = fields.as_slice() else { return false };
        (local.ends_with(&port) || remote.ends_with(&port)) && !["06", "0A"].contains(state)
    });
    open.count()
}
