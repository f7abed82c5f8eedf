//! Which images may go, and in which order. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::edged::image::ImageReference;
use crate::edged::runtime::Image;

/// What is remembered of the images on this node, by id. As large as their number.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    images: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Instant,
    /// When a pod here needed it; `None`: not since edged was started.
    used: Option<Instant>,
}

/// Why images are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Room is needed: so many bytes.
    Free(u64),
    /// `imageMaximumGCAge`: what nobody has used for this long.
    Unused(Duration),
}

// === impl Memory ===

impl Memory {
    /// Takes note of the images that there are, and of those that are used.
    pub(super) fn observe(&mut self, images: &[Image], used: &BTreeSet<String>, now: Instant) {
        self.images.retain(|id, _| images.iter().any(|image| image.id == *id));
        for image in images {
            let seen = self.images.entry(image.id.clone()).or_insert(Seen { first: now, used: None });
            if used.contains(&image.id) {
                seen.used = Some(now);
            }
        }
    }

    /// The images that may go, in the order in which they should: the one that has not been used for longest first.
    /// An image is given `minimum_age` in which a pod may come for it: it may have been pulled or imported for one.
    pub(super) fn candidates<'a>(
        &self,
        images: &'a [Image],
        used: &BTreeSet<String>,
        goal: Goal,
        minimum_age: Duration,
        now: Instant,
    ) -> Vec<&'a Image> {
        let mut found: Vec<(Instant, Instant, &Image)> = Vec::new();
        for image in images.iter().filter(|image| !image.pinned && !used.contains(&image.id)) {
            let Some(seen) = self.images.get(&image.id) else { continue };
            let last = seen.used.unwrap_or(seen.first);
            let is_old = now.saturating_duration_since(seen.first) >= minimum_age;
            let is_wanted = match goal {
                Goal::Free(_) => true,
                Goal::Unused(age) => now.saturating_duration_since(last) > age,
            };
            if is_old && is_wanted {
                found.push((last, seen.first, image));
            }
        }
        found.sort_by(|a, b| (a.0, a.1, &a.2.id).cmp(&(b.0, b.1, &b.2.id)));
        found.into_iter().map(|(_, _, image)| image).collect()
    }
}

/// Every image that a pod names, whatever has become of its containers: the next one needs it, and there may be no
/// network to fetch it again.
pub(super) fn named_by(pod: &Pod) -> impl Iterator<Item = &str> {
    let spec = pod.spec.as_ref();
    let containers = spec.into_iter().flat_map(|spec| {
        spec.init_containers.iter().flatten().chain(&spec.containers).filter_map(|one| one.image.as_deref())
    });
    let ephemeral = spec
        .into_iter()
        .flat_map(|spec| spec.ephemeral_containers.iter().flatten().filter_map(|one| one.image.as_deref()));
    let volumes = spec.into_iter().flat_map(|spec| {
        let sources = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref());
        sources.filter_map(|source| source.reference.as_deref())
    });
    containers.chain(ephemeral).chain(volumes).filter(|name| !name.is_empty())
}

/// The image that is known under `name`: by its id, one of its tags or one of its digests.
pub(super) fn find<'a>(images: &'a [Image], name: &str) -> Option<&'a Image> {
    let wanted: Option<ImageReference> = name.parse().ok();
    let is_it = |known: &String| {
        known == name || (wanted.is_some() && known.parse::<ImageReference>().ok() == wanted)
    };
    images.iter().find(|image| image.id == name || image.tags.iter().chain(&image.digests).any(is_it))
}

