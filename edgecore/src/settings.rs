//! The configuration file: reading it, printing it, and turning it into what each module takes.

mod broker;
mod bus;
mod services;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::identity::NodeIdentity;
use certs::token::JoinToken;
use chassis::config::{self, ConfigError};
use chassis::host;
use chassis::link::quic::QuicLimits;
use chassis::link::websocket::WebSocketLimits;
use chassis::telemetry::LogFormat;
use http::{HeaderMap, HeaderValue};
use proto::config::LogFormat as FileLogFormat;
use proto::config::edgecore::{DeviceTwin, EdgeCore, EdgeHub, Transport};

pub use self::broker::{Broker, ServedTls};
use crate::args::Args;
use crate::edgehub::bootstrap;
use crate::{devicetwin, edged, edgehub, eventbus, metamanager, servicebus};

/// Where `keadm join` leaves the token of the first start; it counts for more than the one in the file.
const BOOTSTRAP_TOKEN: &str = "/etc/kubeedge/bootstrap-edgecore.conf";

/// Beside the store: the server that was good last.
const LAST_SERVER: &str = "edgehub-server";

/// The file, read once: every value is of the type that its module takes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Log lines.
    pub log: (LogFormat, String),
    /// Where the admin HTTP listens.
    pub admin: SocketAddr,
    /// The store's file.
    pub database: PathBuf,
    /// edgehub.
    pub hub: edgehub::Config,
    /// How edgehub reaches the cloud.
    pub link: LinkSettings,
    /// MetaManager.
    pub meta: metamanager::Config,
    /// edged; none when `modules.edged.enable` is false.
    pub edged: Option<edged::Config>,
    /// DeviceTwin; none when `modules.deviceTwin.enable` is false.
    pub devices: Option<devicetwin::Config>,
    /// EventBus; none when `modules.eventBus.enable` is false.
    pub bus: Option<eventbus::Config>,
    /// The MQTT broker inside EdgeCore; none when `modules.eventBus.mqttMode` is 2.
    pub broker: Option<Broker>,
    /// ServiceBus; none when `modules.serviceBus.enable` is false.
    pub services: Option<servicebus::Config>,
}

/// How the cloud is reached.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Certificate: where it is, and how to get it.
    pub bootstrap: bootstrap::Config,
    /// Whether the certificate is renewed before it ends.
    pub rotate: bool,
    /// The ways to the cloud: server by server, and to each the best first.
    pub ways: Vec<WaySettings>,
}

/// One way to the cloud.
#[derive(Debug, Clone)]
pub struct WaySettings {
    /// Which server it leads to: `host:port` of its WebSocket, where it has one.
    pub server: String,
    /// How.
    pub transport: TransportSettings,
}

/// How a server is reached.
#[derive(Debug, Clone)]
pub enum TransportSettings {
    /// `modules.edgeHub.quic`
    Quic {
        /// DNS name or IP address.
        host: String,
        /// UDP port.
        port: u16,
        /// Times and sizes.
        limits: QuicLimits,
    },
    /// `modules.edgeHub.websocket`
    WebSocket {
        /// `wss://` address.
        url: String,
        /// What the upgrade request carries (spec cloud-and-wire 1.2).
        headers: HeaderMap,
        /// Times and sizes.
        limits: WebSocketLimits,
    },
}

/// What `--defaultconfig` or `--minconfig` print; none when neither was given.
///
/// # Errors
/// When the defaults cannot be written as YAML.
pub fn printed(args: &Args) -> anyhow::Result<Option<String>> {
    if args.minconfig {
        return Ok(Some(EdgeCore::MINIMAL_YAML.to_owned()));
    }
    args.defaultconfig.then(|| config::to_yaml(&EdgeCore::default())).transpose().map_err(Into::into)
}

/// Reads the file, fills in what the machine knows, and lists everything that is wrong.
///
/// # Errors
/// When the file cannot be read or is not valid; then with every problem.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let mut settings = None;
    config::load_checked(path, |file: &mut EdgeCore| {
        file.fill_from_host(&host::host_name(), &host::local_ip().to_string());
        let mut problems = file.validate();
        if problems.is_empty() {
            settings = parse(file, bootstrap_token()).map_err(|more| problems.extend(more)).ok();
        }
        problems
    })?;
    Ok(settings.expect("a file without problems was parsed"))
}

