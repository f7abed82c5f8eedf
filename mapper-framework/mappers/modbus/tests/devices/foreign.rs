//! pymodbus, a Modbus of other people: TCP, RTU, and the mapper as a program.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use mapper_framework::Value;
use modbus_mapper::Lines;
use serial2::SerialPort;

use crate::rtu::Pty;
use crate::simulator::Simulator;
use crate::{Driven, SOON};

/// What is shipped as an example is what is tested.
const MANIFESTS: &str = include_str!("../../manifests/devices.yaml");

fn at_port(port: u16) -> String {
    MANIFESTS.replace("ip: 192.0.2.10, port: 502", &format!("ip: 127.0.0.1, port: {port}"))
}

/// The device of that name in the example.
fn example(manifests: &str, name: &str) -> Driven {
    let devices = mapper_framework::devices(manifests, "modbus").unwrap();
    Driven::new(&Lines::default(), devices.into_iter().find(|device| device.name() == name).unwrap())
}

#[tokio::test]
async fn every_kind_of_register_over_tcp() {
    let server = Simulator::start(&["tcp"]);
    let mut driven = example(&at_port(server.port), "heat-pump-1");
    driven.connect().await.unwrap();
    driven.write("set-point", Value::Float(45.5)).await.unwrap();
    driven.write("running", true).await.unwrap();
    let read: Vec<_> = driven.read_all().await.into_iter().map(Result::unwrap).collect();
    let label = Value::String("heat pump 1".into());
    let expected = [
        Value::Float(35.1),
        Value::Float(-2.5),
        Value::Double(2000.0),
        Value::Int(65_537),
        Value::Float(45.5),
        Value::Boolean(true),
        Value::Boolean(true),
        label,
    ];
    assert_eq!(read, expected);
    driven.write("label", "cellar").await.unwrap();
    assert_eq!(driven.read("label").await.unwrap(), Value::String("cellar".into()));
}

#[tokio::test]
async fn a_server_that_ends_is_gone_and_one_that_has_no_such_register_says_so() {
    let server = Simulator::start(&["tcp"]);
    let manifests = at_port(server.port).replace("offset: 200, limit: 8", "offset: 296, limit: 8");
    let mut driven = example(&manifests, "heat-pump-1");
    driven.connect().await.unwrap();
    let refused = driven.read("label").await.unwrap_err().to_string();
    assert!(
        refused.contains("HoldingRegister 296..303 of device 1") && refused.contains("exception 2"),
        "{refused}"
    );
    drop(server);
    assert!(driven.read("flow").await.unwrap_err().is_lost());
    let gone = driven.connect().await.unwrap_err();
    assert!(gone.is_lost() && gone.to_string().contains("cannot connect"), "{gone}");
}

/// Two lines as one: what comes out of one goes into the other.
fn join(one: &Pty, other: &Pty) {
    for (from, to) in [(one, other), (other, one)] {
        let (mut from, mut to) = (from.far.try_clone().unwrap(), to.far.try_clone().unwrap());
        from.set_read_timeout(Duration::from_secs(3600)).unwrap();
        std::thread::spawn(move || io::copy(&mut from as &mut SerialPort, &mut to));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtu_on_a_line_with_two_devices() {
    let (ours, theirs) = (Pty::new(), Pty::new());
    join(&ours, &theirs);
    let _server = Simulator::start(&["rtu", theirs.path().to_str().unwrap()]);
    let path = ours.path();
    // A pseudo-terminal has no parity.
    let manifests =
        MANIFESTS.replace("/dev/ttyUSB0", path.to_str().unwrap()).replace("parity: even", "parity: none");
    let lines = Lines::default();
    let make = |slave: u8| {
        let manifests = manifests.replace("slaveID: 2", &format!("slaveID: {slave}"));
        let devices = mapper_framework::devices(&manifests, "modbus").unwrap();
        Driven::new(&lines, devices.into_iter().find(|device| device.name() == "heat-pump-2").unwrap())
    };
    let (mut one, mut two, mut none) = (make(1), make(2), make(3));
    one.connect().await.unwrap();
    two.connect().await.unwrap();
    one.write("set-point", Value::Float(21.0)).await.unwrap();
    two.write("set-point", Value::Float(22.0)).await.unwrap();
    let both = tokio::join!(one.read_all(), two.read_all());
    for (read, set) in [(both.0, 21.0), (both.1, 22.0)] {
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, [Value::Float(35.1), Value::Float(-2.5), Value::Float(set)]);
    }
    let silent = none.connect().await.unwrap_err().to_string();
    assert!(
        silent.contains("no answer within 1s: check slaveID, wires, baudRate, parity and stopBits"),
        "{silent}"
    );
    assert_eq!(one.read("set-point").await.unwrap(), Value::Float(21.0));
}

/// The mapper as a program, with the example's devices.
struct Mapper {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Mapper {
    fn start(manifests: &std::path::Path, port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_modbus-mapper"));
        command.arg("--simulate").arg(manifests).arg("--http-port").arg(port.to_string());
        let mut child =
            command.current_dir(manifests.parent().unwrap()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (to, said) = mpsc::channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Self { child, said }
    }

    /// Waits until the mapper logs something with all of these parts.
    fn says(&self, parts: &[&str]) {
        let mut log = Vec::new();
        loop {
            match self.said.recv_timeout(SOON) {
                Ok(line) if parts.iter().all(|part| line.contains(part)) => return,
                Ok(line) => log.push(line),
                Err(error) => panic!("{parts:?}: {error}: {log:#?}"),
            }
        }
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn request(port: u16, what: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nhost: mapper\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_program_reports_what_devices_have_and_sets_what_they_should_have() {
    let server = Simulator::start(&["tcp"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("devices.yaml");
    std::fs::write(&file, at_port(server.port)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mapper = Mapper::start(&file, port);
    mapper.says(&["reported", "default/heat-pump-1", "flow", "35.1"]);
    // The port of its brother is not on this machine, and that stops nobody.
    mapper.says(&["reported", "set-point", "value=\"45\"", "desired=\"45\""]);
    let path = "/api/v1/device/default/heat-pump-1/set-point";
    let refused = request(port, &format!("PUT {path}"), "61");
    assert!(refused.starts_with("HTTP/1.1 4"), "{refused}");
    let set = request(port, &format!("PUT {path}"), "50.5");
    assert!(set.starts_with("HTTP/1.1 200"), "{set}");
    let read = request(port, &format!("GET {path}"), "");
    assert!(read.contains("50.5"), "{read}");
    let gone = request(port, "GET /api/v1/device/default/heat-pump-2/flow", "");
    assert!(gone.contains("/dev/ttyUSB0"), "{gone}");
}
