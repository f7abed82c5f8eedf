//! The local REST API: stock's paths, and writes by PUT and POST.
//!
//! | request | what |
//! |---|---|
//! | `GET /api/v1/ping` | whether the mapper runs |
//! | `GET /api/v1/devices` | all devices with their states and last values (ours) |
//! | `GET /api/v1/device/{namespace}/{name}/{property}` | reads the device now |
//! | `PUT`, `POST /api/v1/device/{namespace}/{name}/{property}` | sets it: the body is `{"value": 21}`, or the value as text (ours) |
//! | `GET /api/v1/devicemethod/{namespace}/{name}` | the methods of the device |
//! | `PUT`, `POST /api/v1/devicemethod/{namespace}/{name}/{method}` | calls one: the body is `{"<property>": <value>, ...}` (ours) |
//! | `GET`, `PUT`, `POST /api/v1/devicemethod/{namespace}/{name}/{method}/{property}/{data}` | calls one with one value |
//! | `GET /api/v1/meta/model/{namespace}/{name}` | the model of the device |
//! | `GET /api/v1/database/{namespace}/{name}` | 503: as in stock, nothing is stored here |
//! | `/healthz`, `/readyz`, `/metrics`, `/debug/state`, `PUT /log-level` | for operators, as in Skerry's daemons |
//!
//! There is no authentication: it listens on `common.address`, which is this machine unless the file says otherwise, and
//! refuses what web pages send (a stock path that writes is a GET). Errors are plain texts.

mod answer;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chassis::accept;
use chassis::admin::AdminState;
use chassis::clock::Clock;
use chassis::http1;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};

use self::answer::{Failure, failed, good};
use crate::actor::Command;
use crate::device::key;
use crate::fleet::{FleetClient, Found, summary};

/// Applications of a gateway that ask at the same time; others wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may be silent or at work.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// Largest body: the longest value of a property, as base64 in JSON, and room to spare.
const MAX_BODY: usize = 64 * 1024;

/// The module, bound to its address.
#[derive(Debug)]
pub(crate) struct Rest {
    listener: TcpListener,
    api: Api,
}

/// What answers requests. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) fleet: FleetClient,
    pub(crate) admin: AdminState,
    pub(crate) clock: Clock,
}

pub(crate) type Answer = Response<String>;

impl Rest {
    /// Opens the listening socket.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(crate) async fn bind(address: SocketAddr, api: Api) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, api })
    }
}

impl Module for Rest {
    const NAME: &'static str = "rest";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { listener, api } = self;
        let serve = |stream| serve(stream, api.clone(), shutdown.clone());
        accept::serve(listener, MAX_CONNECTIONS, &shutdown, serve).await;
        Ok(())
    }
}

async fn serve(stream: TcpStream, api: Api, shutdown: Shutdown) {
    http1::serve(stream, |request| respond(&api, request), CONNECTION_TIME, &shutdown).await;
}

async fn respond(api: &Api, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let mut answer = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => api.answer(&head.method, head.uri.path(), &head.headers, &body.to_bytes()).await,
        Err(_) => failed(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body has at most {MAX_BODY} bytes")),
    };
    if let Some(id) = head.headers.get("x-correlation-id") {
        answer.headers_mut().insert("x-correlation-id", id.clone());
    }
    answer.map(|body| Full::new(body.into()))
}

/// Whether a web page sent it: a browser says so, and nothing else does.
fn is_from_web_page(headers: &HeaderMap) -> bool {
    headers.contains_key("origin") || headers.get("sec-fetch-site").is_some_and(|site| site != "none")
}

