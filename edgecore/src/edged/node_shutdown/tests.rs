use proto::config::GoDuration;
use proto::config::edgecore::ShutdownGracePeriod;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn config(all: u64, critical: u64, by_priority: &[(i32, i64)]) -> Result<ShutdownConfig, String> {
    let mut file = File::default();
    let kubelet = &mut file.tailored_kubelet_config;
    kubelet.shutdown_grace_period = GoDuration::from_secs(all);
    kubelet.shutdown_grace_period_critical_pods = GoDuration::from_secs(critical);
    kubelet.shutdown_grace_period_by_pod_priority = by_priority
        .iter()
        .map(|&(priority, seconds)| ShutdownGracePeriod { priority, shutdown_grace_period_seconds: seconds })
        .collect();
    ShutdownConfig::from_file(&file).map_err(|problems| problems[0].0.rsplit('.').next().unwrap().to_owned())
}

fn seconds(groups: &[Group]) -> Vec<(i32, u64)> {
    groups.iter().map(|group| (group.priority, group.period.as_secs())).collect()
}

#[test]
fn critical_pods_have_a_share_of_the_time() {
    assert_eq!(config(0, 0, &[]), Ok(ShutdownConfig::default()), "off");
    assert_eq!(seconds(&config(30, 10, &[]).unwrap().groups), [(0, 20), (CRITICAL, 10)]);
    assert_eq!(seconds(&config(0, 0, &[(1000, 5), (0, 10)]).unwrap().groups), [(0, 10), (1000, 5)]);
    assert_eq!(config(10, 30, &[]).unwrap_err(), "shutdownGracePeriodCriticalPods");
    assert_eq!(config(10, 0, &[(0, 1)]).unwrap_err(), "shutdownGracePeriodByPodPriority");
    assert_eq!(config(0, 0, &[(0, -1)]).unwrap_err(), "shutdownGracePeriodByPodPriority");
}

#[test]
fn where_logind_waits_for_less_each_group_has_less() {
    let config = config(30, 10, &[]).unwrap();
    assert_eq!(seconds(&config.within(SECOND * 15)), [(0, 10), (CRITICAL, 5)]);
    assert_eq!(seconds(&config.within(SECOND * 60)), [(0, 20), (CRITICAL, 10)]);
}

#[test]
fn a_pod_belongs_to_the_last_group_that_it_reaches() {
    let listed = |name: &str, priority: Option<i32>, is_over: bool| {
        let pod = json!({"metadata": {"uid": name}, "spec": {"containers": [], "priority": priority}});
        Listed { pod: Arc::new(serde_json::from_value(pod).unwrap()), is_over, status: None }
    };
    let groups = config(0, 0, &[(0, 1), (1000, 2), (100_000, 3)]).unwrap().groups;
    let pods = vec![
        listed("none", None, false),
        listed("low", Some(-5), false),
        listed("high", Some(1000), false),
        listed("highest", Some(i32::MAX), false),
        listed("over", Some(0), true),
    ];
    let name = |pod: &Listed| pod.pod.metadata.uid.clone().unwrap();
    let grouped: Vec<Vec<String>> =
        grouped(&groups, pods).iter().map(|(_, pods)| pods.iter().map(name).collect()).collect();
    assert_eq!(grouped, [vec!["none", "low"], vec!["high"], vec!["highest"]]);
}

#[test]
fn a_pod_has_its_own_grace_within_that_of_its_group() {
    let grace = |own: Option<i64>| {
        let spec = json!({"spec": {"containers": [], "terminationGracePeriodSeconds": own}});
        ending(&serde_json::from_value(spec).unwrap(), SECOND * 10).grace.unwrap().as_secs()
    };
    assert_eq!([grace(None), grace(Some(3)), grace(Some(60))], [10, 3, 10]);
}
