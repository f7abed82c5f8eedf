//! Connections that are opened and not used: whether others can still connect.

use std::sync::Arc;
use std::time::Duration;

use certs::tls;
use futures::future::join_all;
use http::HeaderMap;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::scene::Scene;
use crate::https;

/// More than a hub has handshakes in progress.
const CONNECTIONS: usize = 200;
const TLS_CONNECTIONS: usize = 100;
/// How many times the one node connects.
const RECONNECTS: usize = 200;
/// Until the connections have arrived at the hub.
const SETTLE: Duration = Duration::from_millis(500);
/// A slow peer does not wait for long itself: those that get no further are not needed.
const OPEN: Duration = Duration::from_secs(3);
/// As long as a handshake may take at either end, and a little.
const LIMIT: Duration = Duration::from_secs(35);
/// Between two bytes of a slow request.
const DRIP: Duration = Duration::from_secs(1);

impl Scene<'_> {
    /// How long a well-behaved node needs to connect now.
    async fn connect_time(&self) -> String {
        let start = Instant::now();
        match timeout(LIMIT, self.open(self.victim)).await {
            Ok(Ok(_)) => format!("another node connects in {:.1?}", start.elapsed()),
            Ok(Err(error)) => format!("another node CANNOT connect: {error:#} after {:.1?}", start.elapsed()),
            Err(_) => format!("another node CANNOT connect within {LIMIT:?}"),
        }
    }

    pub(super) async fn slow_tls(&self) -> anyhow::Result<String> {
        let hub = &self.ground().hub;
        let open: Vec<_> =
            join_all((0..CONNECTIONS).map(|_| hub.tcp(None))).await.into_iter().flatten().collect();
        sleep(SETTLE).await;
        let others = self.connect_time().await;
        Ok(format!("{} silent connections; {others}", open.len()))
    }

    pub(super) async fn slow_http(&self) -> anyhow::Result<String> {
        let hub = &self.ground().hub;
        let key = &self.evil.key;
        let open =
            join_all((0..TLS_CONNECTIONS).map(|_| timeout(OPEN, hub.tls(Some(key.clone()), None)))).await;
        let mut open: Vec<_> = open.into_iter().flatten().flatten().collect();
        let drip = async {
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
                for stream in &mut open {
                    // Those that the hub has closed are closed.
                    drop(stream.write_all(std::slice::from_ref(byte)).await);
                    drop(stream.flush().await);
                }
                sleep(DRIP).await;
            }
        };
        let others = async {
            sleep(SETTLE).await;
            self.connect_time().await
        };
        let others = tokio::select! {
            () = drip => String::new(),
            others = others => others,
        };
        Ok(format!("{} slow upgrades; {others}", open.len()))
    }

    pub(super) async fn slow_join(&self) -> anyhow::Result<String> {
        let https = &self.ground().https;
        let open = join_all((0..CONNECTIONS).map(|_| https.connect(None))).await;
        let open: Vec<_> = open.into_iter().flatten().collect();
        sleep(SETTLE).await;
        let start = Instant::now();
        let tls = Arc::new(tls::unverified_client_config()?);
        let got = https::get(https, "/ca.crt", tls, HeaderMap::new(), Vec::new()).await;
        let others = match got {
            Ok(_) => format!("/ca.crt is there in {:.1?}", start.elapsed()),
            Err(error) => format!("/ca.crt is NOT there: {error:#} after {:.1?}", start.elapsed()),
        };
        Ok(format!("{} silent connections; {others}", open.len()))
    }

    pub(super) async fn reconnects(&self) -> anyhow::Result<String> {
        let start = Instant::now();
        let mut last = self.open(self.evil).await?;
        for _ in 1..RECONNECTS {
            last = self.open(self.evil).await?;
        }
        let took = start.elapsed();
        let reaction = self.reaction(&mut last).await;
        Ok(format!("{:.0} connections/s; the last one: {reaction}", RECONNECTS as f64 / took.as_secs_f64()))
    }
}
