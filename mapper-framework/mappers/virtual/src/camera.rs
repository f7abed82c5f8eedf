//! A simulated camera. Its pictures are PPM (<https://netpbm.sourceforge.net/doc/ppm.html>): no encoder is needed for them, and
//! several in one file are a film that ffmpeg and ImageMagick read.

use std::time::Duration;

use chassis::clock::Clock;
use futures::StreamExt as _;
use mapper_framework::{DriverError, Frame, Frames};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

/// Largest width and height. A picture has three times their product as bytes.
const MAX_SIDE: usize = 1920;
/// The ball crosses the picture in this many pictures.
const CROSSING: usize = 50;

/// `configData` of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Camera {
    width: usize,
    height: usize,
    fps: f64,
}

impl Default for Camera {
    fn default() -> Self {
        Self { width: 160, height: 120, fps: 5.0 }
    }
}

impl Camera {
    /// Pictures, so many a second and no faster.
    ///
    /// # Errors
    /// When they would be too large, or too many.
    pub(crate) fn frames(self) -> Result<Frames, DriverError> {
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&self.width) || !sides.contains(&self.height) {
            return Err(DriverError::Config(format!("width and height are from 1 to {MAX_SIDE}")));
        }
        if !(0.01..=100.0).contains(&self.fps) {
            return Err(DriverError::Config("fps is from 0.01 to 100".to_owned()));
        }
        let (every, clock) = (Duration::from_secs_f64(1.0 / self.fps), Clock::system());
        let frames = futures::stream::unfold((0, Instant::now()), move |(number, due)| {
            let clock = clock.clone();
            async move {
                sleep_until(due).await;
                let frame =
                    Frame { data: self.picture(number), format: "ppm".to_owned(), at: clock.now_ms() };
                Some((Ok(frame), (number + 1, Instant::now() + every)))
            }
        });
        Ok(frames.boxed())
    }

    /// The sky, brighter towards the ground, and a ball on its way to the right.
    fn picture(self, number: usize) -> Vec<u8> {
        let Self { width, height, .. } = self;
        let radius = (height / 8).max(1);
        let (x0, y0) = (number % CROSSING * width / CROSSING, height - radius);
        let mut picture = format!("P6\n{width} {height}\n255\n").into_bytes();
        for y in 0..height {
            let light = u8::try_from(y * 255 / height).unwrap_or(u8::MAX);
            for x in 0..width {
                let (dx, dy) = (x.abs_diff(x0), y.abs_diff(y0));
                let is_ball = dx * dx + dy * dy <= radius * radius;
                picture.extend(if is_ball { [220, 40, 40] } else { [light / 2, light, 255] });
            }
        }
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pictures_are_as_large_as_they_should_be_come_as_often_and_differ() {
        let camera = Camera { width: 100, height: 16, fps: 4.0 };
        let mut frames = camera.frames().unwrap();
        let start = Instant::now();
        let first = frames.next().await.unwrap().unwrap();
        let second = frames.next().await.unwrap().unwrap();
        assert_eq!(Instant::now() - start, Duration::from_millis(250));
        assert!(first.data.starts_with(b"P6\n100 16\n255\n"));
        assert_eq!(first.data.len(), 14 + 100 * 16 * 3);
        assert_ne!(first.data, second.data);
        for wrong in [
            Camera { width: 0, ..camera },
            Camera { height: 4000, ..camera },
            Camera { fps: 0.0, ..camera },
            Camera { fps: f64::NAN, ..camera },
        ] {
            assert!(wrong.frames().is_err(), "{wrong:?}");
        }
    }
}
