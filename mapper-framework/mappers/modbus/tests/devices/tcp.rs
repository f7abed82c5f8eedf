//! Modbus TCP, with tokio-modbus' own server.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mapper_framework::{Driver as _, DriverError, Value};
use modbus_mapper::Lines;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::Server;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};

use crate::{Driven, device};

/// A device with 200 registers of each kind.
#[derive(Clone, Default)]
struct Plc(Arc<Memory>);

struct Memory {
    words: Mutex<Vec<u16>>,
    coils: Mutex<Vec<bool>>,
    asked: Mutex<Vec<String>>,
    /// Knows no functions 5 and 6.
    only_multiple: bool,
    /// No word behind this one can be read together with it.
    border: Option<u16>,
    connections: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            words: Mutex::new((0..200).collect()),
            coils: Mutex::new(vec![false; 200]),
            asked: Mutex::default(),
            only_multiple: false,
            border: None,
            connections: AtomicUsize::new(0),
        }
    }
}

fn range(start: u16, count: usize) -> Result<std::ops::Range<usize>, ExceptionCode> {
    let start = usize::from(start);
    if start + count > 200 { Err(ExceptionCode::IllegalDataAddress) } else { Ok(start..start + count) }
}

impl Plc {
    fn answer(&self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        let memory = &self.0;
        let (mut words, mut coils) = (memory.words.lock().unwrap(), memory.coils.lock().unwrap());
        let crosses = |start: u16, count: u16| {
            memory.border.is_some_and(|border| start <= border && start + count > border + 1)
        };
        Ok(match request {
            Request::ReadHoldingRegisters(start, count) | Request::ReadInputRegisters(start, count)
                if crosses(*start, *count) =>
            {
                return Err(ExceptionCode::IllegalDataAddress);
            }
            Request::ReadHoldingRegisters(start, count) => {
                Response::ReadHoldingRegisters(words[range(*start, usize::from(*count))?].to_vec())
            }
            Request::ReadInputRegisters(start, count) => {
                Response::ReadInputRegisters(words[range(*start, usize::from(*count))?].to_vec())
            }
            Request::ReadCoils(start, count) => {
                Response::ReadCoils(coils[range(*start, usize::from(*count))?].to_vec())
            }
            Request::WriteSingleCoil(..) | Request::WriteSingleRegister(..) if memory.only_multiple => {
                return Err(ExceptionCode::IllegalFunction);
            }
            Request::WriteSingleCoil(at, coil) => {
                coils[range(*at, 1)?][0] = *coil;
                Response::WriteSingleCoil(*at, *coil)
            }
            Request::WriteMultipleCoils(start, new) => {
                coils[range(*start, new.len())?].copy_from_slice(new);
                Response::WriteMultipleCoils(*start, u16::try_from(new.len()).unwrap())
            }
            Request::WriteSingleRegister(at, word) => {
                words[range(*at, 1)?][0] = *word;
                Response::WriteSingleRegister(*at, *word)
            }
            Request::WriteMultipleRegisters(start, new) => {
                words[range(*start, new.len())?].copy_from_slice(new);
                Response::WriteMultipleRegisters(*start, u16::try_from(new.len()).unwrap())
            }
            _ => return Err(ExceptionCode::IllegalFunction),
        })
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }
}

impl Service for Plc {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Option<Response>, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        let SlaveRequest { slave, request } = request;
        self.0.asked.lock().unwrap().push(format!("{slave} {request:?}"));
        ready(match slave {
            // Nobody is there.
            9 => Ok(None),
            10 => Err(ExceptionCode::GatewayTargetDevice),
            _ => self.answer(&request).map(Some),
        })
    }
}

/// A server; it ends, and drops its connections, with its tasks.
async fn serve(plc: &Plc, address: &str) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let plc = plc.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let server = Server::new(listener);
        let connected = |stream, _| {
            plc.0.connections.fetch_add(1, Ordering::Relaxed);
            ready(Ok(Some((plc.clone(), stream))))
        };
        server.serve(&connected, |error| panic!("{error}")).await.unwrap();
    });
    (address, tasks)
}

fn at(address: SocketAddr, more: &str) -> String {
    format!("{{communicateMode: TCP, ip: {}, port: {}{more}}}", address.ip(), address.port())
}

const HOLDING: &str = "register: HoldingRegister";

