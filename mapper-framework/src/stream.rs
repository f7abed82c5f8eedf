//! Streams: the frames that a camera or its like gives, kept in files. A property of type STREAM is recorded when its driver opens
//! it ([`crate::Driver::open_stream`]); its value is the path of the file that was finished last. Where the driver opens nothing,
//! the property is read like any other.
//!
//! What is kept is said by the property's name, as in stock, and by its visitor's `configData`:
//!
//! | key | `saveFrame` | `saveVideo` | default |
//! |---|---|---|---|
//! | `format` | ending of the files; must be what the driver delivers | the same | what the driver delivers |
//! | `outputDir` | where they are, below `stream.root` of the mapper's configuration | the same | `<namespace>/<device>/<property>` |
//! | `frameInterval` | nanoseconds from frame to frame | the same; 0: each frame | 1 s; 0 |
//! | `frameCount` | frames until it is done | frames of a clip | no end; 250 |
//! | `videoNum` | | clips until it is done | no end |
//! | `maxFiles` | files that are kept (Skerry's) | the same | 1000 |
//! | `maxBytes` | bytes that are kept (Skerry's) | the same | 256 MiB |
//!
//! Files are named `f<time>.<format>` (RFC 3339, UTC) and appear when they are complete. The oldest give way; a clip that would
//! fill all of `maxBytes` ends early. What is counted for `frameCount` and `videoNum` is counted until the device changes, also when it
//! is lost and comes back. A frame of more than [`MAX_FRAME`] bytes is refused.
//!
//! # No ffmpeg
//!
//! Stock links ffmpeg's libraries, decodes RTSP, and encodes to whatever `format` says. Here nothing is decoded: that is megabytes
//! of C beside every driver, which few drivers need, and parsers of hostile input in the process that holds the device. A clip is its
//! frames, one after the other, so its format should be one that is read so: `mjpeg` (JPEG pictures), `h264` and `h265` (Annex B), `ts`
//! (MPEG transport stream), `ppm`. For a camera that speaks RTSP a driver starts ffmpeg as a process of its own (`ffmpeg -i rtsp://... -f
//! image2pipe -c:v mjpeg -`, arguments as a list and never through a shell) and makes frames of what it writes: a JPEG picture ends
//! with the bytes FF D9. `ffmpeg -i f....mjpeg clip.mp4` makes films of clips later, on a machine that has the power.

pub(crate) mod recorder;
pub(crate) mod settings;
mod shelf;
#[cfg(test)]
mod tests;

use futures::stream::BoxStream;

use crate::driver::DriverError;

/// Largest frame, in bytes: a picture of 4K without losses has some 16 MB.
pub const MAX_FRAME: usize = 32 << 20;

/// A picture, or a piece of a film that continues the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes.
    pub data: Vec<u8>,
    /// What they are, as the ending of a file: `jpg`, `h264`. Up to eight small letters and digits.
    pub format: String,
    /// When it was taken, Unix milliseconds.
    pub at: i64,
}

/// What a driver opens: frames, one by one. The next one is asked for when it is wanted, which is after `frameInterval`; a source that
/// does not wait for that keeps its newest frame and forgets the others. It is dropped when nobody wants it any more. An end is taken as
/// a fault: the stream is opened anew, less and less often. [`DriverError::Unreachable`] means that the device is lost.
pub type Frames = BoxStream<'static, Result<Frame, DriverError>>;
