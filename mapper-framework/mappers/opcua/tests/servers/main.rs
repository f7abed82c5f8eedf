//! The driver against asyncua, an OPC UA of other people.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod server;

use std::time::Duration;

use mapper_framework::{Device, Driver as _, DriverError, Value};
use opcua_mapper::OpcUa;

use self::server::Server;

/// For what is certain to come: a machine that is busy with other things may be slow.
const SOON: Duration = Duration::from_secs(60);
/// What is shipped as an example is what is tested.
const MANIFESTS: &str = include_str!("../../manifests/devices.yaml");

/// A device, and the driver of it.
struct Driven {
    device: Device,
    driver: OpcUa,
}

impl Driven {
    /// The example's boiler at that server, with `more` in its `configData`.
    fn new(server: &Server, more: &str) -> Self {
        let manifests = MANIFESTS.replace(
            "opc.tcp://192.0.2.20:4840/plant\"",
            &format!("opc.tcp://127.0.0.1:{}/plant\"{more}", server.port),
        );
        Self::of(&manifests, server)
    }

    fn of(manifests: &str, server: &Server) -> Self {
        let device = mapper_framework::devices(manifests, "opcua").unwrap().remove(0);
        assert_eq!(device.problems(), [] as [&str; 0]);
        let driver = OpcUa::new(&device, &[server.folder()]).unwrap();
        Self { device, driver }
    }

    async fn connect(&mut self) -> Result<(), DriverError> {
        tokio::time::timeout(SOON, self.driver.connect()).await.expect("an end of it")
    }

    async fn read(&mut self, name: &str) -> Result<Value, DriverError> {
        let reading = self.driver.read(self.device.property(name).unwrap());
        tokio::time::timeout(SOON, reading).await.expect("an end of it")
    }

    async fn write(&mut self, name: &str, value: impl Into<Value>) -> Result<(), DriverError> {
        let value = value.into();
        let writing = self.driver.write(self.device.property(name).unwrap(), &value);
        tokio::time::timeout(SOON, writing).await.expect("an end of it")
    }

    /// Reads all properties, as the framework does when they are due together.
    async fn read_all(&mut self) -> Vec<Result<Value, DriverError>> {
        let device = self.device.clone();
        let properties: Vec<_> = device.properties().iter().collect();
        self.driver.upcoming(&properties);
        let mut read = Vec::new();
        for property in properties {
            read.push(self.read(property.name()).await);
        }
        read
    }

    /// Reads all until a property has a value: what is subscribed to comes when the server sends it.
    async fn until(&mut self, name: &str, value: &Value) {
        let at = self.device.properties().iter().position(|property| property.name() == name).unwrap();
        let came = async {
            while self.read_all().await[at].as_ref() != Ok(value) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, came).await.expect("the value comes");
    }
}

fn boiler() -> [Value; 5] {
    [
        Value::Double(21.5),
        Value::Float(40.0),
        Value::Boolean(false),
        Value::Int(3),
        Value::String("boiler 1".into()),
    ]
}

#[tokio::test]
async fn everything_is_read_at_once_then_subscribed_to_and_written_typed() {
    let mut server = Server::start("open");
    let mut driven = Driven::new(&server, ", publishingInterval: 50");
    driven.connect().await.unwrap();
    let read: Vec<_> = driven.read_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(read, boiler());
    assert_eq!(server.ask("reads"), "5");
    // What changes comes by itself.
    server.ask("set Temperature 30.25");
    driven.until("temperature", &Value::Double(30.25)).await;
    server.ask("reads");
    for _ in 0..5 {
        driven.read_all().await.into_iter().for_each(|read| drop(read.unwrap()));
    }
    assert_eq!(server.ask("reads"), "0");
    // Who asks in between wants to know it now.
    server.ask("set Temperature 31.0");
    assert_eq!(driven.read("temperature").await.unwrap(), Value::Double(31.0));
    assert_eq!(server.ask("reads"), "1");
    driven.write("set-point", Value::Float(55.5)).await.unwrap();
    driven.write("running", true).await.unwrap();
    driven.write("label", "cellar").await.unwrap();
    assert_eq!(driven.read("set-point").await.unwrap(), Value::Float(55.5));
    driven.until("running", &Value::Boolean(true)).await;
    driven.until("label", &Value::String("cellar".into())).await;
    driven.driver.disconnect().await;
}

#[tokio::test]
async fn without_subscriptions_each_cycle_is_one_request() {
    let mut server = Server::start("open");
    let mut driven = Driven::new(&server, ", subscribe: false");
    driven.connect().await.unwrap();
    for cycle in 1..=3 {
        let read: Vec<_> = driven.read_all().await.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, boiler(), "cycle {cycle}");
        assert_eq!(server.ask("reads"), "5");
    }
}

