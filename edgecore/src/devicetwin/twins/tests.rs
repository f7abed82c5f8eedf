mod topics;

use serde_json::json;

use super::*;

fn now_at(seconds: i64, start: Instant) -> Now {
    let wall = Timestamp::from_second(1_795_403_660 + seconds).unwrap();
    Now { instant: start + Duration::from_secs(u64::try_from(seconds).unwrap()), wall }
}

fn device() -> Arc<Device> {
    let device = json!({
        "metadata": {"namespace": "default", "name": "d", "uid": "u"},
        "spec": {
            "deviceModelRef": {"name": "m"},
            "properties": [{"name": "t", "reportToCloud": true, "collectCycle": 10_000}, {"name": "label"}],
        },
    });
    Arc::new(serde_json::from_value(device).unwrap())
}

fn model() -> Arc<DeviceModel> {
    let model = json!({
        "metadata": {"namespace": "default", "name": "m", "uid": "m"},
        "spec": {"properties": [
            {"name": "t", "type": "INT", "minimum": "-40", "maximum": "120"}, {"name": "label", "type": "STRING"},
        ]},
    });
    Arc::new(serde_json::from_value(model).unwrap())
}

fn d() -> DeviceKey {
    ("default".into(), "d".into())
}

fn twins() -> Twins {
    let mut twins = Twins::default();
    twins.device_applied(device());
    twins.model_applied(model());
    twins
}

fn value(name: &str, value: &str) -> dmi::Twin {
    let reported = Some(dmi::TwinProperty { value: value.into(), ..Default::default() });
    dmi::Twin { property_name: name.into(), reported, observed_desired: None }
}

fn told(twins: &mut Twins) -> (Option<String>, Option<String>) {
    let Some(news) = twins.news().pop() else { return (None, None) };
    let value = news.twin.and_then(|twin| twin["t"].actual.as_ref()?.value.clone());
    (value, news.report.map(|report| report.state))
}

#[tokio::test(start_paused = true)]
async fn a_value_is_told_once() {
    let (mut twins, start) = (twins(), Instant::now());
    twins.report(&d(), &[value("t", "20")], now_at(0, start)).unwrap();
    let news = twins.news().pop().unwrap();
    let twin = &news.twin.unwrap()["t"];
    assert_eq!(twin.metadata.as_ref().unwrap().data_type, "int");
    assert_eq!(twin.actual_version.unwrap().edge, 1);
    assert_eq!(
        news.report.unwrap(),
        DeviceReport {
            name: "d".into(),
            state: "online".into(),
            last_online_time: "2026-11-23T03:14:20Z".into(),
            call: None,
        }
    );
    twins.report(&d(), &[value("t", "20")], now_at(1, start)).unwrap();
    assert!(!twins.has_news(), "the same again is nothing");
    twins.report(&d(), &[value("t", "21")], now_at(2, start)).unwrap();
    twins.report(&d(), &[value("t", "22")], now_at(3, start)).unwrap();
    assert_eq!(told(&mut twins), (Some("22".into()), None));
}

#[tokio::test(start_paused = true)]
async fn when_it_was_last_online_is_renewed_now_and_then() {
    let (mut twins, start) = (twins(), Instant::now());
    for second in 0..=59 {
        twins.report(&d(), &[value("t", "20")], now_at(second, start)).unwrap();
    }
    assert_eq!(twins.news().len(), 1);
    twins.report(&d(), &[value("t", "20")], now_at(119, start)).unwrap();
    let report = twins.news().pop().unwrap().report.unwrap();
    assert_eq!(report.last_online_time, "2026-11-23T03:16:19Z");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_by_name_and_the_rest_is_taken() {
    let (mut twins, start) = (twins(), Instant::now());
    let now = now_at(0, start);
    let all = [value("t", "20"), value("label", &"x".repeat(1 << 20)), value("other", "1")];
    let Err(DriverError::Invalid(text)) = twins.report(&d(), &all, now) else { panic!() };
    assert!(text.contains("label: ") && text.contains("other: the device has no such property"), "{text}");
    assert_eq!(told(&mut twins).0.as_deref(), Some("20"));
    for wrong in ["warm", "20.5", "121", ""] {
        assert!(twins.report(&d(), &[value("t", wrong)], now).is_err(), "{wrong}");
    }
    let nobody = ("default".to_owned(), "x".to_owned());
    assert_eq!(twins.report(&nobody, &[], now), Err(DriverError::NotFound(nobody)));
    assert!(matches!(twins.report_state(&d(), "on fire", now), Err(DriverError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn a_value_is_taken_before_its_model_is_here() {
    let (mut twins, start) = (Twins::default(), Instant::now());
    twins.device_applied(device());
    twins.report(&d(), &[value("t", "warm")], now_at(0, start)).unwrap();
    twins.model_applied(model());
    assert!(twins.report(&d(), &[value("t", "warm")], now_at(1, start)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_driver_is_silent_is_offline_and_comes_back() {
    let (mut twins, start) = (twins(), Instant::now());
    assert_eq!(twins.deadline(), None, "it never was there");
    twins.report(&d(), &[value("t", "20")], now_at(0, start)).unwrap();
    twins.news();
    assert_eq!(twins.deadline(), Some(start + 3 * Duration::from_secs(10)));
    twins.fall_silent(start + Duration::from_secs(29));
    assert!(!twins.has_news());
    twins.fall_silent(start + Duration::from_secs(30));
    let report = twins.news().pop().unwrap().report.unwrap();
    assert_eq!(
        (report.state.as_str(), report.last_online_time.as_str()),
        ("offline", "2026-11-23T03:14:20Z")
    );
    assert_eq!(twins.deadline(), None);
    twins.report(&d(), &[value("t", "20")], now_at(40, start)).unwrap();
    assert_eq!(told(&mut twins), (None, Some("online".into())));
    // A driver that says of itself how it is has the word.
    twins.report_state(&d(), "Unhealthy", now_at(41, start)).unwrap();
    twins.report(&d(), &[value("t", "20")], now_at(42, start)).unwrap();
    assert_eq!(told(&mut twins), (None, Some("unhealthy".into())));
}

#[tokio::test(start_paused = true)]
async fn what_was_known_before_a_restart_is_known_after_it() {
    let (mut before, start) = (twins(), Instant::now());
    before.report(&d(), &[value("t", "20")], now_at(0, start)).unwrap();
    let news = before.news().pop().unwrap();
    let mut after = twins();
    after.restore(&d(), news.twin, None, now_at(5, start));
    after.restore(&d(), None, news.report, now_at(5, start));
    after.report(&d(), &[value("t", "20")], now_at(6, start)).unwrap();
    assert!(!after.has_news(), "it is so already");
    after.fall_silent(start + Duration::from_secs(36));
    assert_eq!(told(&mut after).1.as_deref(), Some("offline"));
}

#[tokio::test(start_paused = true)]
async fn another_device_of_the_same_name_begins_anew() {
    let (mut twins, start) = (twins(), Instant::now());
    twins.report(&d(), &[value("t", "20")], now_at(0, start)).unwrap();
    let mut other = (*device()).clone();
    other.metadata.uid = Some("u2".into());
    twins.device_applied(Arc::new(other));
    assert!(!twins.has_news() && twins.deadline().is_none());
    twins.report(&d(), &[value("t", "20")], now_at(1, start)).unwrap();
    assert_eq!(twins.news()[0].uid, "u2");
}