impl Api {
    /// The answer to one request. The server adds nothing but the correlation id.
    pub(crate) async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Answer {
        if is_from_web_page(headers) {
            return failed(StatusCode::FORBIDDEN, "web pages may not speak with devices");
        }
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return self.admin.answer(method, path, body);
        };
        let parts: Option<Vec<String>> = rest
            .trim_end_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8().ok().map(|part| part.into_owned()))
            .collect();
        let Some(parts) = parts else { return failed(StatusCode::BAD_REQUEST, "the path is not UTF-8") };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let answered = self.route(method, &parts, body).await;
        match answered {
            Ok(fields) => good(&self.clock, fields),
            Err(Failure { status, text }) => failed(status, &text),
        }
    }

    async fn route(&self, method: &Method, parts: &[&str], body: &[u8]) -> Result<Json, Failure> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let is_write = matches!(*method, Method::PUT | Method::POST);
        if !is_read && !is_write {
            return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "use GET, PUT or POST"));
        }
        match parts {
            ["ping"] if is_read => Ok(json!({"Message": "This is v1 API, the server is running normally."})),
            ["devices"] if is_read => {
                let all: Vec<Json> = self.fleet.list().await.iter().map(summary).collect();
                Ok(json!({"Data": all}))
            }
            ["device", namespace, name, property] => {
                let found = self.find(namespace, name).await?;
                if is_read {
                    return self.read(&found, property).await;
                }
                let value = answer::value(body)?;
                let write = |to| Command::Write((*property).to_owned(), value, to);
                found.ask(write).await?;
                Ok(json!({"Message": format!("{property} is set.")}))
            }
            ["devicemethod", namespace, name] if is_read => {
                Ok(answer::methods(&self.find(namespace, name).await?.device))
            }
            ["devicemethod", namespace, name, method] if is_write => {
                let found = self.find(namespace, name).await?;
                self.call(&found, method, answer::arguments(body)?).await
            }
            ["devicemethod", namespace, name, method, property, data] => {
                let found = self.find(namespace, name).await?;
                let arguments = vec![((*property).to_owned(), Json::from(*data))];
                self.call(&found, method, arguments).await
            }
            ["meta", "model", namespace, name] if is_read => self.model(namespace, name).await,
            ["database", _, _] if is_read => {
                let text = "The database is not enabled. Please configure mapper and try again";
                Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, text))
            }
            _ => Err(Failure::new(StatusCode::NOT_FOUND, "there is no such path, or not with this method")),
        }
    }

    async fn find(&self, namespace: &str, name: &str) -> Result<Found, Failure> {
        let found = self.fleet.find(key(namespace, name)).await;
        found.ok_or_else(|| {
            Failure::new(StatusCode::NOT_FOUND, format!("there is no device {namespace}/{name}"))
        })
    }

    async fn read(&self, found: &Found, property: &str) -> Result<Json, Failure> {
        let taken = found.ask(|to| Command::Read(property.to_owned(), to)).await?;
        let data_type = found.device.property(property).and_then(|property| property.data_type());
        Ok(json!({"Data": {
            "DeviceName": found.device.name(),
            "PropertyName": property,
            "Namespace": found.device.namespace(),
            "Value": taken.value.to_string(),
            "Type": data_type.map_or("", |data_type| data_type.name()).to_ascii_lowercase(),
            "TimeStamp": taken.at,
            "Anomaly": taken.anomaly,
        }}))
    }

    async fn call(
        &self,
        found: &Found,
        method: &str,
        arguments: Vec<(String, Json)>,
    ) -> Result<Json, Failure> {
        let result = found.ask(|to| Command::Call(method.to_owned(), arguments, to)).await?;
        let result = result.map(|value| value.to_json());
        Ok(json!({"Message": format!("{method} was called."), "Result": result}))
    }

    async fn model(&self, namespace: &str, name: &str) -> Result<Json, Failure> {
        let none = |what: &str| {
            Failure::new(StatusCode::NOT_FOUND, format!("there is no {what} {namespace}/{name}"))
        };
        let known = self.fleet.known(key(namespace, name)).await.ok_or_else(|| none("device"))?;
        Ok(answer::model(&known.model.ok_or_else(|| none("model of device"))?))
    }
}
