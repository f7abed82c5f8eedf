//! Which way is taken, when it is left, and when it is tried again.

use chassis::link::memory::Wire;
use tokio::time::timeout;

use super::*;
use crate::edgehub::memory::Memory;
use crate::edgehub::preference::Ways;

struct Roads {
    ways: Ways,
    wires: [Wire; 2],
    _acceptors: [MemoryAcceptor; 2],
}

fn way(name: &'static str, server: &str, net: &MemoryNet) -> Way {
    Way { name, server: server.into(), dialer: Arc::new(net.dialer("edge-1", Peer::default())) }
}

/// Servers, each with both transports, of which a firewall lets the first through to nobody.
struct Servers {
    nets: Vec<MemoryNet>,
    acceptors: Vec<MemoryAcceptor>,
}

impl Servers {
    fn new(count: u64) -> Self {
        let nets: Vec<_> = (0..count).map(|seed| MemoryNet::new(Rng::seeded(seed))).collect();
        let acceptors = nets.iter().map(MemoryNet::listen).collect();
        Self { nets, acceptors }
    }

    fn ways(&self, memory: Memory, seed: u64) -> Ways {
        let blocked = MemoryNet::new(Rng::seeded(9));
        let of = |(place, net): (usize, &MemoryNet)| {
            let server = place.to_string();
            [way("quic", &server, &blocked), way("websocket", &server, net)]
        };
        Ways::new(self.nets.iter().enumerate().flat_map(of).collect(), memory, Rng::seeded(seed))
    }
}

/// The server that is dialled, and the place of the way.
async fn server(ways: &mut Ways) -> (usize, usize) {
    let opened = ways.dial().await.unwrap();
    assert_eq!(opened.name, "websocket");
    (opened.index / 2, opened.index)
}

impl Roads {
    fn new() -> Self {
        let nets = [MemoryNet::new(Rng::seeded(1)), MemoryNet::new(Rng::seeded(2))];
        let acceptors = [nets[0].listen(), nets[1].listen()];
        let ways = vec![way("quic", "cloud", &nets[0]), way("websocket", "cloud", &nets[1])];
        let wires = [nets[0].wire("edge-1"), nets[1].wire("edge-1")];
        let ways = Ways::new(ways, Memory::default(), Rng::seeded(3));
        Self { ways, wires, _acceptors: acceptors }
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

#[tokio::test(start_paused = true)]
async fn the_first_server_is_taken_then_the_one_that_was_good_last() {
    let servers = Servers::new(3);
    let mut ways = servers.ways(Memory::default(), 1);
    assert_eq!(server(&mut ways).await.0, 0);
    servers.nets[0].wire("edge-1").cut();
    let (other, _) = server(&mut ways).await;
    assert_ne!(other, 0);
    servers.nets[0].wire("edge-1").heal();
    // Also when the first is there again, and has not failed lately.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(server(&mut ways).await.0, other);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_is_left_for_another_one_and_taken_again_where_there_is_none() {
    let mut servers = Servers::new(2);
    let mut ways = servers.ways(Memory::default(), 1);
    let (first, way) = server(&mut ways).await;
    ways.ends(way);
    // It takes connections still; nobody is to go there.
    assert_eq!((first, server(&mut ways).await.0), (0, 1));
    ways.ends(way);
    servers.acceptors.pop();
    assert_eq!(server(&mut ways).await.0, 0, "better than none");
}

#[tokio::test(start_paused = true)]
async fn nodes_whose_server_ends_go_to_all_of_the_others() {
    let servers = Servers::new(4);
    let mut to = [0; 4];
    for seed in 0..60 {
        let mut ways = servers.ways(Memory::default(), seed);
        let (_, way) = server(&mut ways).await;
        ways.ends(way);
        to[server(&mut ways).await.0] += 1;
    }
    assert_eq!(to[0], 0);
    assert!(to[1..].iter().all(|nodes| *nodes > 10), "{to:?}");
}

#[tokio::test(start_paused = true)]
async fn the_server_that_was_good_last_is_known_after_a_restart() {
    let (servers, dir) = (Servers::new(2), tempfile::tempdir().unwrap());
    let file = dir.path().join("server");
    let mut ways = servers.ways(Memory::read(file.clone()), 1);
    servers.nets[0].wire("edge-1").cut();
    assert_eq!(server(&mut ways).await.0, 1);
    servers.nets[0].wire("edge-1").heal();
    assert_eq!(server(&mut servers.ways(Memory::read(file.clone()), 1)).await.0, 1);
    // One that is in the list no longer is forgotten.
    std::fs::write(&file, "7").unwrap();
    assert_eq!(server(&mut servers.ways(Memory::read(file.clone()), 1)).await.0, 0);
    // With one server there is nothing to remember.
    std::fs::remove_file(&file).unwrap();
    server(&mut Servers::new(1).ways(Memory::read(file.clone()), 1)).await;
    assert!(!file.exists());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_told_that_its_cloud_ends_is_elsewhere_at_once() {
    let mut servers = Servers::new(2);
    let (from_hub, mut down) = bounded("down", 16);
    let (_up, inbox) = bounded::<ToCloud>("up", 16);
    let config = Config { heartbeat: HEARTBEAT, message_qps: 30, message_burst: 60, last_server: None };
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let ways = (0..2).map(|place| way("websocket", &place.to_string(), &servers.nets[place])).collect();
    let ready = Readiness::new().register("edgehub");
    let hub = EdgeHub::new(config, ways, inbox, from_hub, (clock, Rng::seeded(1)), ready);
    let (_trigger, shutdown) = Shutdown::new();
    let _hub = chassis::task::spawn(tracing::Span::none(), hub.run(shutdown));
    let mut link = servers.acceptors[0].accept().await.unwrap();
    assert!(matches!(down.recv().await, Some(FromCloud::Connected(None))));
    let told = Instant::now();
    let reason = chassis::link::CloseReason::new(chassis::link::CloseReason::GOING_AWAY, "CloudCore ends");
    link.tx.close(reason).await.unwrap();
    servers.acceptors[1].accept().await.unwrap();
    assert_eq!(told.elapsed(), Duration::ZERO);
}
