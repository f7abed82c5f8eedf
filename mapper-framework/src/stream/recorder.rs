//! Keeps one stream: takes its frames when they are wanted, and puts them on its shelf. Each step on the disk is a short one on the
//! pool for what blocks.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::settings::{Keeps, Settings, check_format};
use super::shelf::{Draft, Shelf};
use super::{Frame, Frames, MAX_FRAME};
use crate::driver::{DriverError, limited};
use crate::metrics::Metrics;

/// A camera that gives nothing for so long is gone.
const FRAME_TIME: Duration = Duration::from_secs(30);

/// What has come of a stream, over all its openings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The file that was completed last.
    pub(crate) last: Option<PathBuf>,
    /// Files that were completed.
    pub(crate) files: u64,
}

/// Records until there is enough.
///
/// # Errors
/// When the stream ends, or fails, or delivers what it should not, or the disk does not take it.
pub(crate) async fn record(
    mut frames: Frames,
    settings: Settings,
    progress: watch::Sender<Progress>,
    metrics: Metrics,
) -> Result<(), DriverError> {
    let is_done = |progress: &watch::Sender<Progress>| match settings.keeps {
        Keeps::Frames { count } | Keeps::Clips { count, .. } => {
            count.is_some_and(|count| progress.borrow().files >= count)
        }
    };
    let mut album = Album { settings: &settings, shelf: None, draft: None, frames: 0 };
    let mut due = Instant::now();
    while !is_done(&progress) {
        tokio::time::sleep_until(due).await;
        due = Instant::now() + settings.interval;
        let ended = || Err(DriverError::Refused("the stream has ended".to_owned()));
        let next = async { frames.next().await.unwrap_or_else(ended) };
        let kept = match limited(FRAME_TIME, next).await {
            Ok(frame) => album.take(frame).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(None) => {}
            Ok(Some(path)) => {
                metrics.recorded.inc();
                progress.send_modify(|progress| {
                    progress.last = Some(path);
                    progress.files += 1;
                });
            }
            Err(error) => {
                album.discard().await;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// What is being filled.
struct Album<'a> {
    settings: &'a Settings,
    /// Opened with the first frame, which says the format.
    shelf: Option<(Shelf, String)>,
    draft: Option<Draft>,
    frames: u64,
}

impl Album<'_> {
    /// The file that is complete with this frame, if one is.
    async fn take(&mut self, frame: Frame) -> Result<Option<PathBuf>, DriverError> {
        if self.shelf.is_none() {
            self.shelf = Some(self.open(&frame).await?);
        }
        self.check(&frame)?;
        let Some((mut shelf, format)) = self.shelf.take() else { return Ok(None) };
        let Frame { data, at, .. } = frame;
        let frames = match self.settings.keeps {
            Keeps::Frames { .. } => 1,
            Keeps::Clips { frames, .. } => frames,
        };
        let draft = self.draft.take();
        let number = self.frames + 1;
        let (shelf, draft, path) = on_disk(move || {
            let mut draft = match draft {
                Some(draft) => draft,
                None => shelf.begin(at)?,
            };
            shelf.append(&mut draft, &data)?;
            // The next frame may be as large.
            let is_full = draft.bytes() + data.len() as u64 > shelf.room();
            if number < frames && !is_full {
                return Ok((shelf, Some(draft), None));
            }
            let path = shelf.finish(draft)?;
            Ok((shelf, None, Some(path)))
        })
        .await?;
        self.shelf = Some((shelf, format));
        self.frames = if draft.is_some() { number } else { 0 };
        self.draft = draft;
        Ok(path)
    }

    fn check(&self, frame: &Frame) -> Result<(), DriverError> {
        let Some((shelf, format)) = &self.shelf else { return Ok(()) };
        if frame.format != *format {
            return Err(refused(format!("frames became {} after they were {format}", frame.format)));
        }
        let bytes = frame.data.len();
        if bytes == 0 || bytes > MAX_FRAME || bytes as u64 > shelf.room() {
            return Err(refused(format!("a frame of {bytes} bytes")));
        }
        Ok(())
    }

    async fn open(&self, first: &Frame) -> Result<(Shelf, String), DriverError> {
        let format = first.format.clone();
        check_format(&format)?;
        if let Some(wanted) = self.settings.format.as_ref().filter(|wanted| !is_same(wanted, &format)) {
            return Err(DriverError::Config(format!(
                "format is {wanted}, the driver delivers {format}, and nothing is converted here"
            )));
        }
        let (settings, ending) = (self.settings.clone(), format.clone());
        let shelf = on_disk(move || Shelf::open(&settings, &ending)).await?;
        Ok((shelf, format))
    }

    /// What is not complete goes.
    async fn discard(&mut self) {
        if let (Some((shelf, _)), Some(draft)) = (self.shelf.take(), self.draft.take()) {
            let discard = move || {
                shelf.discard(&draft);
                Ok(())
            };
            drop(on_disk(discard).await);
        }
    }
}

fn refused(what: String) -> DriverError {
    DriverError::Refused(format!("the stream gave what cannot be kept: {what}"))
}

/// Some formats have two names.
fn is_same(wanted: &str, delivered: &str) -> bool {
    let plain = |format| if format == "jpeg" { "jpg" } else { format };
    plain(wanted) == plain(delivered)
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DriverError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
    done.map_err(|error| DriverError::Refused(format!("the disk does not take it: {error}")))
}
