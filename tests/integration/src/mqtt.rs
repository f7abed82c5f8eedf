//! Brokers for tests, and devices that are `mosquitto_pub` and `mosquitto_sub`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proto::config::edgecore::{EdgeCore, MqttMode};

use crate::daemons::SOON;
use crate::ports;
use crate::process::Process;
use crate::wait::until;

/// Whose broker it is: the same must be so with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// mosquitto, beside EdgeCore.
    Mosquitto,
    /// The one inside EdgeCore.
    Embedded,
}

/// A broker in a folder and on a port of its own.
#[derive(Debug)]
pub struct Broker {
    whose: Whose,
    dir: PathBuf,
    /// Where it listens.
    pub port: u16,
    process: Option<Process>,
    /// Numbers those who publish and subscribe.
    numbers: std::cell::Cell<usize>,
}

impl Broker {
    /// Starts it. The one inside EdgeCore starts with EdgeCore.
    ///
    /// # Panics
    /// When mosquitto is not installed.
    pub async fn start(whose: Whose, dir: &Path) -> Self {
        let [port] = ports::free().unwrap();
        let numbers = std::cell::Cell::new(0);
        let mut broker = Self { whose, dir: dir.join("broker"), port, process: None, numbers };
        std::fs::create_dir_all(&broker.dir).unwrap();
        broker.start_again().await;
        broker
    }

    /// After [`Broker::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        if self.whose == Whose::Embedded {
            return;
        }
        // By itself mosquitto drops what is more than 1,000 messages ahead of a client.
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence false\nuser root\n",
            self.port
        );
        let file = self.dir.join("mosquitto.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(&file);
        self.process =
            Some(Process::start("mosquitto", &mut command, &self.dir).expect("apt install mosquitto"));
        self.listens().await;
    }

    fn number(&self) -> usize {
        let number = self.numbers.get();
        self.numbers.set(number + 1);
        number
    }

    /// Waits until it takes connections.
    ///
    /// # Panics
    /// When it does not.
    pub async fn listens(&self) {
        let address = ("127.0.0.1", self.port);
        until("the broker listens", SOON, || async { tokio::net::TcpStream::connect(address).await })
            .await
            .unwrap();
    }

    /// Kills it; not the one inside EdgeCore.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill().unwrap();
    }

    /// Lets a node use it.
    pub fn configure(&self, config: &mut EdgeCore) {
        let bus = &mut config.modules.event_bus;
        bus.enable = true;
        let address = format!("tcp://127.0.0.1:{}", self.port);
        match self.whose {
            Whose::Mosquitto => (bus.mqtt_mode, bus.mqtt_server_external) = (MqttMode::External, address),
            Whose::Embedded => (bus.mqtt_mode, bus.mqtt_server_internal) = (MqttMode::Internal, address),
        }
    }

    /// Publishes each line by itself. Returns when the broker has them all, with QoS 1.
    ///
    /// # Panics
    /// When it cannot be done.
    pub async fn publish(&self, topic: &str, qos: u8, lines: String) {
        let mut command = Command::new("mosquitto_pub");
        let port = self.port.to_string();
        // With a name: what somebody without one sends again cannot be told from what another one says.
        let name = format!("pub-{}", self.number());
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-i",
            &name,
            "-q",
            &qos.to_string(),
            "-t",
            topic,
            "-l",
        ]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let publish = move || {
            let mut child = command.spawn().expect("apt install mosquitto-clients");
            child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        let output = tokio::task::spawn_blocking(publish).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Publishes one message at another port than the broker's own, with further arguments of `mosquitto_pub`.
    ///
    /// # Errors
    /// When it is not taken.
    ///
    /// # Panics
    /// When there is no `mosquitto_pub`.
    pub async fn publish_to(
        port: u16,
        arguments: &[String],
        topic: &str,
        qos: u8,
        payload: &str,
    ) -> anyhow::Result<()> {
        let (port, qos) = (port.to_string(), qos.to_string());
        let mut command = Command::new("mosquitto_pub");
        command
            .args(["-h", "127.0.0.1", "-p", &port, "-q", &qos, "-t", topic, "-m", payload])
            .args(arguments);
        let publish = move || command.output().expect("apt install mosquitto-clients");
        let output = tokio::task::spawn_blocking(publish).await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Publishes one message, of any bytes.
    ///
    /// # Panics
    /// When it cannot be done.
    pub async fn publish_bytes(&self, topic: &str, qos: u8, payload: &[u8]) {
        let file = self.dir.join("payload");
        std::fs::write(&file, payload).unwrap();
        let port = self.port.to_string();
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-q", &qos.to_string(), "-t", topic, "-f"]).arg(file);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Listens to what is published from now on.
    ///
    /// # Panics
    /// When it cannot be done.
    pub async fn subscribe(&self, filter: &str) -> Subscriber {
        let number = self.number();
        // Into a file it would write only when there is enough.
        let mut command = Command::new("stdbuf");
        let port = self.port.to_string();
        command.args([
            "-oL",
            "mosquitto_sub",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-q",
            "1",
            "-v",
            "-d",
            "-t",
            filter,
        ]);
        let process = Process::start(&format!("sub-{number}"), &mut command, &self.dir);
        let subscriber = Subscriber { process: process.expect("apt install mosquitto-clients") };
        until("it is subscribed", SOON, || async {
            let output = subscriber.process.output()?;
            anyhow::ensure!(output.contains("Subscribed"), "{output}");
            Ok(())
        })
        .await
        .unwrap();
        subscriber
    }
}

/// A `mosquitto_sub`.
#[derive(Debug)]
pub struct Subscriber {
    process: Process,
}

impl Subscriber {
    /// All payloads on a topic so far.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub fn payloads(&self, topic: &str) -> anyhow::Result<Vec<String>> {
        let prefix = format!("{topic} ");
        let output = self.process.output()?;
        Ok(output.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    /// Waits for a payload on a topic of which this holds.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn hears(&self, topic: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        until(&format!("{what} is published on {topic}"), SOON, || async {
            let payloads = self.payloads(topic)?;
            payloads
                .iter()
                .find(|payload| holds(payload))
                .cloned()
                .ok_or_else(|| anyhow::anyhow!("{payloads:?}"))
        })
        .await
        .unwrap()
    }
}
