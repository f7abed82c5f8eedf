//! What the node's upkeep is told by configuration, parsed.

use std::path::PathBuf;
use std::time::Duration;

use proto::config::edgecore::Edged;

use super::eviction::EvictionConfig;
use super::eviction::thresholds::thresholds;
use super::images::ImageConfig;
use super::logs::LogConfig;
use crate::edged::resources::Amount;

/// What is wrong, with its path in the file.
type Problem = (String, String);

const KUBELET: &str = "modules.edged.tailoredKubeletConfig";

/// Settings of all parts. Made by [`UpkeepConfig::from_file`].
#[derive(Debug, Clone)]
pub struct UpkeepConfig {
    /// `None`: a negative `containerLogMaxSize` turns rotation off, as in kubelet.
    pub logs: Option<LogConfig>,
    /// Image garbage collection.
    pub images: ImageConfig,
    /// Eviction.
    pub eviction: EvictionConfig,
    /// `minimumGCAge`: ended containers of pods that are over stay at least this long.
    pub minimum_container_age: Duration,
}

impl UpkeepConfig {
    /// Parses the file's values; all problems come at once, each with its path in the file.
    pub fn from_file(edged: &Edged, node: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let logs = logs(edged, &mut problems);
        let images = images(edged, node);
        let eviction = eviction(edged, node, &mut problems);
        let minimum_container_age = edged.minimum_gc_age.0;
        if problems.is_empty() {
            Ok(Self { logs, images, eviction, minimum_container_age })
        } else {
            Err(problems)
        }
    }
}

fn eviction(edged: &Edged, node: &str, problems: &mut Vec<Problem>) -> EvictionConfig {
    let kubelet = &edged.tailored_kubelet_config;
    let every = kubelet.volume_stats_agg_period.0;
    EvictionConfig {
        thresholds: thresholds(edged, problems),
        hold: kubelet.eviction_pressure_transition_period.0,
        max_grace: Duration::from_secs(
            u64::try_from(kubelet.eviction_max_pod_grace_period).unwrap_or_default(),
        ),
        measure_storage_every: (kubelet.local_storage_capacity_isolation && !every.is_zero())
            .then_some(every),
        root: PathBuf::from(&edged.root_directory),
        logs: PathBuf::from(&kubelet.pod_logs_dir),
        node: node.to_owned(),
    }
}

/// Whether the percentages make sense the file's own validation has looked at.
fn images(edged: &Edged, node: &str) -> ImageConfig {
    let kubelet = &edged.tailored_kubelet_config;
    let percent = |value: i32| u64::try_from(value).unwrap_or_default();
    ImageConfig {
        high_percent: percent(kubelet.image_gc_high_threshold_percent),
        low_percent: percent(kubelet.image_gc_low_threshold_percent),
        minimum_age: kubelet.image_minimum_gc_age.0,
        maximum_age: Some(kubelet.image_maximum_gc_age.0).filter(|age| !age.is_zero()),
        sandbox_image: edged.pod_sandbox_image.clone(),
        node: node.to_owned(),
    }
}

fn logs(edged: &Edged, problems: &mut Vec<Problem>) -> Option<LogConfig> {
    let kubelet = &edged.tailored_kubelet_config;
    let mut problem = |key: &str, text: String| problems.push((format!("{KUBELET}.{key}"), text));
    let max_size = match Amount::parse(&kubelet.container_log_max_size) {
        Ok(amount) => amount.value(),
        Err(error) => {
            problem("containerLogMaxSize", error.to_string());
            return None;
        }
    };
    let max_files = usize::try_from(kubelet.container_log_max_files).unwrap_or_default();
    if max_files < 2 {
        problem("containerLogMaxFiles", "must be at least 2: the log and one that was rotated".to_owned());
    }
    let every = kubelet.container_log_monitor_interval.0;
    if every < Duration::from_secs(1) {
        problem("containerLogMonitorInterval", "must be at least 1s".to_owned());
    }
    Some(LogConfig {
        root: PathBuf::from(&kubelet.pod_logs_dir),
        max_size: u64::try_from(max_size).ok()?,
        max_files,
        every,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_kubelets() {
        let UpkeepConfig { logs, images, eviction, .. } =
            UpkeepConfig::from_file(&Edged::default(), "n").unwrap();
        let logs = logs.unwrap();
        assert_eq!((images.high_percent, images.low_percent), (85, 80));
        assert_eq!((eviction.hold, eviction.max_grace), (Duration::from_secs(300), Duration::ZERO));
        assert_eq!((images.minimum_age, images.maximum_age), (Duration::from_secs(120), None));
        assert_eq!((logs.max_size, logs.max_files, logs.every), (10 << 20, 5, Duration::from_secs(10)));
    }

    #[test]
    fn rotation_can_be_turned_off() {
        let mut edged = Edged::default();
        edged.tailored_kubelet_config.container_log_max_size = "-1".to_owned();
        assert!(UpkeepConfig::from_file(&edged, "n").unwrap().logs.is_none());
    }

    #[test]
    fn all_problems_come_at_once() {
        let mut edged = Edged::default();
        edged.tailored_kubelet_config.container_log_max_files = 1;
        edged.tailored_kubelet_config.container_log_monitor_interval =
            proto::config::GoDuration::from_secs(0);
        let problems = UpkeepConfig::from_file(&edged, "n").unwrap_err();
        let keys: Vec<_> = problems.iter().map(|(path, _)| path.rsplit_once('.').unwrap().1).collect();
        assert_eq!(keys, ["containerLogMaxFiles", "containerLogMonitorInterval"]);
    }
}
