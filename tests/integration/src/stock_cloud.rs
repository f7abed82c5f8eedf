//! A CloudCore of stock, as far as a node's messages go: it writes down what is said to it, answers what stock answers, and can be
//! cut off.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::Path;
use std::sync::Arc;

use certs::tls::{ClientAuth, server_config};
use certs::{Ca, SanList};
use chassis::task::{self, AbortOnDrop};
use futures::{SinkExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use proto::config::edgecore::EdgeCore;
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message as Frame;

/// See the module.
#[derive(Debug)]
pub struct StockCloud {
    ca: Ca,
    port: u16,
    heard: watch::Sender<Vec<Message>>,
    is_up: watch::Sender<bool>,
    says: broadcast::Sender<Message>,
    connected: watch::Sender<usize>,
    _serving: AbortOnDrop<()>,
}

impl StockCloud {
    /// On a free port of the loopback address.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let now = Timestamp::now();
        let ca = Ca::generate(now).unwrap();
        let identity = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
        let tls = server_config(ca.cert_der(), &identity, ClientAuth::Required).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, is_up) = (watch::Sender::new(Vec::new()), watch::Sender::new(true));
        let (says, connected) = (broadcast::Sender::new(64), watch::Sender::new(0));
        let parts = (heard.clone(), is_up.clone(), says.clone(), connected.clone());
        let serving = serve(listener, TlsAcceptor::from(Arc::new(tls)), parts);
        let serving = task::spawn(tracing::Span::none(), serving);
        Self { ca, port, heard, is_up, says, connected, _serving: serving }
    }

    /// The configuration of a node of this cloud, that has joined already.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn edge(&self, node: &str, dir: &Path) -> EdgeCore {
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let [admin] = crate::ports::free().unwrap();
        let mut config = EdgeCore::default();
        config.common_config.monitor_server.bind_address = format!("127.0.0.1:{admin}");
        config.database.data_source = path("edgecore.db");
        let hub = &mut config.modules.edge_hub;
        hub.http_server = "https://127.0.0.1:1".to_owned();
        hub.websocket.server = format!("127.0.0.1:{}", self.port);
        (hub.tls_ca_file, hub.tls_cert_file) = (path("ca.crt"), path("node.crt"));
        hub.tls_private_key_file = path("node.key");
        (hub.message_qps, hub.rotate_certificates) = (0, false);
        config.modules.device_twin.dmi_sock_path = dir.to_str().unwrap().to_owned();
        // There is no container runtime: the node is never ready, and MQTT must not mind.
        let edged = &mut config.modules.edged;
        edged.hostname_override = node.to_owned();
        edged.root_directory = path("kubelet");
        let kubelet = &mut edged.tailored_kubelet_config;
        kubelet.read_only_port = 0;
        (kubelet.pod_logs_dir, kubelet.static_pod_path) = (path("logs"), path("manifests"));
        kubelet.container_runtime_endpoint = format!("unix://{}", path("containerd.sock"));
        kubelet.image_service_endpoint = kubelet.container_runtime_endpoint.clone();
        let name = format!("system:node:{node}");
        let year = SignedDuration::from_hours(24 * 365);
        let identity = self.ca.issue_client(&name, "system:nodes", year, Timestamp::now()).unwrap();
        std::fs::write(path("ca.crt"), certs::armor::encode_certificate(self.ca.cert_der())).unwrap();
        certs::files::write_pair(&dir.join("node.crt"), &dir.join("node.key"), &identity).unwrap();
        config
    }

    /// The node cannot reach it any more.
    pub fn cut(&self) {
        self.is_up.send_replace(false);
    }

    /// It can again.
    pub fn heal(&self) {
        self.is_up.send_replace(true);
    }

    /// Waits until as many nodes are connected.
    ///
    /// # Panics
    /// When they do not come or go.
    pub async fn until_connected(&self, count: usize) {
        let mut connected = self.connected.subscribe();
        let met = tokio::time::timeout(crate::daemons::SOON, connected.wait_for(|now| *now == count)).await;
        drop(met.expect("the node has not come or gone").unwrap());
    }

    /// Sends a message to the node.
    ///
    /// # Panics
    /// When no node is connected.
    pub fn say(&self, source: Source, group: Group, operation: Operation, resource: &str, content: Content) {
        let stamp =
            Stamp { id: uuid::Uuid::new_v4().to_string(), timestamp: Timestamp::now().as_millisecond() };
        let resource = Resource::parse(&group, resource);
        let route = Route { source, group, operation, resource };
        self.says.send(Message::new(stamp, route, content)).expect("no node is connected");
    }

    /// What has been said by now, as it grows.
    #[must_use]
    pub fn heard(&self) -> watch::Receiver<Vec<Message>> {
        self.heard.subscribe()
    }

    /// Users' messages: their ids and what they say.
    #[must_use]
    pub fn uploads(&self, topic: &str) -> Vec<(String, String)> {
        let heard = self.heard.borrow();
        let uploads = heard.iter().filter(|message| {
            message.route.group == Group::User && message.route.resource == Resource::Topic(topic.to_owned())
        });
        uploads
            .map(|message| {
                assert_eq!(
                    (&message.route.source, &message.route.operation),
                    (&Source::Bus, &Operation::Upload)
                );
                (message.header.id.clone(), String::from_utf8(message.content.data().into_owned()).unwrap())
            })
            .collect()
    }
}

