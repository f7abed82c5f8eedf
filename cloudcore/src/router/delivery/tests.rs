use super::*;
use crate::router::lanes::tests::said;
use crate::router::web::tests::Scripted;

const PATIENCE: Patience = Patience { answer: Duration::from_secs(30), message: Duration::from_secs(300) };

async fn delivered(servers: &Scripted) -> Verdict {
    let url = "http://user:secret@a.b/c?token=secret".parse().unwrap();
    deliver(servers, url, &said("edge-1", "m-1"), PATIENCE, &Semaphore::new(1), Rng::seeded(1)).await
}

#[tokio::test(start_paused = true)]
async fn a_message_is_tried_until_its_server_has_it_and_has_one_id() {
    let answers = [
        Ok((503, "")),
        Err(Failure::Unreachable("refused".to_owned())),
        Err(Failure::TimedOut(Duration::from_secs(30))),
        Ok((429, "")),
        Ok((204, "")),
    ];
    let servers = Scripted::new(answers);
    assert_eq!(delivered(&servers).await, Verdict::Taken);
    assert_eq!(servers.headers("x-message-id"), vec!["m-1"; 5]);
    assert_eq!(servers.headers("nodename"), vec!["edge-1"; 5]);
    assert_eq!(servers.headers("x-mqtt-topic"), vec!["default/t"; 5]);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_refuses_is_not_tried_again() {
    for status in [302, 400, 404, 413] {
        let servers = Scripted::new([Ok((status, ""))]);
        let Verdict::Failed(why) = delivered(&servers).await else { panic!("taken") };
        assert!(why.contains(&status.to_string()) && why.contains("edge-1: POST http://a.b/c"), "{why}");
        assert!(!why.contains("secret"), "{why}");
        assert_eq!(servers.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn time_is_over_one_day() {
    let servers = Scripted::new(std::iter::repeat_with(|| Ok((500, ""))).take(100));
    let start = Instant::now();
    let Verdict::Failed(why) = delivered(&servers).await else { panic!("taken") };
    assert!(why.contains("500") && why.contains("given up after 300 s"), "{why}");
    let took = start.elapsed();
    assert!(took <= PATIENCE.message && took > PATIENCE.message - RETRY.max, "{took:?}");
    assert!((10..40).contains(&servers.asked().len()), "{}", servers.asked().len());
}
