//! The way to the broker inside EdgeCore: no socket, so that it is there whatever has its port.

use std::collections::BTreeSet;
use std::sync::Arc;

use chassis::channel::{Receiver, Sender};
use mqtt::{Inbox, Local, Publication};
use tokio::sync::watch;

use super::Metrics;
use super::wire::{Ack, Arrival, Broker, Ends, Filters, Heard, Queued};
use crate::flow::MqttPublish;

/// The two ends that the broker gives.
pub type Inside = (Local, Inbox);

/// The one connection that there is.
const CONNECTION: u64 = 1;

/// Carries what there is until nobody listens. Four ways that do not wait for each other.
pub(super) async fn run((local, inbox): Inside, ends: Ends, metrics: Metrics) {
    let Ends { broker, publishes, acks, filters, queued, heard } = ends;
    metrics.connected(broker);
    // Those who publish number their messages as before EdgeCore started again.
    if heard.send(Heard::Connected { broker, is_new: false }).await.is_err() {
        return;
    }
    tokio::select! {
        () = hear(inbox, &heard, broker) => {}
        () = acknowledge(&local, acks) => {}
        () = subscribe(&local, filters) => {}
        () = publish(&local, publishes, queued) => {}
    }
}

async fn hear(mut inbox: Inbox, heard: &Sender<Heard>, broker: Broker) {
    // Room first: what waits is in the broker, within its limits.
    while let Ok(room) = heard.reserve().await {
        let mqtt::Arrival { topic, payload, id, sender } = inbox.next().await;
        let (client, number, is_repeated) = match sender {
            Some(sender) => (Some(sender.client), sender.id, sender.is_repeated),
            None => (None, id.unwrap_or_default(), false),
        };
        let ack = id.map(|id| Ack { connection: CONNECTION, id });
        room.send(Heard::Message(Arrival { topic, payload, broker, ack, client, number, is_repeated }));
    }
}

async fn acknowledge(local: &Local, mut acks: Receiver<Ack>) {
    while let Some(ack) = acks.recv().await {
        local.acknowledge(ack.id);
    }
}

async fn subscribe(local: &Local, mut filters: watch::Receiver<Arc<Filters>>) {
    let mut made = BTreeSet::new();
    loop {
        let wanted: BTreeSet<String> = filters.borrow_and_update().keys().cloned().collect();
        let refused = local.subscribe(wanted.difference(&made).cloned());
        if refused > 0 {
            tracing::error!(
                refused,
                "the broker inside refuses subscriptions: they are no filters, or too many"
            );
        }
        let gone: Vec<String> = made.difference(&wanted).cloned().collect();
        if !gone.is_empty() {
            local.unsubscribe(gone);
        }
        made = wanted;
        if filters.changed().await.is_err() {
            return;
        }
    }
}

async fn publish(local: &Local, mut publishes: Receiver<MqttPublish>, queued: Queued) {
    while let Some(message) = publishes.recv().await {
        let bytes = message.size();
        let MqttPublish { topic, payload, qos, retain } = message;
        if let Err(error) = local.publish(Publication { topic, payload, qos, retain }).await {
            tracing::warn!(%error, "nothing was published");
        }
        queued.remove(bytes);
    }
}
