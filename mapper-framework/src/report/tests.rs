mod mosquitto;

use super::*;
use crate::health::State;

#[test]
fn the_messages_are_stocks() {
    let reading = Reading { value: "21.5".into(), desired: Some("22".into()), data_type: "DOUBLE", at: 7 };
    let news = News { readings: [("t".to_owned(), reading)].into(), state: Some(State::Ok) };
    let all = messages("$hw/events/device/ns/d", &news, 9, &Rng::seeded(1));
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(all[0].0, "$hw/events/device/ns/d/state/update");
    assert_eq!(json(&all[0].1)["state"], "ok");
    assert_eq!(all[1].0, "$hw/events/device/ns/d/twin/update");
    assert_eq!(
        json(&all[1].1)["twin"],
        json!({"t": {
            "actual": {"value": "21.5", "metadata": {"timestamp": 7}},
            "expected": {"value": "22", "metadata": {"timestamp": 7}},
            "metadata": {"type": "float"},
        }})
    );
}
