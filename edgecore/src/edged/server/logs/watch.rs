//! Tells that something in a folder has changed: inotify, so that a log that rests costs nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

/// Room for what is thrown away: a few dozen events.
const EVENTS: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    events: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches the files of `folder` from now on.
    ///
    /// # Errors
    /// There is no such folder, or the kernel has no more watches for this user.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(exhausted)?;
        let changes = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        inotify.add_watch(folder, changes).map_err(exhausted)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe to call; an OwnedFd keeps what it asks to be promised"
        )]
        let events = AsyncFd::new(OwnedFd::from(inotify))?;
        Ok(Self { events })
    }

    /// Waits until something has changed since the last time. What it was is for the caller to see: events are many, and
    /// the kernel may drop some, but never all.
    pub(super) async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            let drained = ready.try_io(|events| {
                let mut buffer = [0; EVENTS];
                nix::unistd::read(events, &mut buffer).map_err(io::Error::from)
            });
            match drained {
                Ok(read) => return read.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}

fn exhausted(errno: Errno) -> io::Error {
    match errno {
        Errno::EMFILE | Errno::ENOSPC => io::Error::other(
            "the kernel has no more file watches: fs.inotify.max_user_instances and max_user_watches can be raised",
        ),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn writing_making_and_renaming_are_seen_and_rest_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(dir.path()).unwrap();
        let seen = || tokio::time::timeout(Duration::from_secs(20), watch.changed());
        let mut file = std::fs::File::create(dir.path().join("0.log")).unwrap();
        seen().await.unwrap().unwrap();
        file.write_all(b"x").unwrap();
        seen().await.unwrap().unwrap();
        std::fs::rename(dir.path().join("0.log"), dir.path().join("0.log.1")).unwrap();
        seen().await.unwrap().unwrap();
        assert!(futures::FutureExt::now_or_never(watch.changed()).is_none());
        assert!(Watch::new(&dir.path().join("missing")).is_err());
    }
}
