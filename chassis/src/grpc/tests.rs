use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::client::conn::http2::SendRequest;
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::Instant;
use tonic::Code;
use tonic::codegen::http::uri::{PathAndQuery, Uri};
use tracing::Span;

use super::*;
use crate::shutdown::ShutdownTrigger;
use crate::task::{self, AbortOnDrop};

const LIMITS: Limits = Limits { connections: 1, calls: 2, idle: Duration::from_secs(600) };
const MOST: usize = 1024;

/// Connections in memory.
struct Door(Mutex<mpsc::Receiver<DuplexStream>>);

impl Listener for Door {
    type Stream = DuplexStream;
    type Peer = ();

    async fn accept(&self) -> io::Result<(DuplexStream, ())> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok((stream, ())),
            None => std::future::pending().await,
        }
    }
}

/// Answers calls: `Echo` at once, `Wait` when it may.
#[derive(Clone)]
struct Desk {
    may: Arc<Semaphore>,
    begun: watch::Sender<usize>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Desk {
    async fn respond(self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path().to_owned().as_str() {
            "/t/Echo" => answer(request, MOST, |text: String| async { Ok::<_, Status>(text) }).await,
            "/t/Wait" => {
                answer(request, MOST, |text: String| async move {
                    let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    self.most.fetch_max(now, Ordering::SeqCst);
                    self.begun.send_modify(|begun| *begun += 1);
                    let may = self.may.acquire().await.map_err(|_| Status::aborted("closed"))?;
                    may.forget();
                    self.under_way.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Status>(text)
                })
                .await
            }
            other => unknown(other),
        }
    }
}

struct Bench {
    door: mpsc::Sender<DuplexStream>,
    desk: Desk,
    trigger: ShutdownTrigger,
    serving: AbortOnDrop<()>,
}

struct Client {
    sender: SendRequest<Body>,
    connection: AbortOnDrop<hyper::Result<()>>,
}

impl Bench {
    fn start() -> Self {
        let (door, connections) = mpsc::channel(8);
        let (trigger, shutdown) = Shutdown::new();
        let desk = Desk {
            may: Arc::new(Semaphore::new(0)),
            begun: watch::Sender::new(0),
            under_way: Arc::default(),
            most: Arc::default(),
        };
        let answers = desk.clone();
        let serving = task::spawn(Span::none(), async move {
            let respond = move |request| answers.clone().respond(request);
            serve(Door(Mutex::new(connections)), LIMITS, &shutdown, respond).await;
        });
        Self { door, desk, trigger, serving }
    }

    async fn stream(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        self.door.send(theirs).await.unwrap();
        ours
    }

    async fn client(&self) -> Client {
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(self.stream().await)).await.unwrap();
        Client { sender, connection: task::spawn(Span::none(), connection) }
    }

    async fn begun(&self, calls: usize) {
        self.desk.begun.subscribe().wait_for(|begun| *begun == calls).await.unwrap();
    }
}

impl Client {
    fn call(&self, method: &'static str, text: &str) -> impl Future<Output = Result<String, Status>> + use<> {
        self.call_with(method, text, "x")
    }

    fn call_with(
        &self,
        method: &'static str,
        text: &str,
        header: &str,
    ) -> impl Future<Output = Result<String, Status>> + use<> {
        let sender = self.sender.clone();
        let service = tower::service_fn(move |request| {
            let mut sender = sender.clone();
            async move { sender.send_request(request).await }
        });
        let mut request = tonic::Request::new(text.to_owned());
        request.metadata_mut().insert("x", header.parse().unwrap());
        async move {
            let mut client = tonic::client::Grpc::with_origin(service, Uri::from_static("http://t"));
            let codec = ProstCodec::<String, String>::default();
            let answer = client.unary(request, PathAndQuery::from_static(method), codec).await;
            answer.map(tonic::Response::into_inner)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_and_those_that_are_too_large_are_not() {
    let bench = Bench::start();
    let client = bench.client().await;
    assert_eq!(client.call("/t/Echo", "hello").await.unwrap(), "hello");
    assert_eq!(client.call("/t/Other", "").await.unwrap_err().code(), Code::Unimplemented);
    let large = client.call("/t/Echo", &"x".repeat(MOST + 1)).await.unwrap_err();
    assert_eq!(large.code(), Code::OutOfRange, "{large}");
    client.call_with("/t/Echo", "hello", &"x".repeat(20 << 10)).await.unwrap_err();
    assert_eq!(client.call("/t/Echo", "still here").await.unwrap(), "still here");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_leaves_its_place_to_another() {
    let bench = Bench::start();
    // One does not even say that it speaks HTTP/2, the other one calls nothing.
    let _mute = bench.stream().await;
    let silent = bench.client().await;
    let client = bench.client().await;
    let start = Instant::now();
    assert_eq!(client.call("/t/Echo", "at last").await.unwrap(), "at last");
    assert_eq!(Instant::now() - start, HELLO + GOODBYE + HELLO);
    silent.connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_may_take_long_and_the_silence_after_it_may_not() {
    let bench = Bench::start();
    let client = bench.client().await;
    let waiting = task::spawn(Span::none(), client.call("/t/Wait", "long"));
    bench.begun(1).await;
    tokio::time::advance(LIMITS.idle * 2).await;
    bench.desk.may.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap(), "long");
    let start = Instant::now();
    client.connection.await.unwrap().unwrap();
    assert_eq!(Instant::now() - start, LIMITS.idle);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_calls_of_a_connection_are_answered_at_a_time() {
    let bench = Bench::start();
    let client = bench.client().await;
    client.call("/t/Echo", "the server has said how many").await.unwrap();
    let calls: Vec<_> =
        (0..5).map(|_| task::spawn(Span::none(), client.call("/t/Wait", "one of five"))).collect();
    bench.begun(2).await;
    bench.desk.may.add_permits(5);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(bench.desk.most.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_is_under_way_is_answered() {
    let bench = Bench::start();
    let client = bench.client().await;
    let waiting = task::spawn(Span::none(), client.call("/t/Wait", "the last"));
    bench.begun(1).await;
    bench.trigger.request();
    tokio::time::advance(GOODBYE / 2).await;
    bench.desk.may.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap(), "the last");
    bench.serving.await.unwrap();
}
