//! Sinks that speak TLS: to whom this mapper trusts, and to nobody else.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::tls::tests::Authority;

/// For what happens on real sockets.
const SOON: Duration = Duration::from_secs(30);

/// Serves each connection that gets through the handshake. Where it listens.
async fn listen<F>(
    acceptor: TlsAcceptor,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static,
) -> (u16, AbortOnDrop<()>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = task::spawn(tracing::Span::none(), async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream).await;
            }
        }
    });
    (port, serving)
}

/// Pushes one value through the built-in sink of a target.
async fn push_to(target: &Target, push: Push, trust: Trust) -> Result<(), SinkError> {
    let means = Means { secrets: Secrets { password: "secret".into(), ..Secrets::default() }, trust };
    let mut sink = open(target, &means, &Rng::seeded(1))?;
    tokio::time::timeout(SOON, sink.push(&[push])).await.expect("it ends")
}

#[cfg(feature = "http")]
#[tokio::test]
async fn https_is_for_whom_this_mapper_trusts() {
    let authority = Authority::new();
    let (got, mut seen) = mpsc::channel(8);
    let serve = move |mut stream: TlsStream<TcpStream>| {
        let got = got.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"2026-01-02+03%3A04%3A05") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            got.send(String::from_utf8(request).unwrap()).await.unwrap();
            drop(stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await);
        }
    };
    let (port, _serving) = listen(authority.server("127.0.0.1"), serve.clone()).await;
    let value = || push(21, to_http("https://127.0.0.1", port.into()));
    let target = Target::all(&value().method).remove(0);
    push_to(&target, value(), authority.trust()).await.unwrap();
    let request = seen.recv().await.unwrap();
    assert!(request.starts_with("POST /v HTTP/1.1\r\n"), "{request}");

    let stranger = push_to(&target, value(), Authority::new().trust()).await.unwrap_err();
    assert!(matches!(&stranger, SinkError::Unreachable(why) if why.contains("certificate")), "{stranger}");
    let (port, _serving) = listen(authority.server("another.example"), serve).await;
    let value = push(21, to_http("https://127.0.0.1", port.into()));
    let target = Target::all(&value.method).remove(0);
    let other = push_to(&target, value, authority.trust()).await.unwrap_err();
    assert!(matches!(&other, SinkError::Unreachable(why) if why.contains("certificate")), "{other}");
    assert!(seen.try_recv().is_err(), "nothing was said to either");
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn redis_is_spoken_to_over_tls() {
    let authority = Authority::new();
    let (tell, mut told) = mpsc::channel(64);
    let serve = move |stream| redis::tests::serve(stream, tell.clone(), [].into());
    let (port, _serving) = listen(authority.server("127.0.0.1"), serve).await;
    let target = Target::Redis { address: format!("rediss://127.0.0.1:{port}"), database: 0 };
    let value = || push(21, dmi::PushMethod::default());
    push_to(&target, value(), authority.trust()).await.unwrap();
    let mut names = Vec::new();
    while let Ok(command) = told.try_recv() {
        names.push(command[0].clone());
    }
    assert_eq!((names.first().unwrap().as_str(), names.last().unwrap().as_str()), ("AUTH", "ZADD"));
    let stranger = push_to(&target, value(), Authority::new().trust()).await.unwrap_err();
    assert!(matches!(&stranger, SinkError::Unreachable(why) if why.contains("certificate")), "{stranger}");
    assert!(told.try_recv().is_err(), "a stranger is told no password");
}

#[cfg(feature = "mqtt")]
#[tokio::test]
async fn mqtt_is_spoken_over_tls() {
    let authority = Authority::new();
    let (got, mut seen) = mpsc::channel(8);
    let serve = move |mut stream: TlsStream<TcpStream>| {
        let got = got.clone();
        async move {
            // CONNECT, CONNACK, and a PUBLISH of QoS 0.
            let mut bytes = vec![0; 1024];
            let length = stream.read(&mut bytes).await.unwrap();
            got.send(bytes[..length].to_vec()).await.unwrap();
            stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
            let length = stream.read(&mut bytes).await.unwrap();
            got.send(bytes[..length].to_vec()).await.unwrap();
        }
    };
    let (port, _serving) = listen(authority.server("127.0.0.1"), serve).await;
    let address = format!("ssl://127.0.0.1:{port}");
    let mqtt = dmi::PushMethodMqtt { address: address.clone(), topic: "a/b".into(), ..Default::default() };
    let value = push(21, dmi::PushMethod { mqtt: Some(mqtt), ..Default::default() });
    let means = Means { trust: authority.trust(), ..Means::default() };
    let mut sink = open(&Target::Mqtt { address }, &means, &Rng::seeded(1)).unwrap();
    sink.push(&[value]).await.unwrap();
    let mut next = async || tokio::time::timeout(SOON, seen.recv()).await.expect("it comes").unwrap();
    let connect = next().await;
    assert!(connect.windows(12).any(|part| part == b"mapper-push-"), "{connect:?}");
    let publish = next().await;
    assert!(publish.ends_with(b"time is 2026-01-02 03:04:05  a/b: 21"), "{publish:?}");
}

#[cfg(feature = "http")]
#[test]
fn where_no_tls_is_spoken_none_is_set_up() {
    let web = |address| web::Web::new(address, &Authority::new().trust()).unwrap();
    assert!(matches!(web("http://127.0.0.1"), web::Web::Plain(_)));
    assert!(matches!(web("https://127.0.0.1"), web::Web::Tls(_)));
}
