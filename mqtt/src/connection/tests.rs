//! Connections that are pipes, on a clock that jumps.

use chassis::task;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{PubAck, Publish};
use tokio::io::DuplexStream;

use super::*;
use crate::local;

struct Rig {
    hub: Arc<Hub>,
    client: DuplexStream,
    input: BytesMut,
    _serving: task::AbortOnDrop<()>,
    _trigger: chassis::shutdown::ShutdownTrigger,
}

impl Rig {
    async fn connect(limits: Limits, keep_alive: u16) -> Self {
        let hub = Arc::new(Hub::new(limits, Metrics::default()));
        let (client, server) = tokio::io::duplex(1 << 16);
        let (trigger, shutdown) = Shutdown::new();
        let serving = {
            let hub = Arc::clone(&hub);
            async move { serve(server, &hub, &shutdown).await }
        };
        let serving = task::spawn(tracing::Span::none(), serving);
        let mut rig = Self { hub, client, input: BytesMut::new(), _serving: serving, _trigger: trigger };
        rig.say(Packet::Connect(Connect { keep_alive, ..Connect::new("c") })).await;
        assert!(matches!(rig.hear().await, Some(Packet::ConnAck(_))));
        rig
    }

    async fn say(&mut self, packet: Packet) {
        let mut output = BytesMut::new();
        packet.write(&mut output, usize::MAX).unwrap();
        self.client.write_all(&output).await.unwrap();
    }

    async fn hear(&mut self) -> Option<Packet> {
        loop {
            if let Ok(packet) = Packet::read(&mut self.input, usize::MAX) {
                return Some(packet);
            }
            if self.client.read_buf(&mut self.input).await.unwrap() == 0 {
                return None;
            }
        }
    }
}

/// The disk is full for an hour: those who publish wait, and are not put out for it. Who is silent by itself is.
#[tokio::test(start_paused = true)]
async fn who_is_not_heard_is_not_silent() {
    let mut rig = Rig::connect(Limits { unanswered: 1, ..Limits::default() }, 10).await;
    let (local, mut inbox) = local::connect(&rig.hub);
    local.subscribe(["#".to_owned()]);
    for id in [1, 2] {
        rig.say(Packet::Publish(Publish { pkid: id, ..Publish::new("t", QoS::AtLeastOnce, "x") })).await;
    }
    let arrival = inbox.next().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    local.acknowledge(arrival.id.unwrap());
    assert_eq!(rig.hear().await, Some(Packet::PubAck(PubAck::new(1))));
    let arrival = inbox.next().await;
    local.acknowledge(arrival.id.unwrap());
    let began = Instant::now();
    assert_eq!(rig.hear().await, Some(Packet::PubAck(PubAck::new(2))));
    assert_eq!(rig.hear().await, None);
    assert_eq!(began.elapsed(), Duration::from_secs(15), "one and a half times what it promised");
}
