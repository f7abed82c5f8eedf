//! Whatever is sent in whatever pieces arrives as it was, and nothing of it in large frames.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

const LIMIT: usize = 8 * 1024 * 1024;

/// The head of a frame with this first byte.
fn head(first: u8, masked: bool, length: u64) -> Vec<u8> {
    let mask = if masked { MASKED } else { 0 };
    let mut head = vec![first, mask | LENGTH_64];
    head.extend(length.to_be_bytes());
    head.extend(if masked { &[1, 2, 3, 4][..] } else { &[] });
    head
}

/// What is read after `sent` was, and the end.
async fn read_after(sent: &[u8]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(sent.len() + 1);
    far.write_all(sent).await.unwrap();
    drop(far);
    let mut read = Vec::new();
    Split::upgraded(near, Vec::new(), LIMIT).read_to_end(&mut read).await.unwrap();
    read
}

#[tokio::test]
async fn a_large_frame_becomes_fragments_with_the_same_mask() {
    let payload = vec![7; 2 * PIECE as usize + 5];
    let sent = [head(0x82, true, payload.len() as u64), payload.clone()].concat();
    let mut expected = Vec::new();
    let mask = [1, 2, 3, 4];
    for (first, length) in [(0x02, PIECE as u16), (0x00, PIECE as u16), (0x80, 5)] {
        let short = [vec![first, MASKED | 5], mask.to_vec()].concat();
        let long = [vec![first, MASKED | LENGTH_16], length.to_be_bytes().to_vec(), mask.to_vec()].concat();
        expected.extend(if length == 5 { short } else { long });
        expected.extend(vec![7; length.into()]);
    }
    assert!(read_after(&sent).await == expected);
}

#[tokio::test]
async fn what_is_small_control_too_large_or_cut_is_passed_on_as_it_is() {
    let small = [head(0x81, false, 3), b"abc".to_vec()].concat();
    let oversized = head(0x82, true, LIMIT as u64 + 1);
    let ping = [head(0x89, false, PIECE + 1), vec![0; PIECE as usize + 1]].concat();
    let huge = head(0x82, false, u64::MAX);
    for sent in [small, oversized, ping, huge, vec![0x82], vec![0x82, 0xff, 0, 0], Vec::new()] {
        assert!(read_after(&sent).await == sent);
    }
}

/// A connection whose bytes come in chunks of these sizes, over and over.
async fn in_chunks(mut from: DuplexStream, mut to: DuplexStream, sizes: Vec<usize>) {
    for size in sizes.into_iter().cycle() {
        let mut chunk = vec![0; size];
        let count = from.read(&mut chunk).await.unwrap_or(0);
        if count == 0 || to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_cross_whole(
        lengths in prop::collection::vec(prop_oneof![0..200_usize, 65_500..65_600_usize, 0..150_000_usize], 1..6),
        sizes in prop::collection::vec(1..5000_usize, 1..5),
        from_client in any::<bool>(),
        early in 0..20_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (sender, mut wire) = tokio::io::duplex(64 * 1024);
            let (end, receiver) = tokio::io::duplex(64 * 1024);
            let (there, here) =
                if from_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
            let messages: Vec<Message> = lengths.iter().enumerate().map(|(n, length)| {
                let text = "é\u{1F980}x".chars().cycle().take(*length).collect::<String>();
                if n % 2 == 0 { Message::text(text) } else { Message::binary(text.into_bytes()) }
            }).collect();
            let sending = async {
                let mut sender = WebSocketStream::from_raw_socket(sender, there, None).await;
                for message in messages.clone() {
                    sender.send(message).await.unwrap();
                    sender.send(Message::Ping("p".into())).await.unwrap();
                }
                sender
            };
            let receiving = async {
                let mut first = vec![0; early];
                let count = wire.read(&mut first).await.unwrap();
                first.truncate(count);
                let receiver = Split::upgraded(receiver, first, LIMIT);
                let crossing = in_chunks(wire, end, sizes.clone());
                let reading = async {
                    let mut receiver = WebSocketStream::from_raw_socket(receiver, here, None).await;
                    let mut received = Vec::new();
                    while received.len() < messages.len() {
                        match receiver.next().await.unwrap().unwrap() {
                            Message::Ping(_) => {}
                            message => received.push(message),
                        }
                    }
                    received
                };
                tokio::select! {
                    received = reading => received,
                    () = crossing => panic!("the connection ended"),
                }
            };
            let both = async { tokio::join!(sending, receiving).1 };
            let received = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
            assert!(received == messages);
        });
    }
}
