//! The kernel's word that programs wait for memory: <https://docs.kernel.org/accounting/psi.html#monitoring-for-pressure-thresholds>.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use futures::stream::{self, BoxStream, StreamExt as _};
use nix::fcntl::OFlag;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Some program has waited 100 ms of two seconds, both in microseconds: a machine that swaps or reads its programs again and again, and
/// not one that is merely busy. The kernel says so every two seconds at most; shorter windows it grants only with CAP_SYS_RESOURCE.
const THRESHOLD: &[u8] = b"some 100000 2000000\0";

/// An item at each stall; none where the kernel has no such file (before 5.2, or `psi=0`), or does not let us.
pub(super) fn stalls(path: &Path) -> BoxStream<'static, ()> {
    match open(path) {
        Ok(file) => stream::unfold(file, next).boxed(),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "a lack of memory is noticed by looking only");
            stream::pending().boxed()
        }
    }
}

fn open(path: &Path) -> io::Result<AsyncFd<File>> {
    let flags = OFlag::O_NONBLOCK.bits();
    let mut file = File::options().read(true).write(true).custom_flags(flags).open(path)?;
    file.write_all(THRESHOLD)?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe to call; a File keeps what it asks to be promised"
    )]
    let events = AsyncFd::with_interest(file, Interest::PRIORITY)?;
    Ok(events)
}

async fn next(file: AsyncFd<File>) -> Option<((), AsyncFd<File>)> {
    match file.ready(Interest::PRIORITY).await {
        Ok(mut ready) => ready.clear_ready(),
        Err(error) => {
            tracing::warn!(%error, "a lack of memory is noticed by looking only");
            return std::future::pending().await;
        }
    }
    Some(((), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_the_kernels_file_nothing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(futures::poll!(stalls(&folder.path().join("memory")).next()).is_pending());
    }

    /// Where the kernel has the file, it takes the threshold.
    #[tokio::test]
    async fn this_machines_kernel_can_be_asked() {
        let path = Path::new("/proc/pressure/memory");
        if nix::unistd::geteuid().is_root() && File::open(path).is_ok() {
            open(path).unwrap();
        }
    }
}
