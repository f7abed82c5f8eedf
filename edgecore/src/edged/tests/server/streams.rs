//! Exec, attach and port-forward, against a streaming server of the test's own.

use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::{PATIENCE, text};
use super::*;

const SPDY: [(&str, &str); 3] =
    [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")];

/// Takes one connection after the other, each with the head of its request.
struct Streaming {
    listener: TcpListener,
}

impl Streaming {
    async fn start(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        node.runtime.stream_from(&format!("http://{}", listener.local_addr().unwrap()));
        Self { listener }
    }

    async fn accept(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (stream, String::from_utf8(head).unwrap().to_lowercase())
    }

    /// Accepts a connection and agrees to its upgrade.
    async fn agree(&self) -> (TcpStream, String) {
        let (mut stream, head) = self.accept().await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
            X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        (stream, head)
    }
}

/// A client's end of a stream, and the runtime's.
async fn open(
    local: &Local,
    streaming: &Streaming,
    path: &str,
) -> (TokioIo<hyper::upgrade::Upgraded>, TcpStream, String) {
    let (answer, (theirs, head)) = tokio::join!(local.client.ask("POST", path, &SPDY), streaming.agree());
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(answer.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
    (TokioIo::new(hyper::upgrade::on(answer).await.unwrap()), theirs, head)
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_side_may_end_first() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let streaming = Streaming::start(&node).await;
    let path = "/exec/shop/web/app?command=sh&command=-c&command=echo+1&input=1&output=1&error=1";
    let (mut ours, mut theirs, head) = open(&local, &streaming, path).await;
    assert!(head.starts_with("post /exec/1 http/1.1\r\n"), "{head}");
    assert!(head.contains("x-stream-protocol-version: v4.channel.k8s.io\r\n"), "{head}");
    let asked = node.runtime.streamed().pop().unwrap();
    assert!(
        asked.contains(r#"cmd: ["sh", "-c", "echo 1"], tty: false, stdin: true, stdout: true, stderr: true"#),
        "{asked}"
    );
    let large = vec![7; 1 << 20];
    let sending = async {
        ours.write_all(&large).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let receiving = async {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).await.unwrap();
        theirs.write_all(b"after the end of input").await.unwrap();
        drop(theirs);
        all
    };
    let (answer, received) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.unwrap();
    assert_eq!((answer.as_str(), received == large), ("after the end of input", true));
}

#[tokio::test]
async fn attach_and_port_forward_are_streams_too() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let streaming = Streaming::start(&node).await;
    open(&local, &streaming, "/attach/shop/web/uid-web/app?stdout=true&tty=true").await;
    let attached = node.runtime.streamed().pop().unwrap();
    assert!(
        attached.starts_with("AttachRequest") && attached.contains("tty: true, stdout: true"),
        "{attached}"
    );
    open(&local, &streaming, "/portForward/shop/web?port=80").await;
    let forwarded = node.runtime.streamed().pop().unwrap();
    assert!(forwarded.starts_with("PortForwardRequest") && forwarded.contains("port: [80]"), "{forwarded}");
}

#[tokio::test]
async fn what_is_no_stream_is_refused_with_a_reason() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let answer = local.client.ask("POST", path, headers).await;
        (answer.status().as_u16(), text(answer).await)
    };
    let path = "/exec/shop/web/app?command=ls&output=1";
    let plain = ask(path, &[]).await;
    assert_eq!((plain.0, plain.1.contains("upgrade")), (400, true), "{plain:?}");
    assert_eq!(ask("/exec/shop/web/app?output=1", &SPDY).await.0, 400, "no command");
    assert_eq!(ask("/exec/shop/web/app?command=ls", &SPDY).await.0, 400, "no stream");
    assert_eq!(ask("/exec/shop/web/other?command=ls&output=1", &SPDY).await.0, 404);
    assert_eq!(ask("/exec/shop/web/another-uid/app?command=ls&output=1", &SPDY).await.0, 404);
    node.runtime.stream_from("http://192.0.2.1:80");
    let elsewhere = ask(path, &SPDY).await;
    assert_eq!(
        (elsewhere.0, elsewhere.1.contains("not on a loopback address")),
        (502, true),
        "{elsewhere:?}"
    );
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    node.runtime.stream_from(&format!("http://{gone}"));
    assert_eq!(ask(path, &SPDY).await.0, 502, "nobody listens");
    node.runtime.down();
    assert_eq!(ask(path, &SPDY).await.0, 503);
}

#[tokio::test]
async fn the_runtimes_refusal_is_passed_on() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let streaming = Streaming::start(&node).await;
    let refusing = async {
        let (mut stream, _) = streaming.accept().await;
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\ntoken").await.unwrap();
        stream
    };
    let asking = local.client.ask("POST", "/exec/shop/web/app?command=ls&output=1", &SPDY);
    let (answer, _stream) = tokio::join!(asking, refusing);
    assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (404, "token"));
}

#[tokio::test]
async fn the_end_of_the_process_ends_streams() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let streaming = Streaming::start(&node).await;
    let (mut ours, mut theirs, _) = open(&local, &streaming, "/exec/shop/web/app?command=ls&output=1").await;
    theirs.write_all(b"x").await.unwrap();
    ours.read_u8().await.unwrap();
    local.stop.request();
    local.server.await.unwrap();
    assert_eq!(theirs.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
