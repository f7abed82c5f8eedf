//! A connection with a real socket, on a clock that jumps: both ends are in one runtime.

use std::collections::BTreeMap;

use chassis::channel::bounded;
use chassis::module::Module as _;
use chassis::shutdown::Shutdown;
use mqtt::{Door, Limits, Settings};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::*;
use crate::eventbus::line;
use crate::eventbus::wire::Manner;
use crate::flow::MqttPublish;

const HOUR: Duration = Duration::from_secs(3600);

fn dial(port: u16) -> Dial {
    Dial {
        host: "127.0.0.1".to_owned(),
        port,
        client_id: "edgecore-edge1".to_owned(),
        credentials: None,
        tls: None,
        manner: Manner { qos: 1, retain: false },
    }
}

async fn next(heard: &mut chassis::channel::Receiver<Heard>) -> Heard {
    timeout(HOUR, heard.recv()).await.expect("nothing is heard").unwrap()
}

/// It is tried at a pace that neither fills the log nor leaves the broker alone for long, and what was to be said is said then.
#[tokio::test(start_paused = true)]
async fn a_broker_that_is_gone_for_an_hour_is_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, mut heard) = bounded("heard", 16);
    let dial = dial(address.port());
    let (line, ends) = line(Broker::External, dial.manner, told, Metrics::default());
    line.want(&Arc::new(BTreeMap::from([("a".to_owned(), ())])));
    let connection = Connection::run(dial, ends, Rng::seeded(1), Metrics::default());
    let _connection = task::spawn(tracing::Span::none(), connection);
    // Whoever comes is sent away.
    let mut attempts = 0;
    let turn_away = async {
        loop {
            drop(listener.accept().await.unwrap());
            attempts += 1;
        }
    };
    assert!(timeout(HOUR, turn_away).await.is_err());
    assert!((60..=130).contains(&attempts), "{attempts} attempts");
    line.say("a".to_owned(), "said while it was away".to_owned());
    drop(listener);
    sleep(HOUR).await;

    let plain = Door { address: address.to_string(), setting: "" };
    let settings = Settings { plain, tls: None, limits: Limits::default() };
    let broker = mqtt::Broker::open(settings, mqtt::Metrics::default(), Rng::seeded(2)).await;
    let (inside, mut inbox) = broker.local();
    inside.subscribe(["a".to_owned()]);
    let (_trigger, shutdown) = Shutdown::new();
    let _broker = task::spawn(tracing::Span::none(), broker.run(shutdown));
    let connected = next(&mut heard).await;
    assert!(matches!(connected, Heard::Connected { is_new: true, .. }), "{connected:?}");
    let said = inbox.next().await;
    assert_eq!((said.topic.as_str(), said.payload.as_ref()), ("a", b"said while it was away".as_slice()));
    inside.acknowledge(said.id.unwrap());
    // Its own subscription is made.
    let Heard::Message(arrival) = next(&mut heard).await else { panic!("another one") };
    assert_eq!(arrival.topic, "a");
    assert!(arrival.ack.is_some() && arrival.client.is_none());
    line.publish(MqttPublish { topic: "a".into(), payload: "x".into(), qos: 0, retain: false });
    assert_eq!(inbox.next().await.payload, "x");
}
