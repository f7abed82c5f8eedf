//! Signs of life of a peer that has nothing to say.

use super::*;

#[tokio::test]
async fn a_probe_is_answered_by_whoever_receives_and_shows_in_the_pulse() {
    let mut server = Cloud::start(limits()).await;
    let (mut edge, mut cloud) = server.joined().await;
    let pulse = edge.rx.pulse().unwrap();
    let before = pulse.last();
    tokio::time::sleep_until(before + Duration::from_millis(5)).await;
    assert!(edge.tx.probe().await.unwrap());
    let felt = async {
        while pulse.last() == before {
            tokio::task::yield_now().await;
        }
    };
    // Neither end has a message: a probe is none.
    tokio::select! {
        () = felt => {}
        frame = edge.rx.recv() => panic!("{frame:?}"),
        frame = cloud.rx.recv() => panic!("{frame:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_message_is_a_sign_of_life_too() {
    let (mut edge, mut far) = over_a_narrow_pipe().await;
    let pulse = edge.rx.pulse().unwrap();
    let begun = tokio::time::Instant::now();
    let slowly = async {
        // A message of 60 bytes, one a second.
        for byte in [&[0x82, 60][..], &[7; 59]].concat() {
            far.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = slowly => {}
        frame = edge.rx.recv() => panic!("{frame:?}"),
    }
    assert!(pulse.last() - begun >= Duration::from_secs(59));
}
