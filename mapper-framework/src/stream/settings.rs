//! What is kept of a stream, as its property says.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::device::{Device, Property};
use crate::driver::DriverError;

/// Property of stock that keeps clips; all others keep frames.
const CLIPS: &str = "saveVideo";
/// From frame to frame, where nothing is said of it: as often as values are read.
const INTERVAL: Duration = Duration::from_secs(1);
/// No frames are kept more often than this, each as a file of its own.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
/// Frames of a clip: ten seconds at 25 a second.
const CLIP: u64 = 250;
const MAX_FILES: u64 = 1000;
const MAX_BYTES: u64 = 256 << 20;
/// More files in a folder make every look at it slow.
const MOST_FILES: u64 = 100_000;
/// Longest ending of a file.
const MAX_FORMAT: usize = 8;

/// `configData` of the visitor. A driver has keys of its own beside these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    format: String,
    output_dir: String,
    frame_count: u64,
    frame_interval: u64,
    video_num: u64,
    max_files: u64,
    max_bytes: u64,
}

/// See the table in [`crate::stream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) keeps: Keeps,
    /// What the driver must deliver, where that is said.
    pub(crate) format: Option<String>,
    pub(crate) folder: PathBuf,
    pub(crate) interval: Duration,
    pub(crate) max_files: usize,
    pub(crate) max_bytes: u64,
}

/// Frames or clips, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Frames {
        /// Until it is done; without it there is no end.
        count: Option<u64>,
    },
    Clips {
        /// Frames of each.
        frames: u64,
        /// As above.
        count: Option<u64>,
    },
}

impl Settings {
    /// # Errors
    /// [`DriverError::Config`] when `outputDir` is outside `root`, or something else makes no sense.
    pub(crate) fn of(device: &Device, property: &Property, root: &Path) -> Result<Self, DriverError> {
        let wanted: Wanted = property.config().read()?;
        let given = |number: u64| (number > 0).then_some(number);
        let interval = Duration::from_nanos(wanted.frame_interval);
        let (keeps, interval) = if property.name() == CLIPS {
            let frames = given(wanted.frame_count).unwrap_or(CLIP);
            (Keeps::Clips { frames, count: given(wanted.video_num) }, interval)
        } else {
            let interval = if interval.is_zero() { INTERVAL } else { interval.max(LEAST_INTERVAL) };
            (Keeps::Frames { count: given(wanted.frame_count) }, interval)
        };
        let max_files = given(wanted.max_files).unwrap_or(MAX_FILES).min(MOST_FILES);
        let format = wanted.format.to_ascii_lowercase();
        if !format.is_empty() {
            check_format(&format)?;
        }
        Ok(Self {
            keeps,
            format: (!format.is_empty()).then_some(format),
            folder: folder(root, &wanted.output_dir, device, property)?,
            interval,
            max_files: usize::try_from(max_files).unwrap_or(usize::MAX),
            max_bytes: given(wanted.max_bytes).unwrap_or(MAX_BYTES),
        })
    }
}

/// Whether it can be the ending of a file.
///
/// # Errors
/// When it cannot.
pub(crate) fn check_format(format: &str) -> Result<(), DriverError> {
    let is_plain = format.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_plain && (1..=MAX_FORMAT).contains(&format.len()) {
        return Ok(());
    }
    let format = crate::value::short(format);
    Err(DriverError::Config(format!("{format:?} is no format: up to 8 small letters and digits")))
}

/// Who may write a Device may not write everywhere on the node: only below the root.
fn folder(root: &Path, wanted: &str, device: &Device, property: &Property) -> Result<PathBuf, DriverError> {
    let own = || Path::new(device.namespace()).join(device.name()).join(property.name());
    let wanted = if wanted.is_empty() { own() } else { PathBuf::from(wanted) };
    let path = root.join(&wanted);
    let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !is_plain || !path.starts_with(root) || path.as_os_str().as_encoded_bytes().contains(&0) {
        let (wanted, root) = (wanted.display(), root.display());
        return Err(DriverError::Config(format!(
            "outputDir {wanted} is not below {root}, which is stream.root in the mapper's configuration"
        )));
    }
    Ok(path)
}
