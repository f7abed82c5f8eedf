//! Whom and what a link refuses.

use super::*;

#[tokio::test]
async fn a_client_without_a_certificate_of_ours_is_refused_and_disturbs_nobody() {
    let mut server = Cloud::start(limits());
    let strange = Authority::new();
    let of_strangers = server.authority.client(Some(strange.issue(&["system:node:edge-1"], &[])));
    for tls in [server.authority.client(None), of_strangers] {
        let dialer = server.dialer(tls);
        let dial = async {
            let error = dialer.dial().await.unwrap_err();
            assert_eq!(error.kind(), "tls", "{error:?}");
        };
        tokio::select! {
            () = dial => {}
            link = server.acceptor.accept() => panic!("let in {link:?}"),
        }
    }
    server.joined().await;
    assert!(server.counted("link_handshakes_refused_total{reason=\"tls\"} 2"));
    assert!(server.counted("link_handshakes_completed_total 1"));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_tls_would_have_it() {
    let authority = Authority::new();
    let (chain, key) = authority.issue(&["cloud"], &["127.0.0.1"]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let lax = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut acceptor = QuicAcceptor::bind(ANY_PORT, Arc::new(lax), &RESET_KEY, limits()).unwrap();
    let dialer = dialer(acceptor.local_addr().unwrap(), authority.client(None), limits());
    tokio::select! {
        dialled = dialer.dial() => {
            let said = dialled.unwrap_err().explained();
            assert!(said.contains("the client has no certificate (code 1008)"), "{said}");
        }
        link = acceptor.accept() => panic!("let in {link:?}"),
    }
}

/// ADA-KE-06: as over WebSocket; stock never verifies the server over QUIC.
#[tokio::test]
async fn a_cloud_with_a_certificate_of_another_authority_is_refused() {
    let mut server = Cloud::start(limits());
    let identity = server.authority.issue(&["system:node:edge-1"], &[]);
    let dialer = server.dialer(Authority::new().client(Some(identity)));
    tokio::select! {
        dialled = dialer.dial() => assert_eq!(dialled.unwrap_err().kind(), "tls"),
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    }
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_refused() {
    let mut server = Cloud::start(limits());
    let mut tls = rustls::ClientConfig::clone(&server.authority.node());
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = Endpoint::client(ANY_PORT).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, server.address, "127.0.0.1").unwrap();
    tokio::select! {
        connected = connecting => assert_eq!(ending::over(connected.unwrap_err()).kind(), "tls"),
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    }
}

#[tokio::test]
async fn where_nothing_answers_dialling_ends_in_time() {
    let silent = UdpSocket::bind(ANY_PORT).await.unwrap();
    let limits = QuicLimits { handshake: Duration::from_millis(300), ..limits() };
    let dialer = dialer(silent.local_addr().unwrap(), Authority::new().client(None), limits);
    let start = Instant::now();
    let error = dialer.dial().await.unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { step: "opening the connection", .. }), "{error:?}");
    assert!(error.is_transient());
    assert!(start.elapsed() < SOON);
    assert!(QuicLimits::default().handshake < Duration::from_secs(5));
}

#[tokio::test]
async fn a_cloud_that_has_stopped_accepting_is_unreachable() {
    let mut server = Cloud::start(limits());
    // Its socket lives on with this link.
    let (mut edge, mut cloud) = server.joined().await;
    let dialer = QuicDialer::new(
        &server.address.ip().to_string(),
        server.address.port(),
        Arc::new({
            let tls = server.authority.node();
            move || tls.clone()
        }),
        QuicLimits { handshake: Duration::from_millis(300), ..limits() },
    );
    drop(server);
    let error = dialer.unwrap().dial().await.unwrap_err();
    assert!(matches!(error.kind(), "unreachable" | "timed_out"), "{error:?}");
    edge.tx.send(numbered(1)).await.unwrap();
    assert_eq!(cloud.rx.recv().await.unwrap(), Some(numbered(1)));
}

#[tokio::test]
async fn addresses_that_make_no_sense_are_refused_by_name() {
    let tls = Authority::new().client(None);
    for (host, port) in [("", 1), ("a b", 1), ("-.-", 1), ("https://cloud", 1), ("cloud", 0)] {
        let tls = tls.clone();
        let made = QuicDialer::new(host, port, Arc::new(move || tls.clone()), limits());
        assert!(matches!(made, Err(LinkError::Address { .. })), "{host}: {made:?}");
    }
}

/// CVE-2026-62370: a length is only a promise.
#[tokio::test]
async fn an_announced_100_mib_message_is_refused_before_its_bytes_are_read() {
    let mut server = Cloud::start(limits());
    for lane in 0..LANES {
        let (mut edge, mut cloud) = server.raw_node().await;
        edge.lanes[lane].0.write_all(&(100u32 << 20).to_be_bytes()).await.unwrap();
        let error = timeout(SOON, cloud.rx.recv()).await.unwrap().unwrap_err();
        assert!(matches!(error, LinkError::TooLarge { limit: LIMIT }), "{error:?}");
    }
}