/// Bytes to be freed of a file system that is fuller than `high` percent, so that it is at `low`. `None`: it is not.
pub(super) fn excess(capacity: u64, available: u64, high: u64, low: u64) -> Option<u64> {
    let (capacity, available) = (u128::from(capacity), u128::from(available.min(capacity)));
    let used = 100 - (available * 100).checked_div(capacity)?;
    let wanted = capacity * u128::from(100 - low.min(100)) / 100;
    let excess = u64::try_from(wanted.saturating_sub(available)).unwrap_or(u64::MAX);
    (used >= u128::from(high) && excess > 0).then_some(excess)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn image(id: &str) -> Image {
        Image {
            id: id.to_owned(),
            tags: vec![format!("docker.io/library/{id}:1")],
            size: 10,
            ..Image::default()
        }
    }

    fn ids(images: Vec<&Image>) -> Vec<&str> {
        images.into_iter().map(|image| image.id.as_str()).collect()
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let images = [image("app")];
        // The last is its id.
        for name in ["app:1", "docker.io/library/app:1", "library/app:1", "app"] {
            assert!(find(&images, name).is_some(), "{name}");
        }
        for name in ["app:2", "app:latest", "other/app:1", ""] {
            assert!(find(&images, name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_young_stay() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        let images = ["a", "b", "c", "d"].map(image);
        let used = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        memory.observe(&images[..3], &used(&["a", "b"]), start);
        memory.observe(&images[..3], &used(&["a"]), start + MINUTE);
        memory.observe(&images, &used(&[]), start + 2 * MINUTE);
        let candidates = |now| ids(memory.candidates(&images, &used(&[]), Goal::Free(1), 2 * MINUTE, now));
        assert_eq!(candidates(start + 2 * MINUTE), ["b", "c", "a"]);
        assert_eq!(candidates(start + 4 * MINUTE), ["b", "c", "a", "d"]);
        let old =
            memory.candidates(&images, &used(&["c"]), Goal::Unused(3 * MINUTE), MINUTE, start + 4 * MINUTE);
        assert_eq!(ids(old), ["b"]);
    }

    #[test]
    fn thresholds_are_those_of_the_documentation() {
        assert_eq!(excess(1000, 160, 85, 80), None);
        assert_eq!(excess(1000, 150, 85, 80), Some(50));
        assert_eq!(excess(0, 0, 85, 80), None, "a disk of no size is no full disk");
        assert_eq!(excess(u64::MAX, 0, 85, 80), Some(u64::MAX / 5));
    }

    proptest! {
        #[test]
        fn what_is_used_or_pinned_or_young_is_never_a_candidate(
            what in proptest::collection::vec((0u64..600, any::<bool>(), any::<bool>()), 0..20),
            unused_for in proptest::option::of(0u64..600),
        ) {
            let (start, mut memory) = (Instant::now(), Memory::default());
            let mut images = Vec::new();
            let mut used = BTreeSet::new();
            for (index, (seen, is_used, is_pinned)) in what.iter().enumerate() {
                let mut one = image(&format!("i{index}"));
                one.pinned = *is_pinned;
                images.push(one);
                if *is_used { used.insert(format!("i{index}")); }
                let at = start + Duration::from_secs(*seen);
                // Observed one by one, so that each has an age of its own.
                memory.images.insert(format!("i{index}"), Seen { first: at, used: None });
            }
            let now = start + Duration::from_secs(600);
            let goal = unused_for.map_or(Goal::Free(1), |age| Goal::Unused(Duration::from_secs(age)));
            let found = memory.candidates(&images, &used, goal, 2 * MINUTE, now);
            for image in &found {
                let index: usize = image.id[1..].parse().unwrap();
                let (seen, is_used, is_pinned) = what[index];
                prop_assert!(!is_used && !is_pinned && seen <= 480);
            }
            let ages: Vec<_> = found.iter().map(|image| memory.images[&image.id].first).collect();
            prop_assert!(ages.is_sorted());
        }

        #[test]
        fn freeing_the_excess_is_enough(capacity in 1u64.., left in 0u64..=100, low in 0u64..85) {
            let available = u64::try_from(u128::from(capacity) * u128::from(left) / 100).unwrap();
            if let Some(excess) = excess(capacity, available, 85, low) {
                let used = 100 - u128::from(available + excess) * 100 / u128::from(capacity);
                prop_assert!(used <= u128::from(low) + 1, "{used}");
                // Rounded to whole percents, as the threshold is.
                prop_assert!(left <= 16);
            } else {
                prop_assert!(left > 14 || capacity < 100);
            }
        }
    }
}
