use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use chassis::grpc;
use chassis::shutdown::ShutdownTrigger;
use chassis::task::AbortOnDrop;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::*;
use crate::fleet::tests::{Lab, device, key, model};
use crate::health::State;
use crate::value::Value;

/// Whatever is waited for comes within this time, which is paused.
const SOON: Duration = Duration::from_secs(600);

/// A way to an EdgeCore in memory, which is there or is not.
#[derive(Debug, Clone, Default)]
struct Way(Arc<Mutex<Option<mpsc::Sender<DuplexStream>>>>);

impl Dial for Way {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        let door = self.0.lock().unwrap().clone();
        let door = door.ok_or(io::ErrorKind::NotFound)?;
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        door.try_send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

/// What an EdgeCore was told.
#[derive(Debug, Clone, Default)]
struct Told {
    registered: Vec<String>,
    values: Vec<(String, String)>,
    states: Vec<String>,
}

/// An EdgeCore that answers what a test says.
struct FakeEdge {
    told: watch::Sender<Told>,
    _serving: AbortOnDrop<()>,
}

#[derive(Clone, Default)]
struct Script {
    devices: Vec<dmi::Device>,
    /// What it refuses, first to last.
    refuses: Arc<Mutex<VecDeque<Status>>>,
    /// It hears reports and answers none.
    is_stuck: bool,
}

impl FakeEdge {
    fn start(way: &Way, script: Script) -> Self {
        let (door, listener) = mpsc::channel(4);
        *way.0.lock().unwrap() = Some(door);
        let told = watch::Sender::new(Told::default());
        let serving = task::spawn(tracing::Span::none(), serve(listener, told.clone(), script));
        Self { told, _serving: serving }
    }

