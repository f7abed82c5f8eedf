//! Well-formed messages that should not be sent.

use std::time::Duration;

use anyhow::Context as _;
use chassis::link::Dialect as Speech;
use futures::{SinkExt as _, StreamExt as _};
use proto::{Content, Operation, codec};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::scene::{Scene, frame, has_failed, say};

/// How many times something is said that should be said once or never.
const MANY: usize = 1000;
const REPLAYS: usize = 100;
/// How long floods last.
const FLOOD: Duration = Duration::from_secs(5);

impl Scene<'_> {
    pub(super) async fn wrong_node_header(&self) -> anyhow::Result<String> {
        let mut thief = self.evil.clone();
        thief.name = self.victim.name.clone();
        let mut socket = self.open(&thief).await?;
        let lease = format!("kube-node-lease/lease/{}", self.victim.name);
        // It may be closed already.
        drop(say(&mut socket, &self.request(Operation::Query, &lease, &Value::Null)).await);
        Ok(self.reaction(&mut socket).await.to_string())
    }

    pub(super) async fn no_certificate(&self) -> anyhow::Result<String> {
        let hub = &self.ground().hub;
        let stream = hub.tls(None, None).await?;
        let mut socket = hub.upgrade(stream, &self.evil.name, Speech::Stock).await?;
        Ok(format!("upgraded; {}", self.reaction(&mut socket).await))
    }

    pub(super) async fn unknown_acks(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let never = self.request(Operation::Update, &format!("null/node/{}", self.evil.name), &Value::Null);
        for _ in 0..MANY {
            let mut ack = never.ack(self.stamp());
            ack.header.parent_id = Some(self.stamp().id);
            say(&mut socket, &ack).await?;
        }
        Ok(format!("{MANY} sent; {}", self.reaction(&mut socket).await))
    }

    /// The node itself is pushed to every node that connects or changes.
    pub(super) async fn double_acks(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let patch = json!({"status": {"phase": self.stamp().id}}).to_string();
        let mut change =
            self.request(Operation::Patch, &format!("null/nodepatch/{}", self.evil.name), &Value::Null);
        change.content = Content::text(patch);
        say(&mut socket, &change).await?;
        let mut pushed = 0;
        while let Ok(Some(Ok(received))) = timeout(Duration::from_secs(1), socket.next()).await {
            let Ok(message) = codec::decode(&received.into_data()) else { continue };
            if message.header.parent_id.is_none() {
                pushed += 1;
                for _ in 0..2 {
                    say(&mut socket, &message.ack(self.stamp())).await?;
                }
            }
        }
        Ok(format!("{pushed} messages acknowledged twice; {}", self.reaction(&mut socket).await))
    }

    pub(super) async fn replays(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let name = &*self.evil.name;
        let lease = json!({
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40},
        });
        let request = self.request(Operation::Insert, &format!("kube-node-lease/lease/{name}"), &lease);
        for _ in 0..REPLAYS {
            say(&mut socket, &request).await?;
        }
        Ok(format!("{REPLAYS} sent; {}", self.reaction(&mut socket).await))
    }

    pub(super) async fn other_nodes_resources(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let victim = &*self.victim.name;
        let node = json!({"metadata": {"name": victim, "labels": {"owned": "yes"}}});
        let lease = json!({"metadata": {"name": victim, "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "evil"}});
        let pod = json!({
            "metadata": {"name": "owned", "namespace": "default"},
            "spec": {"nodeName": victim, "containers": [{"name": "main", "image": "example.com/x"}]},
        });
        let wanted = [
            (Operation::Update, format!("null/node/{victim}"), node.clone()),
            (
                Operation::Insert,
                format!("null/node/{victim}-2"),
                json!({"metadata": {"name": format!("{victim}-2")}}),
            ),
            (Operation::Query, format!("null/node/{victim}"), Value::Null),
            (Operation::Patch, format!("null/nodepatch/{victim}"), json!({"status": {"conditions": []}})),
            (Operation::Update, format!("kube-node-lease/lease/{victim}"), lease),
            (Operation::Query, format!("kube-node-lease/lease/{victim}"), Value::Null),
            (Operation::Insert, "default/pod/owned".to_owned(), pod),
            (Operation::Query, "kubeedge/secret/casecret".to_owned(), Value::Null),
            (Operation::Query, "kubeedge/secret/tokensecret".to_owned(), Value::Null),
            (
                Operation::Query,
                "kube-system/configmap/extension-apiserver-authentication".to_owned(),
                Value::Null,
            ),
            (
                Operation::Query,
                "kube-system/serviceaccounttoken/default".to_owned(),
                json!({"spec": {"audiences": []}}),
            ),
        ];
        let (mut refused, mut silent, mut granted) = (0, 0, Vec::new());
        for (operation, resource, content) in wanted {
            let request = self.request(operation, &resource, &content);
            say(&mut socket, &request).await?;
            match self.answer(&mut socket, &request).await? {
                None => silent += 1,
                Some(answer) if has_failed(&answer) => refused += 1,
                Some(_) => granted.push(format!("{} {resource}", request.route.operation)),
            }
        }
        Ok(format!("{refused} refused, {silent} not answered, {} granted {granted:?}", granted.len()))
    }

    /// Queries of its own lease: the cheapest request that reaches the API.
    pub(super) async fn flood(&self, reads: bool) -> anyhow::Result<String> {
        let socket = self.open(self.evil).await?;
        let lease = format!("kube-node-lease/lease/{}", self.evil.name);
        let (mut tx, mut rx) = socket.split();
        let start = Instant::now();
        let (mut sent, mut read) = (0_u64, 0_u64);
        let send = async {
            while start.elapsed() < FLOOD {
                let request = codec::encode(&self.request(Operation::Query, &lease, &Value::Null));
                match timeout(FLOOD, tx.feed(frame(request)?)).await {
                    Ok(fed) => fed.context("cut")?,
                    Err(_) => break,
                }
                sent += 1;
            }
            anyhow::Ok(())
        };
        let receive = async {
            if !reads {
                std::future::pending::<()>().await;
            }
            while let Some(Ok(_)) = rx.next().await {
                read += 1;
            }
        };
        let ended = tokio::select! {
            ended = send => ended.map_or_else(|error| format!("{error:#}"), |()| "stays connected".to_owned()),
            () = receive => "cut".to_owned(),
        };
        Ok(format!(
            "{:.0} requests/s taken, {read} answers read; {ended}",
            sent as f64 / start.elapsed().as_secs_f64()
        ))
    }

    pub(super) async fn keepalive_flood(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let (start, mut sent) = (Instant::now(), 0_u64);
        while start.elapsed() < FLOOD {
            match timeout(FLOOD, socket.feed(frame(codec::encode(&self.keepalive()))?)).await {
                Ok(fed) => fed.context("cut")?,
                Err(_) => break,
            }
            sent += 1;
        }
        Ok(format!("{:.0} keepalives/s taken", sent as f64 / start.elapsed().as_secs_f64()))
    }
}
