//! One peer with a good certificate and bad manners.

mod frames;
mod messages;
mod scene;
mod stalls;

use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use self::scene::Scene;
use crate::args::Malicious;
use crate::dialect::Dialect;
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::node::{Mode, Timing};
use crate::report::Report;

/// The node that misbehaves.
const EVIL: &str = "hollow-evil";
/// The node whose things it wants.
const VICTIM: &str = "hollow-victim";
/// The node that must not notice.
const WITNESS: &str = "hollow-witness";
/// How often the witness renews its lease.
const WITNESS_LEASE: Duration = Duration::from_millis(100);

/// An attack that is over sooner is followed by silence, so that the witness has something to tell.
const WATCHED: Duration = Duration::from_secs(1);

/// Ways to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// Connects with another node's name in the header
    WrongNodeHeader,
    /// Connects without a certificate
    NoCertificate,
    /// Acknowledges messages that were never sent
    UnknownAcks,
    /// Acknowledges everything twice
    DoubleAcks,
    /// Sends one request a hundred times, id and all
    Replays,
    /// Asks for, writes and deletes what belongs to other nodes
    OtherNodesResources,
    /// Sends requests as fast as they are taken, and reads the answers
    Flood,
    /// The same, and reads nothing
    DeafFlood,
    /// Sends keepalives as fast as they are taken
    KeepaliveFlood,
    /// Sends text that is no JSON
    Garbage,
    /// Sends a message that ends in the middle
    TruncatedJson,
    /// Sends JSON that is nested 100,000 levels deep
    DeepJson,
    /// Sends a text frame that is no UTF-8
    NotUtf8,
    /// Sends bytes that are no WebSocket frames
    BrokenFrames,
    /// Sends one message of 64 MiB
    HugeMessage,
    /// Sends one message of 64 MiB in fragments of 1 MiB
    HugeFragments,
    /// Announces a frame of 2^40 bytes and sends nothing of it
    HugeFrame,
    /// Opens 200 connections and says nothing
    SlowTls,
    /// Opens 100 TLS connections and sends the upgrade request byte by byte
    SlowHttp,
    /// Opens 200 connections to the HTTPS port and says nothing
    SlowJoin,
    /// Connects again and again under one name
    Reconnects,
}

/// Goes through the attacks, one after the other, while the witness renews its lease.
///
/// # Errors
/// When the hub is not there to begin with.
pub async fn measure(args: &Malicious) -> anyhow::Result<Report> {
    let mut target = args.target.clone();
    anyhow::ensure!(
        target.dialect == Dialect::Stock,
        "the attacks are made of WebSocket frames and stock messages: there are none in the {} dialect",
        target.dialect
    );
    target.nodes = 0;
    let ground = Ground::prepare(&target, &[WITNESS, EVIL, VICTIM]).await?;
    let [witness, evil, victim] = ground.members.as_slice() else {
        anyhow::bail!("three nodes were asked for")
    };
    let timing = Timing { lease: WITNESS_LEASE, ..ground.timing };
    let witness = Fleet::start(&ground, std::slice::from_ref(witness), timing);
    witness.order(Mode::Online);
    witness.all_ready(ground.limit).await.context("the witness")?;
    let mut report = Report::new("malicious");
    let scene = Scene::new(&ground, evil, victim, args.patience);
    scene.register().await.context("the attacker cannot register")?;
    let all = if args.attacks.is_empty() { Attack::value_variants() } else { &args.attacks };
    for attack in all {
        let name = attack.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        tracing::info!(attack = name, "begins");
        one(*attack, &name, &scene, &witness, &mut report).await?;
    }
    Ok(report)
}

async fn one(
    attack: Attack,
    name: &str,
    scene: &Scene<'_>,
    witness: &Fleet,
    report: &mut Report,
) -> anyhow::Result<()> {
    witness.stats.lease.clear();
    let (connections, before) = (witness.stats.connections.get(), scene.ground().observer.sample().await?);
    let (outcome, ()) = tokio::join!(perform(attack, scene), tokio::time::sleep(WATCHED));
    report.text(name, outcome.unwrap_or_else(|error| format!("refused: {error:#}")));
    let after = scene.ground().observer.sample().await.context("the hub is gone")?;
    let lease = witness.stats.lease.summary();
    report.text(
        &format!("  witness during {name}"),
        format!(
            "{} leases, p50 {:.1?}, p99 {:.1?}, max {:.1?}",
            lease.count, lease.p50, lease.p99, lease.max
        ),
    );
    let lost = witness.stats.connections.get() - connections;
    if lost > 0 {
        report.count(&format!("  witness lost its connection during {name}"), lost);
    }
    if let (Some(before), Some(after)) = (before.hub, after.hub) {
        let grown = (after.pss_kib as f64 - before.pss_kib as f64) / 1024.0;
        report.number(&format!("  hub PSS grown by {name}"), "mib", grown);
    }
    Ok(())
}

async fn perform(attack: Attack, scene: &Scene<'_>) -> anyhow::Result<String> {
    match attack {
        Attack::WrongNodeHeader => scene.wrong_node_header().await,
        Attack::NoCertificate => scene.no_certificate().await,
        Attack::UnknownAcks => scene.unknown_acks().await,
        Attack::DoubleAcks => scene.double_acks().await,
        Attack::Replays => scene.replays().await,
        Attack::OtherNodesResources => scene.other_nodes_resources().await,
        Attack::Flood => scene.flood(true).await,
        Attack::DeafFlood => scene.flood(false).await,
        Attack::KeepaliveFlood => scene.keepalive_flood().await,
        Attack::Garbage => scene.text("this is no JSON".into()).await,
        Attack::TruncatedJson => scene.truncated().await,
        Attack::DeepJson => scene.deep().await,
        Attack::NotUtf8 => scene.raw(frames::not_utf8()).await,
        Attack::BrokenFrames => scene.raw(frames::broken()).await,
        Attack::HugeMessage => scene.huge_message().await,
        Attack::HugeFragments => scene.huge_fragments().await,
        Attack::HugeFrame => scene.raw(frames::announced(1 << 40)).await,
        Attack::SlowTls => scene.slow_tls().await,
        Attack::SlowHttp => scene.slow_http().await,
        Attack::SlowJoin => scene.slow_join().await,
        Attack::Reconnects => scene.reconnects().await,
    }
}
