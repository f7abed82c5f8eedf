//! Bodies of requests: bounded each, and together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes of all bodies at once, in KiB.
const ALL: usize = 128 << 10;
const KIB: usize = 1 << 10;

/// Room for bodies.
#[derive(Debug, Clone)]
pub struct Room {
    kib: Arc<Semaphore>,
    largest: usize,
}

/// A body, and the room that it takes for as long as it is there.
#[derive(Debug)]
pub struct Kept {
    /// It.
    pub bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

/// Why a body was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its size, or what it says of it.
    #[error("a body may have {0} bytes")]
    TooLarge(usize),
    /// All bodies together.
    #[error("too many bodies are under way")]
    NoRoom,
    /// Its time.
    #[error("the body did not come within {0:?}")]
    TooSlow(Duration),
    /// Its end.
    #[error("the body broke off: {0}")]
    Broken(String),
}

impl Room {
    /// For bodies of at most `largest` bytes each.
    #[must_use]
    pub fn new(largest: usize) -> Self {
        Self { kib: Arc::new(Semaphore::new(ALL)), largest }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// Why not.
    pub async fn take<B>(&self, body: B, limit: Duration) -> Result<Kept, Refused>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        // What says that it is too large need not come. Room is taken as the bytes come: what was only declared takes none.
        if body.size_hint().lower() > self.largest as u64 {
            return Err(Refused::TooLarge(self.largest));
        }
        timeout(limit, self.read(body)).await.unwrap_or(Err(Refused::TooSlow(limit)))
    }

    async fn read<B>(&self, mut body: B) -> Result<Kept, Refused>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (mut bytes, mut room, mut has) = (BytesMut::new(), Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refused::Broken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            let size = bytes.len() + data.len();
            if size > self.largest {
                return Err(Refused::TooLarge(self.largest));
            }
            if size > has {
                // At least as much again, so that a body that comes in drops takes few permits.
                let more = (size - has).max(has.min(self.largest - has)).div_ceil(KIB).max(1);
                let permits = u32::try_from(more).map_err(|_| Refused::NoRoom)?;
                room.push(
                    Arc::clone(&self.kib).try_acquire_many_owned(permits).map_err(|_| Refused::NoRoom)?,
                );
                has += more * KIB;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Kept { bytes: bytes.freeze(), _room: room })
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_body_is_bounded_in_size_and_in_time() {
        let room = Room::new(4000);
        let take = |size: usize| room.take(Full::new(Bytes::from(vec![1; size])), LIMIT);
        assert_eq!(take(4000).await.unwrap().bytes.len(), 4000);
        assert_eq!(take(4001).await.unwrap_err(), Refused::TooLarge(4000));
        // One that does not say how large it is.
        let drops =
            stream::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(&[1; 100]))));
        assert_eq!(room.take(StreamBody::new(drops), LIMIT).await.unwrap_err(), Refused::TooLarge(4000));
        let never = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        assert_eq!(room.take(StreamBody::new(never), LIMIT).await.unwrap_err(), Refused::TooSlow(LIMIT));
        assert_eq!(room.kib.available_permits(), ALL);
    }

    #[tokio::test(start_paused = true)]
    async fn all_bodies_together_are_bounded() {
        let largest = 12 << 20;
        let room = Room::new(largest);
        let mut kept = Vec::new();
        let refused = loop {
            match room.take(Full::new(Bytes::from(vec![1; largest])), LIMIT).await {
                Ok(body) => kept.push(body),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused, Refused::NoRoom);
        assert_eq!(kept.len(), ALL * KIB / largest);
        kept.pop();
        assert!(room.take(Full::new(Bytes::from(vec![1; largest])), LIMIT).await.is_ok());
    }
}
