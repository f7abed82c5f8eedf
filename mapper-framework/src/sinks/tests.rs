#[cfg(all(feature = "mysql", feature = "redis"))]
mod real;
#[cfg(feature = "tls")]
mod secure;

use std::sync::Mutex;

use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use proptest::prelude::*;
use tokio::sync::Notify;

use super::*;

fn push(value: i64, method: dmi::PushMethod) -> Push {
    let sample = Sample {
        namespace: "ns".into(),
        device: "d".into(),
        property: "temperature of it".into(),
        data_type: Some(DataType::Int),
        value: Value::Int(value),
        at: 1_767_323_045_000,
        anomaly: None,
    };
    Push { method: Arc::new(method), sample }
}

fn to_http(hostname: &str, port: i64) -> dmi::PushMethod {
    let http = dmi::PushMethodHttp { hostname: hostname.into(), port, requestpath: "/v".into(), timeout: 0 };
    dmi::PushMethod { http: Some(http), ..Default::default() }
}

fn number(push: &Push) -> i64 {
    match push.sample.value {
        Value::Int(number) => number,
        _ => -1,
    }
}

#[test]
fn all_targets_of_a_property_count() {
    let mut method = to_http("10.0.0.1", 8080);
    method.mqtt = Some(dmi::PushMethodMqtt { address: "tcp://b:1883".into(), ..Default::default() });
    let kinds: Vec<_> =
        Target::all(&method).iter().map(|one| (one.kind(), one.address().to_owned())).collect();
    assert_eq!(kinds, [("http", "http://10.0.0.1:8080".to_owned()), ("mqtt", "tcp://b:1883".to_owned())]);
    assert_eq!(Target::all(&to_http("https://h", 0))[0].address(), "https://h");
    assert_eq!(Target::all(&dmi::PushMethod::default()), []);
}

#[cfg(feature = "http")]
#[test]
fn the_form_is_stocks() {
    assert_eq!(
        http::form(&push(21, to_http("h", 1)).sample),
        "temperature+of+it=21&time=2026-01-02+03%3A04%3A05"
    );
}

/// What a sink was asked for, and what it should answer.
#[derive(Clone, Default)]
struct Script {
    got: Arc<Mutex<Vec<Vec<i64>>>>,
    answers: Arc<Mutex<Vec<Result<(), SinkError>>>>,
    called: Arc<Notify>,
}

impl Sink for Script {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.got.lock().unwrap().push(batch.iter().map(number).collect());
        self.called.notify_one();
        let answer = self.answers.lock().unwrap().pop().unwrap_or(Ok(()));
        Box::pin(async move { answer })
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_away_gets_everything_later_and_what_it_refuses_is_dropped() {
    let script = Script::default();
    *script.answers.lock().unwrap() = vec![
        Err(SinkError::Refused("no".into())),
        Err(SinkError::Unreachable("away".into())),
        Err(SinkError::Unreachable("away".into())),
    ];
    let own = script.clone();
    let opener: Box<Opener> = Box::new(move |_, _| Some(Ok(Box::new(own.clone()))));
    let metrics = Metrics::default();
    let (pushes, pusher) = Pusher::new(vec![opener], Means::default(), metrics, Rng::seeded(1));
    let (_trigger, shutdown) = Shutdown::new();
    let running = task::spawn(tracing::Span::none(), pusher.run(shutdown));
    pushes.push(push(1, to_http("h", 1)));
    for _ in 0..3 {
        script.called.notified().await;
    }
    pushes.push(push(2, to_http("h", 1)));
    script.called.notified().await;
    assert_eq!(*script.got.lock().unwrap(), [vec![1], vec![1], vec![1], vec![2]]);
    drop(pushes);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_not_built_in_is_dropped_and_counted() {
    let registry = chassis::metrics::SharedRegistry::new();
    let metrics = registry.register(Metrics::new);
    let opener: Box<Opener> = Box::new(|_, _| Some(Err(SinkError::NotBuilt("http"))));
    let (pushes, pusher) = Pusher::new(vec![opener], Means::default(), metrics, Rng::seeded(1));
    let (_trigger, shutdown) = Shutdown::new();
    let running = task::spawn(tracing::Span::none(), pusher.run(shutdown));
    pushes.push(push(1, to_http("h", 1)));
    let counted = async {
        while !registry.encode().contains("mapper_push_dropped_values_total{sink=\"http\"} 1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap();
    drop(running);
}

proptest! {
    #[test]
    fn a_queue_keeps_the_newest_in_order(operations in prop::collection::vec(0..3u8, 0..300), limit in 1usize..20) {
        let queue = Queue::new(limit);
        let (mut next, mut taken) = (0, Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut waiting = 0;
        for operation in operations {
            match operation {
                0 => {
                    let over = queue.put(push(next, dmi::PushMethod::default()));
                    prop_assert_eq!(over, waiting == limit);
                    (next, waiting) = (next + 1, limit.min(waiting + 1));
                }
                1 if waiting > 0 => {
                    let batch = runtime.block_on(queue.take(4));
                    waiting -= batch.len();
                    taken.extend(batch.iter().map(number));
                }
                2 if waiting > 0 => {
                    let batch = runtime.block_on(queue.take(4));
                    prop_assert_eq!(queue.put_back(batch), 0);
                }
                _ => {}
            }
        }
        prop_assert!(taken.is_sorted());
        if waiting > 0 {
            let rest = runtime.block_on(queue.take(limit));
            prop_assert_eq!(rest.last().map(number), Some(next - 1));
        }
    }
}

#[cfg(feature = "http")]
#[tokio::test]
async fn values_reach_a_real_http_server() {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper_util::rt::TokioIo;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, mut seen) = mpsc::channel(8);
    let serving = task::spawn(tracing::Span::none(), async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request: ::http::Request<Incoming>| {
            let got = got.clone();
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                got.send((path, String::from_utf8(body.to_vec()).unwrap())).await.unwrap();
                Ok::<_, Infallible>(::http::Response::new(Full::new(Bytes::new())))
            }
        });
        drop(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
        );
    });
    let mut sink = http::Http::new("http://127.0.0.1", &Trust::default()).unwrap();
    sink.push(&[push(21, to_http("127.0.0.1", port.into())), push(22, to_http("127.0.0.1", port.into()))])
        .await
        .unwrap();
    let (path, body) = seen.recv().await.unwrap();
    assert_eq!((path.as_str(), body.starts_with("temperature+of+it=21&")), ("/v", true));
    assert!(seen.recv().await.unwrap().1.starts_with("temperature+of+it=22&"));
    drop(serving);
    // Nobody listens any more.
    let error = sink.push(&[push(23, to_http("127.0.0.1", port.into()))]).await.unwrap_err();
    assert!(matches!(error, SinkError::Unreachable(_)), "{error}");
}