#[tokio::test]
async fn neighbours_are_read_in_one_request_and_written_typed() {
    let plc = Plc::default();
    let (address, _server) = serve(&plc, "127.0.0.1:0").await;
    let properties = [
        ("a", "INT", format!("{{{HOLDING}, offset: 20}}")),
        ("b", "FLOAT", format!("{{{HOLDING}, offset: 21, limit: 1, scale: 0.1}}")),
        ("c", "DOUBLE", format!("{{{HOLDING}, offset: 22, limit: 2, isRegisterSwap: true}}")),
        ("d", "INT", "{register: InputRegister, offset: 24}".to_owned()),
        ("e", "BOOLEAN", "{register: CoilRegister, offset: 5}".to_owned()),
        ("f", "STRING", format!("{{{HOLDING}, offset: 100, limit: 4}}")),
    ];
    let properties: Vec<_> =
        properties.iter().map(|(name, kind, visitor)| (*name, *kind, visitor.as_str())).collect();
    let mut driven = Driven::new(&Lines::default(), device("plc", &at(address, ", slaveID: 3"), &properties));
    driven.connect().await.unwrap();
    plc.asked();
    driven.write("c", 25.5).await.unwrap();
    driven.write("b", Value::Float(21.7)).await.unwrap();
    driven.write("e", true).await.unwrap();
    driven.write("f", "Pump 7").await.unwrap();
    assert_eq!(
        plc.asked(),
        [
            "3 WriteMultipleRegisters(22, [0, 16844])",
            "3 WriteSingleRegister(21, 217)",
            "3 WriteSingleCoil(5, true)",
            "3 WriteMultipleRegisters(100, [20597, 28016, 8247, 0])",
        ]
    );
    let read: Vec<_> = driven.read_all().await.into_iter().map(Result::unwrap).collect();
    let expected = [
        Value::Int(20),
        Value::Float(21.7),
        Value::Double(25.5),
        Value::Int(24),
        Value::Boolean(true),
        Value::String("Pump 7".into()),
    ];
    assert_eq!(read, expected);
    assert_eq!(
        plc.asked(),
        [
            "3 ReadHoldingRegisters(20, 4)",
            "3 ReadInputRegisters(24, 1)",
            "3 ReadCoils(5, 1)",
            "3 ReadHoldingRegisters(100, 4)"
        ]
    );
    // Read by itself, now.
    driven.read("a").await.unwrap();
    assert_eq!(plc.asked(), ["3 ReadHoldingRegisters(20, 1)"]);
}

#[tokio::test]
async fn a_refusal_is_of_one_property_and_the_others_are_still_read() {
    let plc = Plc(Arc::new(Memory { border: Some(11), ..Memory::default() }));
    let (address, _server) = serve(&plc, "127.0.0.1:0").await;
    let visitors: Vec<String> = (10..14).map(|at| format!("{{{HOLDING}, offset: {at}}}")).collect();
    let mut properties: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .zip(&visitors)
        .map(|(name, visitor)| (*name, "INT", visitor.as_str()))
        .collect();
    let outside = format!("{{{HOLDING}, offset: 199, limit: 2}}");
    properties.push(("outside", "INT", &outside));
    let mut driven = Driven::new(&Lines::default(), device("plc", &at(address, ""), &properties));
    driven.connect().await.unwrap();
    for _ in 0..2 {
        let mut read = driven.read_all().await;
        let refused = read.pop().unwrap().unwrap_err();
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, [10, 11, 12, 13].map(Value::Int));
        assert!(matches!(refused, DriverError::Refused(_)), "{refused}");
        let said = refused.to_string();
        assert!(said.contains("reading HoldingRegister 199..200 of device 1 on 127.0.0.1:"), "{said}");
        assert!(said.contains("illegal data address (exception 2)"), "{said}");
    }
    // The four were refused together once, and never asked for together again.
    let together =
        plc.asked().iter().filter(|asked| asked.as_str() == "1 ReadHoldingRegisters(10, 4)").count();
    assert_eq!(together, 1);
}

#[tokio::test]
async fn devices_behind_a_gateway_share_its_connection() {
    let plc = Plc::default();
    let (address, _server) = serve(&plc, "127.0.0.1:0").await;
    let lines = Lines::default();
    let visitor = format!("{{{HOLDING}, offset: 1}}");
    let make = |name: &str, slave: u8| {
        let config = at(address, &format!(", slaveID: {slave}, timeout: 200"));
        Driven::new(&lines, device(name, &config, &[("a", "INT", &visitor)]))
    };
    let (mut one, mut two, mut silent, mut gone) =
        (make("one", 1), make("two", 2), make("silent", 9), make("gone", 10));
    let connected = tokio::join!(one.connect(), two.connect());
    assert_eq!(connected, (Ok(()), Ok(())));
    assert_eq!(plc.0.connections.load(Ordering::Relaxed), 1);
    // Who does not answer is gone, and the others are asked on a connection that brings no late answers.
    let said = silent.connect().await.unwrap_err();
    assert!(
        said.is_lost() && said.to_string().contains("no answer within 200ms: check ip, port and slaveID"),
        "{said}"
    );
    let said = gone.connect().await.unwrap_err();
    assert!(said.is_lost() && said.to_string().contains("exception 11"), "{said}");
    assert_eq!(one.read("a").await.unwrap(), Value::Int(1));
    assert_eq!(two.read("a").await.unwrap(), Value::Int(1));
    assert_eq!(plc.0.connections.load(Ordering::Relaxed), 2);
    for driven in [&mut one, &mut two] {
        driven.driver.disconnect().await;
    }
}