    async fn hears(&self, what: &str, is_it: impl FnMut(&Told) -> bool) {
        let mut told = self.told.subscribe();
        let waited = tokio::time::timeout(SOON, told.wait_for(is_it)).await;
        drop(waited.unwrap_or_else(|_| panic!("{what}: {:?}", self.told.borrow())).unwrap());
    }
}

async fn serve(mut listener: mpsc::Receiver<DuplexStream>, told: watch::Sender<Told>, script: Script) {
    let mut connections = JoinSet::new();
    while let Some(stream) = listener.recv().await {
        let (told, script) = (told.clone(), script.clone());
        task::spawn_in(&mut connections, tracing::Span::none(), async move {
            let service = service_fn(move |request| {
                let (told, script) = (told.clone(), script.clone());
                async move { Ok::<_, Infallible>(act(request, told, script).await) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn act(
    request: http::Request<Incoming>,
    told: watch::Sender<Told>,
    script: Script,
) -> http::Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    match method.as_str() {
        "MapperRegister" => {
            grpc::answer(request, MAX_ANSWER, |call: dmi::MapperRegisterRequest| async move {
                told.send_modify(|told| told.registered.push(call.mapper.unwrap_or_default().name));
                let (model_list, device_list) = (vec![model()], script.devices);
                Ok::<_, Status>(dmi::MapperRegisterResponse { model_list, device_list })
            })
            .await
        }
        "ReportDeviceStatus" => {
            grpc::answer(request, MAX_ANSWER, |call: dmi::ReportDeviceStatusRequest| async move {
                if let Some(status) = script.refuses.lock().unwrap().pop_front() {
                    return Err(status);
                }
                let twin = call.reported_device.unwrap_or_default().twins.remove(0);
                let value = (twin.reported.unwrap().value, twin.observed_desired.unwrap().value);
                told.send_modify(|told| told.values.push(value));
                script.heard().await;
                Ok(dmi::ReportDeviceStatusResponse {})
            })
            .await
        }
        _ => {
            grpc::answer(request, MAX_ANSWER, |call: dmi::ReportDeviceStatesRequest| async move {
                told.send_modify(|told| told.states.push(call.state));
                script.heard().await;
                Ok::<_, Status>(dmi::ReportDeviceStatesResponse {})
            })
            .await
        }
    }
}

impl Script {
    async fn heard(&self) {
        if self.is_stuck {
            std::future::pending().await
        }
    }
}

struct Bench {
    way: Way,
    lab: Lab,
    trigger: ShutdownTrigger,
    shutdown: Shutdown,
    _edge: AbortOnDrop<anyhow::Result<()>>,
}

impl Bench {
    fn start() -> Self {
        let (way, lab) = (Way::default(), Lab::start());
        let (trigger, shutdown) = Shutdown::new();
        let edge = Edge {
            socket: way.clone(),
            info: dmi::MapperInfo { name: "v".into(), protocol: "p".into(), ..Default::default() },
            fleet: lab.fleet.clone(),
            outbox: Some(lab.outbox.clone()),
            metrics: lab.metrics.clone(),
            rng: Rng::seeded(1),
            ready: None,
            on_the_way: None,
        };
        let _edge = task::spawn(tracing::Span::none(), edge.run(shutdown.clone()));
        Self { way, lab, trigger, shutdown, _edge }
    }

    fn edge(&self, script: Script) -> FakeEdge {
        FakeEdge::start(&self.way, script)
    }

    /// Calls the mapper as EdgeCore does.
    async fn call<Q, A>(&self, method: &str, call: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (fleet, shutdown) = (self.lab.fleet.clone(), self.shutdown.clone());
        let _server = task::spawn(tracing::Span::none(), async move {
            let respond = move |request| server::dispatch(fleet.clone(), request);
            grpc::connection(theirs, server::LIMITS, &shutdown, respond).await;
        });
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(ours));
        let (sender, connection) = handshake.await.unwrap();
        let _connection = task::spawn(tracing::Span::none(), connection);
        let path = PathAndQuery::try_from(format!("/{}/{method}", dmi::MAPPER)).unwrap();
        let service = tower::service_fn(move |request| {
            let mut sender = sender.clone();
            async move { sender.send_request(request).await }
        });
        let mut client = tonic::client::Grpc::with_origin(service, Uri::from_static("http://mapper"));
        let answer = client.unary(Request::new(call), path, ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }
}

#[tokio::test(start_paused = true)]
async fn edgecore_may_come_late_go_and_come_back_without_what_it_knew() {
    let bench = Bench::start();
    let script = Script { devices: vec![device("d", "5")], ..Script::default() };
    let edge = bench.edge(script.clone());
    edge.hears("the value and what was desired", |told| told.values.contains(&("5".into(), "5".into())))
        .await;
    drop(edge);
    // The device goes on meanwhile.
    bench.lab.reads("d", &Value::Int(5)).await;
    let edge = bench.edge(script);
    edge.hears("it is registered again", |told| told.registered == ["v"]).await;
    edge.hears("values go on", |told| !told.values.is_empty()).await;
    drop(edge);
    // An EdgeCore that knows no device of this mapper.
    let edge = bench.edge(Script::default());
    edge.hears("it is registered again", |told| told.registered == ["v"]).await;
    bench.lab.is_empty().await;
    bench.trigger.request();
}

#[tokio::test(start_paused = true)]
async fn what_edgecore_calls_is_done() {
    let bench = Bench::start();
    let edge = bench.edge(Script::default());
    edge.hears("it is registered", |told| !told.registered.is_empty()).await;
    let create = dmi::CreateDeviceModelRequest { model: Some(model()) };
    let made: dmi::CreateDeviceModelResponse = bench.call("CreateDeviceModel", create).await.unwrap();
    assert_eq!(made.device_model_name, "m");
    for desired in ["1", "2"] {
        let register = dmi::RegisterDeviceRequest { device: Some(device("d", desired)) };
        let made: dmi::RegisterDeviceResponse = bench.call("RegisterDevice", register).await.unwrap();
        assert_eq!((made.device_name.as_str(), made.device_namespace.as_str()), ("d", "ns"));
    }
    bench.lab.reads("d", &Value::Int(2)).await;
    let update = dmi::UpdateDeviceRequest { device: Some(device("d", "3")) };
    bench.call::<_, dmi::UpdateDeviceResponse>("UpdateDevice", update).await.unwrap();
    edge.hears("the new value", |told| told.values.contains(&("3".into(), "3".into()))).await;
    let get = dmi::GetDeviceRequest { device_name: "d".into(), device_namespace: "ns".into() };
    let got: dmi::GetDeviceResponse = bench.call("GetDevice", get.clone()).await.unwrap();
    assert_eq!(got.device.unwrap().status.unwrap().twins[0].reported.as_ref().unwrap().value, "3");
    let remove = dmi::RemoveDeviceRequest { device_name: "d".into(), device_namespace: "ns".into() };
    // Twice: the second one has nothing to do.
    bench.call::<_, dmi::RemoveDeviceResponse>("RemoveDevice", remove.clone()).await.unwrap();
    bench.call::<_, dmi::RemoveDeviceResponse>("RemoveDevice", remove).await.unwrap();
    assert!(bench.lab.fleet.find(key("d")).await.is_none());
    let gone = bench.call::<_, dmi::GetDeviceResponse>("GetDevice", get).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let empty = dmi::RegisterDeviceRequest { device: None };
    let refused = bench.call::<_, dmi::RegisterDeviceResponse>("RegisterDevice", empty).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let unknown =
        bench.call::<_, dmi::RemoveDeviceResponse>("Explode", dmi::RemoveDeviceRequest::default()).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_refused_stops_no_other_and_one_that_breaks_is_said_again() {
    let bench = Bench::start();
    let script = Script { devices: vec![device("d", "5")], ..Script::default() };
    *script.refuses.lock().unwrap() = [Status::invalid_argument("no"), Status::unavailable("going")].into();
    let edge = bench.edge(script.clone());
    edge.hears("a value at last", |told| !told.values.is_empty()).await;
    edge.hears("and it was registered again", |told| told.registered.len() >= 2).await;
    assert!(script.refuses.lock().unwrap().is_empty());
    bench.lab.outbox.put(&key("d"), News { state: Some(State::Ok), ..News::default() });
    edge.hears("the state", |told| told.states == ["ok"]).await;
    assert!(bench.lab.registry.encode().contains("mapper_reports_refused_total 1\n"));
}

/// Each of these is said once by its device: nothing that comes later stands for it.
#[tokio::test(start_paused = true)]
async fn a_report_that_was_on_its_way_when_edgecore_died_is_said_to_its_successor() {
    let bench = Bench::start();
    let reading = Reading { value: "7".into(), desired: None, data_type: "INT", at: 1 };
    let value = News { readings: [("t".to_owned(), reading)].into(), state: None };
    for news in [News { state: Some(State::Ok), ..News::default() }, value] {
        let edge = bench.edge(Script { is_stuck: true, ..Script::default() });
        bench.lab.outbox.put(&key("d"), news);
        edge.hears("the report", |told| told.states.len() + told.values.len() == 1).await;
        drop(edge);
        let edge = bench.edge(Script::default());
        edge.hears("the same report", |told| told.states.len() + told.values.len() == 1).await;
        drop(edge);
    }
}
