//! Several acceptors as one.

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};

use super::{Acceptor, Link, LinkError};

/// Takes whatever comes first on any of several acceptors; ends when one of them does.
pub struct Several(Vec<Box<dyn Acceptor>>);

impl Several {
    /// All of these. Of none, no link ever comes.
    #[must_use]
    pub fn new(acceptors: Vec<Box<dyn Acceptor>>) -> Self {
        Self(acceptors)
    }
}

impl std::fmt::Debug for Several {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Several({})", self.0.len())
    }
}

impl Acceptor for Several {
    fn accept(&mut self) -> BoxFuture<'_, Result<Link, LinkError>> {
        if self.0.is_empty() {
            return std::future::pending().boxed();
        }
        // Acceptors lose nothing when they are dropped while waiting, so asking all of them anew each time is enough.
        select_all(self.0.iter_mut().map(|acceptor| acceptor.accept())).map(|(link, _, _)| link).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::memory::MemoryNet;
    use crate::link::{Dialer as _, Peer};
    use crate::rng::Rng;

    #[tokio::test(start_paused = true)]
    async fn links_of_all_come() {
        let nets = [MemoryNet::new(Rng::seeded(1)), MemoryNet::new(Rng::seeded(2))];
        let mut both =
            Several::new(nets.iter().map(|net| Box::new(net.listen()) as Box<dyn Acceptor>).collect());
        for (net, name) in nets.iter().zip(["one", "two"]).chain(nets.iter().zip(["three", "four"])) {
            let peer = Peer { common_name: Some(name.to_owned()), ..Peer::default() };
            net.dialer(name, peer).dial().await.unwrap();
            assert_eq!(both.accept().await.unwrap().peer.common_name.as_deref(), Some(name));
        }
    }
}