#[tokio::test]
async fn what_a_server_refuses_is_said_with_its_node() {
    let mut server = Server::start("open");
    let manifests = MANIFESTS.replace("192.0.2.20:4840", &format!("127.0.0.1:{}", server.port));
    let manifests = manifests
        .replace("ns=2;s=Label", "ns=2;s=Nowhere")
        .replace("nsu=urn:skerry:plant;s=SetPoint", "ns=2;s=Empty")
        .replace("s=Running\"", "s=Burners\", indexRange: \"2\"");
    let mut driven = Driven::of(&manifests, &server);
    driven.connect().await.unwrap();
    let read = driven.read_all().await;
    assert_eq!(read[0], Ok(Value::Double(21.5)));
    let unknown = read[4].clone().unwrap_err().to_string();
    assert!(
        unknown.contains("reading ns=2;s=Nowhere") && unknown.contains("BadNodeIdUnknown: the server has no"),
        "{unknown}"
    );
    let empty = read[1].clone().unwrap_err().to_string();
    assert!(empty.contains("reading ns=2;s=Empty") && empty.contains("it has no value"), "{empty}");
    // asyncua answers with the whole array, and would put one element in its place.
    let range = read[2].clone().unwrap_err().to_string();
    assert!(range.contains("it answers with 3 elements to indexRange"), "{range}");
    let range = driven.write("running", true).await.unwrap_err().to_string();
    assert!(range.contains("it answers with 3 elements to indexRange"), "{range}");
    let refused = driven.write("temperature", 1.0).await.unwrap_err();
    assert!(matches!(refused, DriverError::Refused(_)), "{refused}");
    server.ask("bad");
    let bad = driven.read("temperature").await.unwrap_err().to_string();
    assert!(bad.contains("BadSensorFailure"), "{bad}");
    let wrong = driven.write("starts", "many").await.unwrap_err().to_string();
    assert!(wrong.contains("many is no Int64, which is what the node holds"), "{wrong}");
}

#[tokio::test]
async fn a_server_that_ends_is_noticed_and_one_that_comes_back_is_used_again() {
    let server = Server::start("open");
    let mut driven = Driven::new(&server, "");
    driven.connect().await.unwrap();
    driven.read_all().await;
    drop(server);
    let lost = async {
        loop {
            let read = driven.read_all().await.remove(0);
            match read {
                Err(error) if error.is_lost() => break error,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(SOON, lost).await.expect("it is noticed");
    let refused = driven.connect().await.unwrap_err();
    assert!(refused.is_lost() && refused.to_string().contains("it cannot be reached"), "{refused}");
    let server = Server::start("open");
    let mut driven = Driven::new(&server, "");
    driven.connect().await.unwrap();
    driven.connect().await.unwrap();
    assert_eq!(driven.read("temperature").await.unwrap(), Value::Double(21.5));
}

#[tokio::test]
async fn messages_are_encrypted_for_the_server_that_is_named_and_for_no_other() {
    let server = Server::start("secure");
    let folder = server.folder().to_owned();
    let own = format!(
        ", securityPolicy: Basic256Sha256, certificate: {folder}/client.pem, privateKey: {folder}/client-key.pem"
    );
    std::fs::write(format!("{folder}/password"), "valve 7\n").unwrap();
    std::fs::write(format!("{folder}/wrong"), "valve 8").unwrap();
    let with = |more: &str| Driven::new(&server, &format!("{own}{more}"));
    let trusted = format!(", remoteCertificate: {folder}/server.pem");
    let mut driven = with(&format!("{trusted}, userName: operator, password: {folder}/password"));
    driven.connect().await.unwrap();
    let read: Vec<_> = driven.read_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(read, boiler());
    driven.write("set-point", Value::Float(61.0)).await.unwrap();
    let mut anybody = with(", trustAnyServer: true");
    anybody.connect().await.unwrap();
    assert_eq!(anybody.read("set-point").await.unwrap(), Value::Float(61.0));
    let other =
        with(&format!(", remoteCertificate: {folder}/other.pem")).connect().await.unwrap_err().to_string();
    assert!(other.contains("BadCertificateUntrusted: one side does not know"), "{other}");
    let wrong = with(&format!("{trusted}, userName: operator, password: {folder}/wrong"))
        .connect()
        .await
        .unwrap_err();
    assert!(wrong.is_lost() && wrong.to_string().contains("no session"), "{wrong}");
    let open = Driven::new(&server, "").connect().await.unwrap_err().to_string();
    assert!(open.contains("it does not offer None/None, but: Basic256Sha256/SignAndEncrypt"), "{open}");
    let missing = with(&format!(", remoteCertificate: {folder}/none.pem")).connect().await.unwrap_err();
    assert!(matches!(missing, DriverError::Config(_)), "{missing}");
}

#[test]
fn a_device_that_cannot_be_reached_so_says_everything_at_once() {
    let manifests = MANIFESTS.replace("opc.tcp://192", "opc.udp://192").replace("ns=2;s=Label", "Label");
    let device = mapper_framework::devices(&manifests, "opcua").unwrap().remove(0);
    let said = OpcUa::new(&device, &[]).unwrap_err().to_string();
    for part in
        ["protocol.configData.url: ", "properties[label].visitors.configData.nodeID: \"Label\" is no node"]
    {
        assert!(said.contains(part), "{said}");
    }
}