fn bootstrap_token() -> Option<String> {
    let text = std::fs::read_to_string(BOOTSTRAP_TOKEN).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn parse(file: &EdgeCore, token: Option<String>) -> Result<Settings, Vec<(String, String)>> {
    let mut problems = Vec::new();
    let node = file.modules.edged.hostname_override.clone();
    let admin = &file.common_config.monitor_server.bind_address;
    let admin = admin.parse().map_err(|error| {
        problems.push(("commonConfig.monitorServer.bindAddress".to_owned(), format!("{error}")))
    });
    let link = link(file, &node, token).map_err(|problem| problems.push(problem));
    let edged = match file.modules.edged.enable {
        true => edged::Config::from_file(&file.modules.edged, &node).map(Some).map_err(|more| {
            problems.extend(more.into_iter().map(|(path, why)| (format!("modules.edged.{path}"), why)));
        }),
        false => Ok(None),
    };
    let (Ok(admin), Ok(link), Ok(edged)) = (admin, link, edged) else { return Err(problems) };
    let hub = &file.modules.edge_hub;
    let number = |value: i32| u32::try_from(value).unwrap_or(0);
    Ok(Settings {
        log: (log_format(file.logging.format), file.logging.level.clone()),
        admin,
        database: file.database.data_source.clone().into(),
        hub: edgehub::Config {
            heartbeat: Duration::from_secs(number(hub.heartbeat).into()),
            message_qps: number(hub.message_qps),
            message_burst: number(hub.message_burst),
            last_server: Some(Path::new(&file.database.data_source).with_file_name(LAST_SERVER)),
        },
        link,
        bus: bus::config(&file.modules.event_bus, &node),
        broker: broker::config(&file.modules.event_bus),
        services: services::config(file),
        meta: metamanager::Config {
            uploads: bus::limit(&file.modules.event_bus),
            node,
            query_timeout: Duration::from_secs(number(file.modules.meta_manager.remote_query_timeout).into()),
        },
        edged,
        devices: devices(&file.modules.device_twin),
    })
}

/// As stock reads it: a folder, or a socket whose folder counts.
fn devices(file: &DeviceTwin) -> Option<devicetwin::Config> {
    let path = Path::new(&file.dmi_sock_path);
    let is_socket = path.extension().is_some_and(|extension| extension == "sock");
    let folder = if is_socket { path.parent().unwrap_or(path) } else { path };
    file.enable.then(|| devicetwin::Config { socket: folder.join("dmi.sock") })
}

fn link(file: &EdgeCore, node: &str, token: Option<String>) -> Result<LinkSettings, (String, String)> {
    let at = |key: &str| format!("modules.edgeHub.{key}");
    let hub = &file.modules.edge_hub;
    let identity = NodeIdentity::new(node)
        .map_err(|error| ("modules.edged.hostnameOverride".to_owned(), error.to_string()))?;
    let token = token.unwrap_or_else(|| hub.token.reveal().to_owned());
    let token = (!token.is_empty())
        .then(|| JoinToken::parse(&token))
        .transpose()
        .map_err(|error| (at("token"), error.to_string()))?;
    let bootstrap = bootstrap::Config {
        server: hub.http_server.parse().map_err(|error| (at("httpServer"), format!("{error}")))?,
        node: identity,
        token,
        ca_file: hub.tls_ca_file.clone().into(),
        certificate_file: hub.tls_cert_file.clone().into(),
        key_file: hub.tls_private_key_file.clone().into(),
        retry: bootstrap::RETRY,
    };
    Ok(LinkSettings { bootstrap, rotate: hub.rotate_certificates, ways: ways(hub, node)? })
}

/// The n-th server of either transport is the same CloudCore.
fn ways(hub: &EdgeHub, node: &str) -> Result<Vec<WaySettings>, (String, String)> {
    let by_websocket = if hub.websocket.enable { hub.websocket.all_servers() } else { Vec::new() };
    let by_quic = if hub.quic.enable { hub.quic.all_servers() } else { Vec::new() };
    let mut ways = Vec::new();
    for place in 0..by_websocket.len().max(by_quic.len()) {
        let (socket, quic_server) = (by_websocket.get(place), by_quic.get(place));
        let Some(server) = socket.or(quic_server) else { continue };
        for transport in &hub.preference {
            let transport = match transport {
                Transport::Quic => quic_server.map(|server| quic(hub, server)),
                Transport::WebSocket => socket.map(|server| websocket(hub, server, node)),
            };
            if let Some(transport) = transport {
                ways.push(WaySettings { server: (*server).to_owned(), transport: transport? });
            }
        }
    }
    Ok(ways)
}

fn quic(hub: &EdgeHub, server: &str) -> Result<TransportSettings, (String, String)> {
    let wrong = |why: &str| ("modules.edgeHub.quic.server".to_owned(), why.to_owned());
    let (host, port) = server.rsplit_once(':').ok_or_else(|| wrong("expected host:port"))?;
    let mut limits =
        QuicLimits { write: Duration::from_secs(hub.quic.write_deadline.into()), ..QuicLimits::default() };
    let handshake = Duration::from_secs(hub.quic.handshake_timeout.into());
    // Where there is another way, it must not wait for long: QUIC's own default is made for that.
    limits.handshake = if hub.websocket.enable { handshake.min(limits.handshake) } else { handshake };
    let port = port.parse().map_err(|_| wrong("the port is no number from 1 to 65535"))?;
    Ok(TransportSettings::Quic { host: host.to_owned(), port, limits })
}

fn websocket(hub: &EdgeHub, server: &str, node: &str) -> Result<TransportSettings, (String, String)> {
    let headers = headers(node, &hub.project_id);
    let socket = &hub.websocket;
    Ok(TransportSettings::WebSocket {
        url: format!("wss://{server}/{}/{node}/events", hub.project_id),
        headers: headers.map_err(|error| ("modules.edgeHub.projectID".to_owned(), error))?,
        limits: WebSocketLimits {
            handshake: Duration::from_secs(socket.handshake_timeout.into()),
            write: Duration::from_secs(socket.write_deadline.into()),
            ..WebSocketLimits::default()
        },
    })
}

fn headers(node: &str, project: &str) -> Result<HeaderMap, String> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
    let mut headers = HeaderMap::new();
    headers.insert("node_id", value(node)?);
    headers.insert("project_id", value(project)?);
    headers.insert("connectionuse", HeaderValue::from_static("msg"));
    Ok(headers)
}

fn log_format(format: FileLogFormat) -> LogFormat {
    match format {
        FileLogFormat::Text => LogFormat::Text,
        FileLogFormat::Json => LogFormat::Json,
    }
}
