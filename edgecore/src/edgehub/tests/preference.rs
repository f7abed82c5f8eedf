//! Which way is taken, when it is left, and when it is tried again.

use chassis::link::memory::Wire;
use tokio::time::timeout;

use super::*;
use crate::edgehub::preference::Ways;

struct Roads {
    ways: Ways,
    wires: [Wire; 2],
    _acceptors: [MemoryAcceptor; 2],
}

impl Roads {
    fn new() -> Self {
        let nets = [MemoryNet::new(Rng::seeded(1)), MemoryNet::new(Rng::seeded(2))];
        let acceptors = [nets[0].listen(), nets[1].listen()];
        let way =
            |name, net: &MemoryNet| Way { name, dialer: Arc::new(net.dialer("edge-1", Peer::default())) };
        let ways = vec![way("quic", &nets[0]), way("websocket", &nets[1])];
        let wires = [nets[0].wire("edge-1"), nets[1].wire("edge-1")];
        Self { ways: Ways::new(ways, Rng::seeded(3)), wires, _acceptors: acceptors }
    }

    async fn dial(&mut self) -> &'static str {
        self.ways.dial().await.unwrap().name
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_way_is_taken_and_the_second_when_it_is_closed() {
    let mut roads = Roads::new();
    assert_eq!(roads.dial().await, "quic");
    roads.wires[0].cut();
    assert_eq!(roads.dial().await, "websocket");
    // What failed a moment ago is not tried first again, however often the link breaks.
    roads.wires[0].heal();
    assert_eq!(roads.dial().await, "websocket");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(roads.dial().await, "quic");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_failed_is_still_better_than_none() {
    let mut roads = Roads::new();
    roads.wires[0].cut();
    assert_eq!(roads.dial().await, "websocket");
    roads.wires[0].heal();
    roads.wires[1].cut();
    assert_eq!(roads.dial().await, "quic");
    roads.wires[0].cut();
    assert!(roads.ways.dial().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_better_way_is_found_when_it_opens_again() {
    let mut roads = Roads::new();
    assert!(timeout(Duration::from_secs(3600), roads.ways.better_than(0)).await.is_err(), "there is none");
    roads.wires[0].cut();
    let current = roads.ways.dial().await.unwrap();
    assert!(timeout(Duration::from_secs(3600), roads.ways.better_than(current.index)).await.is_err());
    roads.wires[0].heal();
    let found = timeout(Duration::from_secs(601), roads.ways.better_than(current.index)).await.unwrap();
    assert_eq!((found.name, found.index), ("quic", 0));
}
