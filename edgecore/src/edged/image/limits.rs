//! How fast images may be pulled: `serializeImagePulls`, `maxParallelImagePulls`, `registryPullQPS` and `registryBurst`
//! (<https://kubernetes.io/docs/concepts/containers/images/#serial-and-parallel-image-pulls>).

use std::sync::{Mutex, PoisonError};

use proto::config::edgecore::KubeletConfig;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// As configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullLimits {
    /// Pulls at a time; `None`: as many as are asked for.
    pub at_once: Option<usize>,
    /// Pulls begun per second in the long run; 0: no limit.
    pub per_second: u32,
    /// Pulls that may begin at once after a time without any.
    pub burst: u32,
}

/// Who may pull, and when.
#[derive(Debug)]
pub(super) struct Pace {
    limits: PullLimits,
    /// A permit is the right to pull.
    turns: Semaphore,
    bucket: Mutex<Bucket>,
}

/// A bucket of rights to begin, which is filled as time goes by.
#[derive(Debug)]
struct Bucket {
    rights: f64,
    filled: Instant,
}

impl Default for PullLimits {
    /// One after the other.
    fn default() -> Self {
        Self { at_once: Some(1), per_second: 0, burst: 0 }
    }
}

impl PullLimits {
    /// From the file, which has been validated.
    pub fn from_file(kubelet: &KubeletConfig) -> Self {
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        let at_once = match (kubelet.serialize_image_pulls, kubelet.max_parallel_image_pulls) {
            (true, _) => Some(1),
            (false, most) => most.and_then(|most| usize::try_from(most).ok()),
        };
        Self { at_once, per_second: count(kubelet.registry_pull_qps), burst: count(kubelet.registry_burst) }
    }
}

impl Pace {
    pub(super) fn new(limits: PullLimits) -> Self {
        let turns = limits.at_once.unwrap_or(Semaphore::MAX_PERMITS).clamp(1, Semaphore::MAX_PERMITS);
        let bucket = Bucket { rights: f64::from(limits.burst), filled: Instant::now() };
        Self { limits, turns: Semaphore::new(turns), bucket: Mutex::new(bucket) }
    }

    /// Waits for its turn; the permit is the right to pull.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.turns.acquire().await.ok()
    }

    /// Whether a pull may begin now. Kubelet does not wait here either: the container backs off.
    pub(super) fn may_begin(&self) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        self.limits.per_second == 0 || bucket.take(&self.limits, Instant::now())
    }
}

impl Bucket {
    fn take(&mut self, limits: &PullLimits, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.rights = passed.mul_add(f64::from(limits.per_second), self.rights).min(f64::from(limits.burst));
        self.filled = now;
        let may = self.rights >= 1.0;
        if may {
            self.rights -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_so_many_per_second() {
        let pace = Pace::new(PullLimits { at_once: None, per_second: 2, burst: 3 });
        let now = |pace: &Pace| (0..10).filter(|_| pace.may_begin()).count();
        assert_eq!(now(&pace), 3);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(now(&pace), 1);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(now(&pace), 3, "no more than the burst is saved up");
        let free = Pace::new(PullLimits { at_once: None, per_second: 0, burst: 0 });
        assert_eq!(now(&free), 10);
    }

    #[test]
    fn the_file_says_how_many_at_once() {
        let mut kubelet = KubeletConfig::default();
        assert_eq!(
            PullLimits::from_file(&kubelet),
            PullLimits { at_once: Some(1), per_second: 5, burst: 10 }
        );
        kubelet.serialize_image_pulls = false;
        assert_eq!(PullLimits::from_file(&kubelet).at_once, None);
        kubelet.max_parallel_image_pulls = Some(3);
        assert_eq!(PullLimits::from_file(&kubelet).at_once, Some(3));
    }
}
