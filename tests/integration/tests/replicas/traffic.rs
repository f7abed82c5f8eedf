//! Users' messages through one rule of each type, some 25 a second each, until told to stop. What is known not to have been sent is sent
//! again, nothing else is.

use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use chassis::rng::Rng;
use chassis::task::{self, AbortOnDrop};
use integration::mqtt::Subscriber;
use integration::replicas::Router;
use integration::service::Ask;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::scene::{NODE, Scene};

/// Between two messages of one rule.
const PACE: Duration = Duration::from_millis(40);
/// Before what was not sent is sent again.
const AGAIN: Duration = Duration::from_millis(50);
/// Who asks is no more patient than that: what becomes of the message is unknown then.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nothing may keep a message from being sent for so long, as two replicas of three can be reached.
const STUCK: Duration = Duration::from_secs(60);

/// What whoever sent a message knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has arrived.
    Delivered,
    /// It may have arrived: the words of who answered.
    Unknown(String),
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) text: String,
    pub(crate) fate: Fate,
    /// How often it was known not to have been sent.
    pub(crate) refused: usize,
}

/// All that was sent in a round.
pub(crate) struct Logs {
    pub(crate) seed: u64,
    /// To the broker at the edge, and what is heard there.
    pub(crate) publish: Vec<Sent>,
    pub(crate) heard: Subscriber,
    /// To the service at the edge.
    pub(crate) call: Vec<Sent>,
    /// From an application at the edge.
    pub(crate) ask: Vec<Sent>,
    /// So many from the broker at the edge.
    pub(crate) up: usize,
}

pub(crate) struct Traffic {
    seed: u64,
    stop: watch::Sender<bool>,
    heard: Subscriber,
    publish: AbortOnDrop<Vec<Sent>>,
    call: AbortOnDrop<Vec<Sent>>,
    ask: AbortOnDrop<Vec<Sent>>,
    up: AbortOnDrop<usize>,
}

/// What one try to send has come to.
enum Outcome {
    Delivered,
    NotSent,
    Unknown(String),
}

impl Traffic {
    pub(crate) async fn start(scene: &Scene, seed: u64) -> Self {
        let heard = scene.broker.subscribe("down").await;
        let stop = watch::Sender::new(false);
        let routers: Vec<Router> =
            scene.replicas.all.iter().map(integration::replicas::Replica::router).collect();
        let down = |path: &'static str, salt: u64| {
            let (routers, rng) = (routers.clone(), Rng::seeded(seed ^ salt));
            // One after the other: each through whichever replica.
            let send = async move |text: String| {
                let router = routers[rng.below(routers.len())];
                let path = format!("/{NODE}/default/{path}");
                outcome(timeout(PATIENCE, router.ask("POST", &path, &text)).await)
            };
            spawn(flow(seed, stop.subscribe(), send))
        };
        let (publish, call) = (down("publish", 1), down("call", 2));
        let url = format!("http://127.0.0.1:{}/", scene.edge.modules.service_bus.port);
        let send = async move |text: String| {
            let body = json!({"method": "POST", "targetURL": "http://cloud/ask", "payload": {"text": text}});
            let body = body.to_string();
            let ask = Ask { method: "POST", url: &url, ca: None, token: None, body: &body };
            at_the_edge(timeout(STUCK, ask.send()).await)
        };
        let ask = spawn(flow(seed, stop.subscribe(), send));
        let up = spawn(published(scene.broker.port, seed, stop.subscribe()));
        Self { seed, stop, heard, publish, call, ask, up }
    }

    /// Ends all, when each has got through what it had begun.
    pub(crate) async fn stop(self) -> Logs {
        self.stop.send_replace(true);
        let (publish, call) = (self.publish.await.unwrap(), self.call.await.unwrap());
        let (ask, up) = (self.ask.await.unwrap(), self.up.await.unwrap());
        Logs { seed: self.seed, publish, heard: self.heard, call, ask, up }
    }
}

fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> AbortOnDrop<T> {
    task::spawn(tracing::Span::none(), work)
}

/// One message after the other.
async fn flow<S>(seed: u64, stop: watch::Receiver<bool>, send: S) -> Vec<Sent>
where
    S: AsyncFn(String) -> Outcome,
{
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut all = Vec::new();
    while !*stop.borrow() {
        pace.tick().await;
        let text = format!("{seed}-{}", all.len());
        let mut refused = 0;
        let through = async {
            loop {
                match send(text.clone()).await {
                    Outcome::Delivered => return Fate::Delivered,
                    Outcome::Unknown(why) => return Fate::Unknown(why),
                    Outcome::NotSent => {
                        refused += 1;
                        sleep(AGAIN).await;
                    }
                }
            }
        };
        let fate = timeout(STUCK, through).await;
        let fate = fate.unwrap_or_else(|_| panic!("{text} could not be sent, {refused} times"));
        all.push(Sent { text, fate, refused });
    }
    all
}

type Answered = Result<anyhow::Result<integration::service::Answer>, tokio::time::error::Elapsed>;

/// What a router's answer says.
fn outcome(answered: Answered) -> Outcome {
    match answered {
        Err(_) => Outcome::Unknown(format!("no answer within {PATIENCE:?}")),
        Ok(Err(error)) if is_refused(&error) => Outcome::NotSent,
        Ok(Err(error)) => Outcome::Unknown(format!("{error:#}")),
        Ok(Ok(answer)) if answer.status == 200 => Outcome::Delivered,
        Ok(Ok(answer)) if answer.headers.get("x-message-sent").is_some_and(|sent| sent == "no") => {
            Outcome::NotSent
        }
        Ok(Ok(answer)) => Outcome::Unknown(format!("{}: {}", answer.status, answer.body)),
    }
}

/// What ServiceBus says.
fn at_the_edge(answered: Answered) -> Outcome {
    match answered {
        Err(_) => Outcome::Unknown(format!("no answer within {STUCK:?}")),
        Ok(Err(error)) if is_refused(&error) => Outcome::NotSent,
        Ok(Err(error)) => Outcome::Unknown(format!("{error:#}")),
        Ok(Ok(answer)) => match serde_json::from_str::<Value>(&answer.body) {
            Ok(said) if said["code"] == 200 => Outcome::Delivered,
            Ok(said) if said["code"] == 503 => Outcome::NotSent,
            _ => Outcome::Unknown(answer.body),
        },
    }
}

/// Nobody listened: nothing was sent.
fn is_refused(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Publishes at the edge, and returns how many when the broker has them all.
async fn published(port: u16, seed: u64, stop: watch::Receiver<bool>) -> usize {
    let mut command = Command::new("mosquitto_pub");
    let (port, name) = (port.to_string(), format!("up-{seed}"));
    command.args(["-h", "127.0.0.1", "-p", &port, "-i", &name, "-q", "1", "-t", "default/up", "-l"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("apt install mosquitto-clients");
    let mut lines = child.stdin.take().unwrap();
    let mut pace = interval(PACE);
    let mut count = 0;
    while !*stop.borrow() {
        pace.tick().await;
        line(&mut lines, seed, count);
        count += 1;
    }
    drop(lines);
    let status = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "mosquitto_pub ended with {status}");
    count
}

fn line(lines: &mut ChildStdin, seed: u64, number: usize) {
    writeln!(lines, "{seed}-{number}").unwrap();
}