#[tokio::test]
async fn what_is_set_alone_is_set_among_several_where_the_device_wants_it_so() {
    let plc = Plc(Arc::new(Memory { only_multiple: true, ..Memory::default() }));
    let (address, _server) = serve(&plc, "127.0.0.1:0").await;
    let holding = format!("{{{HOLDING}, offset: 7, rawType: int16}}");
    let properties =
        [("a", "INT", holding.as_str()), ("b", "BOOLEAN", "{register: CoilRegister, offset: 3}")];
    let mut driven = Driven::new(&Lines::default(), device("plc", &at(address, ""), &properties));
    driven.connect().await.unwrap();
    plc.asked();
    driven.write("a", -5).await.unwrap();
    driven.write("b", true).await.unwrap();
    assert_eq!(
        plc.asked(),
        [
            "1 WriteSingleRegister(7, 65531)",
            "1 WriteMultipleRegisters(7, [65531])",
            "1 WriteMultipleCoils(3, [true])"
        ]
    );
    assert_eq!(driven.read("a").await.unwrap(), Value::Int(-5));
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_before_it_is_sent() {
    let plc = Plc::default();
    let (address, _server) = serve(&plc, "127.0.0.1:0").await;
    let holding = format!("{{{HOLDING}, offset: 7}}");
    let properties = [("a", "INT", holding.as_str()), ("b", "INT", "{register: InputRegister, offset: 3}")];
    let mut driven = Driven::new(&Lines::default(), device("plc", &at(address, ""), &properties));
    driven.connect().await.unwrap();
    plc.asked();
    let large = driven.write("a", 65_536).await.unwrap_err().to_string();
    assert!(large.contains("65536 does not fit into Uint16"), "{large}");
    let input = driven.write("b", 1).await.unwrap_err().to_string();
    assert!(input.contains("InputRegister 3 cannot be written"), "{input}");
    assert_eq!(plc.asked(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_opened_again_for_a_reading() {
    let plc = Plc::default();
    let (address, server) = serve(&plc, "127.0.0.1:0").await;
    let holding = format!("{{{HOLDING}, offset: 7}}");
    let mut driven =
        Driven::new(&Lines::default(), device("plc", &at(address, ""), &[("a", "INT", &holding)]));
    driven.connect().await.unwrap();
    end(server).await;
    let gone = driven.read("a").await.unwrap_err();
    assert!(gone.is_lost(), "{gone}");
    let (_, server) = serve(&plc, &address.to_string()).await;
    driven.connect().await.unwrap();
    assert_eq!(driven.read("a").await.unwrap(), Value::Int(7));
    end(server).await;
    let (_, _server) = serve(&plc, &address.to_string()).await;
    // As devices do that close what was idle.
    assert_eq!(driven.read("a").await.unwrap(), Value::Int(7));
}

/// Ends a server and all that it has begun.
async fn end(mut server: JoinSet<()>) {
    server.shutdown().await;
}

#[tokio::test]
async fn a_visitor_that_makes_no_sense_is_a_matter_of_its_property() {
    let plc = Plc::default();
    let (address, _server) = serve(&plc, "127.0.0.1:0").await;
    let holding = format!("{{{HOLDING}, offset: 7}}");
    let properties = [("good", "INT", holding.as_str()), ("bad", "INT", "{register: Holding, limit: 3}")];
    let mut driven = Driven::new(&Lines::default(), device("plc", &at(address, ""), &properties));
    driven.connect().await.unwrap();
    let read = driven.read_all().await;
    assert_eq!(read[0], Ok(Value::Int(7)));
    let said = read[1].clone().unwrap_err().to_string();
    assert!(said.contains("properties[bad].visitors.configData.offset: is missing"), "{said}");
}

#[test]
fn a_device_that_cannot_be_reached_so_says_everything_at_once() {
    let device = device("plc", "{ip: a, port: 0, slaveID: 300}", &[("t", "INT", "{register: coil}")]);
    let said = modbus_mapper::Modbus::new(&device, &Lines::default()).unwrap_err().to_string();
    for part in [
        "protocol.configData.port: 0",
        "protocol.configData.slaveID: 300",
        "properties[t].visitors.configData.offset",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
