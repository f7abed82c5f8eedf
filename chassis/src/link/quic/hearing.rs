//! A UDP socket that tells whether anything has come in. QUIC itself does not say so before a handshake is over, and that
//! is when a dialer must know a network that lets no UDP through from a peer that has much to do.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime as _, TokioRuntime, UdpPoller};

/// How often something came in. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

#[derive(Debug)]
struct Hearing {
    inner: Arc<dyn AsyncUdpSocket>,
    heard: Heard,
}

impl Heard {
    pub(super) fn times(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An endpoint that dials from `socket`. Must be called within a tokio runtime.
pub(super) fn endpoint(socket: UdpSocket) -> io::Result<(Endpoint, Heard)> {
    let heard = Heard::default();
    let inner = TokioRuntime.wrap_udp_socket(socket)?;
    let hearing = Arc::new(Hearing { inner, heard: heard.clone() });
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, hearing, runtime)?;
    Ok((endpoint, heard))
}

impl AsyncUdpSocket for Hearing {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.inner.poll_recv(context, buffers, meta))?;
        self.heard.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