type Parts =
    (watch::Sender<Vec<Message>>, watch::Sender<bool>, broadcast::Sender<Message>, watch::Sender<usize>);

async fn serve(listener: TcpListener, tls: TlsAcceptor, (heard, is_up, says, connected): Parts) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if !*is_up.borrow() {
                    continue;
                }
                let session = session(stream, tls.clone(), heard.clone(), is_up.subscribe(), says.clone(), connected.clone());
                task::spawn_in(&mut sessions, tracing::Span::none(), async move { session.await.ok() });
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn session(
    stream: TcpStream,
    tls: TlsAcceptor,
    heard: watch::Sender<Vec<Message>>,
    mut is_up: watch::Receiver<bool>,
    says: broadcast::Sender<Message>,
    connected: watch::Sender<usize>,
) -> anyhow::Result<()> {
    // It agrees on no protocol: that is what stock does.
    let mut socket = accept_async(tls.accept(stream).await?).await?;
    let mut says = says.subscribe();
    connected.send_modify(|count| *count += 1);
    loop {
        let out = tokio::select! {
            down = is_up.wait_for(|up| !up) => { drop(down); break }
            message = says.recv() => Some(message?),
            frame = socket.next() => match frame {
                Some(Ok(Frame::Text(text))) => hear(proto::codec::decode(text.as_bytes())?, &heard),
                Some(Ok(_)) => None,
                Some(Err(_)) | None => break,
            },
        };
        if let Some(message) = out {
            let bytes = proto::codec::encode(&message);
            socket.send(Frame::text(String::from_utf8(bytes.to_vec())?)).await?;
        }
    }
    connected.send_modify(|count| *count -= 1);
    Ok(())
}

/// Writes it down; gives the answer of stock, where it has one.
fn hear(message: Message, heard: &watch::Sender<Vec<Message>>) -> Option<Message> {
    let stamp = || Stamp { id: uuid::Uuid::new_v4().to_string(), timestamp: 1 };
    let answer = match (&message.route.source, &message.route.operation) {
        (Source::Twin, Operation::Update) => {
            Some(message.reply(stamp(), Content::ok()).from_module(Source::DeviceController, Group::Twin))
        }
        (Source::Edged, Operation::Query) => {
            let why = proto::reply::failure_status(404, "NotFound", "not found".to_owned());
            let why = proto::reply::QueryFailure::from_status(&why).to_string();
            Some(message.error(stamp(), why).from_module(Source::EdgeController, Group::Resource))
        }
        _ => None,
    };
    heard.send_modify(|all| all.push(message));
    answer
}