/// CVE-2026-62370.
#[tokio::test]
async fn memory_is_taken_for_what_arrived_and_not_for_what_was_announced() {
    let authority = Authority::new();
    let config = acceptor::config(&authority.server(), &limits()).unwrap();
    let endpoint = Endpoint::server(config, ANY_PORT).unwrap();
    let node = dialer(endpoint.local_addr().unwrap(), authority.node(), limits());
    let client = Endpoint::client(ANY_PORT).unwrap();
    let connecting = client.connect_with(node.config().unwrap(), endpoint.local_addr().unwrap(), "127.0.0.1");
    let (cloud, edge) =
        tokio::join!(async { endpoint.accept().await.unwrap().await.unwrap() }, connecting.unwrap());
    let edge = edge.unwrap();
    let (mut sending, mut receiving) = (Vec::new(), Vec::new());
    for _ in 0..LANES {
        let mut tx = edge.open_bi().await.unwrap().0;
        tx.write_all(&(LIMIT as u32).to_be_bytes()).await.unwrap();
        tx.write_all(&[1; 1000]).await.unwrap();
        sending.push(tx);
        receiving.push(cloud.accept_bi().await.unwrap().1);
    }
    let mut source = Source::new(cloud, receiving.try_into().unwrap(), LIMIT);
    // Until all three lanes have what there is for them.
    let receive = async |source: &mut Source| {
        for _ in 0..1000 {
            let pending =
                std::future::poll_fn(|context| Poll::Ready(source.recv().poll_unpin(context).is_pending()));
            assert!(pending.await);
            tokio::task::yield_now().await;
        }
    };
    receive(&mut source).await;
    let held = source.held();
    assert!((3000..16_000).contains(&held), "{held} bytes for 3,000");
    drop(sending);
}

#[tokio::test]
async fn a_truncated_frame_is_a_lost_link() {
    let mut server = Cloud::start(limits());
    for (lane, cut) in [&[0, 0][..], &[0, 0, 0, 9, 1, 2]].into_iter().enumerate() {
        let (mut edge, mut cloud) = server.raw_node().await;
        edge.lanes[lane].0.write_all(cut).await.unwrap();
        edge.lanes[lane].0.finish().unwrap();
        let error = timeout(SOON, cloud.rx.recv()).await.unwrap().unwrap_err();
        assert_eq!(error.explained(), "connection lost: a lane ended within a frame");
        drop(edge.connection);
    }
    let (mut edge, mut cloud) = server.raw_node().await;
    edge.lanes[2].0.reset(7u32.into()).unwrap();
    assert_eq!(timeout(SOON, cloud.rx.recv()).await.unwrap().unwrap_err().kind(), "lost");
}

#[tokio::test]
async fn lanes_out_of_order_are_a_broken_protocol() {
    let mut server = Cloud::start(limits());
    let raw = server.raw();
    let edge = async {
        let connection = raw.connect().await;
        let mut lane = connection.open_bi().await.unwrap();
        lane.0.write_all(&[2]).await.unwrap();
        ending::over(connection.closed().await).explained()
    };
    tokio::select! {
        said = edge => assert!(said.contains("lane 0 was opened as [2] (code 1002)"), "{said}"),
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    }
}

#[tokio::test]
async fn someone_who_opens_no_lanes_holds_up_nobody_and_is_dropped() {
    let limits = QuicLimits { handshake: Duration::from_millis(500), max_handshakes: 2, ..limits() };
    let mut server = Cloud::start(limits);
    UdpSocket::bind(ANY_PORT).await.unwrap().send_to(&[0xff; 1200], server.address).await.unwrap();
    let raw = server.raw();
    // Both places are taken by the silent ones until their time is over; the second had to prove its address.
    let both = async { tokio::join!(raw.connect(), raw.connect()) };
    let (first, second) = tokio::select! {
        both = both => both,
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    };
    server.joined().await;
    for connection in [first, second] {
        let end = timeout(SOON, connection.closed()).await.unwrap();
        assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end:?}");
    }
    // What became of them is counted when the acceptor is asked for more.
    server.joined().await;
    assert!(server.counted("link_handshakes_refused_total{reason=\"timed_out\"} 2"));
}

#[tokio::test]
async fn whoever_finds_no_place_waits_until_there_is_one() {
    let mut server = Cloud::start(QuicLimits { max_handshakes: 1, handshake: 10 * SOON, ..limits() });
    let raw = server.raw();
    let silent = tokio::select! {
        connection = raw.connect() => connection,
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    };
    // The silent one has the place, 16 more may wait for it: the rest is not heard at first.
    let dialers = [(); 18].map(|()| server.dialer(server.authority.node()));
    let mut dials = futures::future::join_all(dialers.iter().map(|dialer| dialer.dial()));
    let unheard = async {
        // A counter tells no event, and the acceptor counts only while it is asked.
        while server.counted("link_handshakes_unheard_total 0") {
            tokio::select! {
                link = server.acceptor.accept() => panic!("let in {link:?}"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    };
    tokio::select! {
        dialled = &mut dials => panic!("{dialled:?}"),
        unheard = timeout(SOON, unheard) => unheard.unwrap(),
    }
    drop(silent);
    let serve = async {
        let mut links = Vec::new();
        while links.len() < dialers.len() {
            links.push(server.acceptor.accept().await.unwrap());
        }
        links
    };
    let (dialled, _links) = timeout(4 * SOON, futures::future::join(dials, serve)).await.unwrap();
    assert!(dialled.iter().all(Result::is_ok), "{dialled:?}");
}

/// It answers, so UDP gets through, and then it says no more.
#[tokio::test]
async fn a_peer_that_is_heard_is_waited_for_and_not_forever() {
    let mut server = Cloud::start(QuicLimits { max_handshakes: 1, handshake: 10 * SOON, ..limits() });
    let raw = server.raw();
    let _silent = tokio::select! {
        connection = raw.connect() => connection,
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    };
    let (handshake, patience) = (Duration::from_secs(1), Duration::from_secs(3));
    let limits = QuicLimits { handshake, patience, ..limits() };
    let dialer = dialer(server.address, server.authority.node(), limits);
    let start = Instant::now();
    tokio::select! {
        dialled = dialer.dial() => assert_eq!(dialled.unwrap_err().kind(), "timed_out"),
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    }
    assert!((patience..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
}
