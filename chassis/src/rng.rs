//! Randomness, injected: seeded in tests, so that a failing run can be run again.
//!
//! For ids, jitter and names. Keys and tokens come from the TLS provider's generator (see `certs`).

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::{StdRng, SysError, SysRng};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use uuid::Uuid;

/// What Kubernetes makes name suffixes of: no vowels and no look-alikes, so that no word appears by chance
/// (k8s.io/apimachinery `util/rand`).
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A source of random values. Clones share one sequence.
#[derive(Debug, Clone)]
pub struct Rng {
    source: Arc<Mutex<StdRng>>,
}

impl Rng {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn from_os() -> Result<Self, SysError> {
        StdRng::try_from_rng(&mut SysRng).map(Self::new)
    }

    /// The same seed gives the same values in the same order.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::new(StdRng::seed_from_u64(seed))
    }

    fn new(source: StdRng) -> Self {
        Self { source: Arc::new(Mutex::new(source)) }
    }

    /// A leaf lock: nothing is called or awaited under it. A generator has no state that a panic could break.
    fn lock(&self) -> MutexGuard<'_, StdRng> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version 4 UUID (RFC 9562).
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Evenly spread over `range`; the start of an empty one.
    #[must_use]
    pub fn range(&self, range: Range<f64>) -> f64 {
        if range.start < range.end { self.lock().random_range(range) } else { range.start }
    }

    /// Evenly spread over `0..end`; 0 when `end` is 0.
    #[must_use]
    pub fn below(&self, end: usize) -> usize {
        if end == 0 { 0 } else { self.lock().random_range(0..end) }
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.lock().fill_bytes(bytes);
    }

    /// `length` characters as Kubernetes appends them to generated names.
    #[must_use]
    pub fn alphanumeric(&self, length: usize) -> String {
        (0..length).map(|_| char::from(SUFFIX_ALPHABET[self.below(SUFFIX_ALPHABET.len())])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values() {
        let draw = |seed| {
            let rng = Rng::seeded(seed);
            (rng.uuid(), rng.alphanumeric(5), rng.range(0.0..1.0).to_bits(), rng.below(1000))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn clones_share_one_sequence() {
        let rng = Rng::from_os().unwrap();
        assert_ne!(rng.clone().uuid(), rng.uuid());
    }

    #[test]
    fn values_stay_in_their_ranges() {
        let rng = Rng::seeded(1);
        for _ in 0..1000 {
            assert!((2.0..3.0).contains(&rng.range(2.0..3.0)));
            assert!(rng.below(3) < 3);
        }
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.range(5.0..5.0), 5.0);
        let suffix = rng.alphanumeric(100);
        assert!(suffix.len() == 100 && suffix.bytes().all(|byte| SUFFIX_ALPHABET.contains(&byte)));
        assert_eq!(rng.uuid().get_version_num(), 4);
    }
}
