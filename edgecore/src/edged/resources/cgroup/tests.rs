use std::collections::BTreeMap;

use super::*;

const UID: &str = "b4c19cf8-52c6-4358-b5cd-48b78fb0f58e";
const LIMITS: PodLimits = PodLimits {
    cpu_shares: 512,
    cpu_quota: Some((100_000, 50_000)),
    memory: Some(64 << 20),
    hugepages: BTreeMap::new(),
    pids: None,
};

fn named(driver: CgroupDriver, root: &str, class: QosClass) -> String {
    PodCgroups::new(driver, root, "/nowhere").parent(class, UID)
}

#[test]
fn names_are_kubelets() {
    use CgroupDriver::{Cgroupfs, Systemd};
    assert_eq!(named(Cgroupfs, "", QosClass::Guaranteed), format!("/kubepods/pod{UID}"));
    assert_eq!(named(Cgroupfs, "/", QosClass::Burstable), format!("/kubepods/burstable/pod{UID}"));
    assert_eq!(named(Cgroupfs, "/edge", QosClass::BestEffort), format!("/edge/kubepods/besteffort/pod{UID}"));
    let slice = "podb4c19cf8_52c6_4358_b5cd_48b78fb0f58e.slice";
    assert_eq!(named(Systemd, "", QosClass::Guaranteed), format!("kubepods-{slice}"));
    assert_eq!(named(Systemd, "", QosClass::BestEffort), format!("kubepods-besteffort-{slice}"));
    assert_eq!(
        named(Systemd, "/edge.slice", QosClass::Burstable),
        format!("edge-kubepods-burstable-{slice}")
    );
}

/// Control files do not appear by themselves in a plain directory, so a hierarchy is a directory with files.
fn files(dir: &Path, names: &[&str]) {
    std::fs::create_dir_all(dir).unwrap();
    for name in names {
        std::fs::write(dir.join(name), "").unwrap();
    }
}

#[test]
fn v1_limits_where_the_controller_is() {
    let mount = tempfile::tempdir().unwrap();
    files(&mount.path().join("cpu"), &["cpu.shares"]);
    files(&mount.path().join("freezer"), &[]);
    let pod = mount.path().join(format!("cpu/kubepods/burstable/pod{UID}"));
    files(&pod, &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"]);
    let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
    cgroups.create(QosClass::Burstable, UID, &LIMITS).unwrap();
    cgroups.create(QosClass::Burstable, UID, &LIMITS).unwrap();
    assert_eq!(std::fs::read_to_string(pod.join("cpu.shares")).unwrap(), "512");
    assert_eq!(std::fs::read_to_string(pod.join("cpu.cfs_quota_us")).unwrap(), "50000");
    assert!(!mount.path().join("freezer/kubepods").exists());
}

#[test]
fn v2_limits_in_one_tree() {
    let mount = tempfile::tempdir().unwrap();
    files(mount.path(), &["cgroup.controllers", "cgroup.subtree_control"]);
    let pod = mount.path().join(format!("kubepods/pod{UID}"));
    files(&pod, &["cpu.weight", "cpu.max", "memory.max"]);
    PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path())
        .create(QosClass::Guaranteed, UID, &LIMITS)
        .unwrap();
    assert_eq!(std::fs::read_to_string(pod.join("cpu.weight")).unwrap(), "20");
    assert_eq!(std::fs::read_to_string(pod.join("cpu.max")).unwrap(), "50000 100000");
    assert_eq!(std::fs::read_to_string(pod.join("memory.max")).unwrap(), "67108864");
}

/// "set the limit for each page size that is not asked for to 0": a pod must not take what another one has asked for.
#[test]
fn huge_pages_are_limited_where_the_controller_is() {
    let mount = tempfile::tempdir().unwrap();
    let limits = PodLimits { hugepages: [("2MB".to_owned(), 4 << 20)].into(), ..LIMITS };
    files(&mount.path().join("hugetlb"), &["hugetlb.2MB.limit_in_bytes"]);
    let v1 = mount.path().join(format!("hugetlb/kubepods/pod{UID}"));
    files(&v1, &["hugetlb.2MB.limit_in_bytes", "hugetlb.1GB.limit_in_bytes", "hugetlb.2MB.usage_in_bytes"]);
    let create = |limits: &PodLimits| {
        let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
        cgroups.create(QosClass::Guaranteed, UID, limits).unwrap();
    };
    create(&limits);
    let read = |group: &Path, file: &str| std::fs::read_to_string(group.join(file)).unwrap();
    assert_eq!(read(&v1, "hugetlb.2MB.limit_in_bytes"), "4194304");
    assert_eq!(read(&v1, "hugetlb.1GB.limit_in_bytes"), "0");
    assert_eq!(read(&v1, "hugetlb.2MB.usage_in_bytes"), "");
    files(mount.path(), &["cgroup.controllers"]);
    let v2 = mount.path().join(format!("kubepods/pod{UID}"));
    files(&v2, &["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "hugetlb.1GB.max"]);
    create(&limits);
    assert_eq!((read(&v2, "hugetlb.2MB.max"), read(&v2, "hugetlb.1GB.max")), ("4194304".into(), "0".into()));
    assert_eq!(read(&v2, "hugetlb.2MB.rsvd.max"), "");
}

#[test]
fn processes_are_limited_where_the_nodes_owner_says_so() {
    let mount = tempfile::tempdir().unwrap();
    std::fs::create_dir(mount.path().join("pids")).unwrap();
    let v1 = mount.path().join(format!("pids/kubepods/pod{UID}"));
    let create = |pids| {
        let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
        cgroups.create(QosClass::Guaranteed, UID, &PodLimits { pids, ..LIMITS }).unwrap();
    };
    create(None);
    assert!(!v1.exists(), "it is the runtime's affair");
    files(&v1, &["pids.max"]);
    create(Some(64));
    let read = |group: &Path| std::fs::read_to_string(group.join("pids.max")).unwrap();
    assert_eq!(read(&v1), "64");
    files(mount.path(), &["cgroup.controllers"]);
    let v2 = mount.path().join(format!("kubepods/pod{UID}"));
    files(&v2, &["pids.max"]);
    create(Some(64));
    assert_eq!(read(&v2), "64");
    create(None);
    assert_eq!(read(&v2), "max");
}

#[test]
fn all_pods_together_are_limited_and_those_of_a_class_weighed() {
    let limits = TreeLimits { cpu_shares: Some(1024), memory: Some(64 << 20), burstable_shares: 512 };
    let unlimited = TreeLimits { cpu_shares: None, memory: None, ..limits };
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let mount = tempfile::tempdir().unwrap();
    let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "/edge", mount.path());
    // There is no pod yet.
    cgroups.limit_all(|| limits).unwrap();
    assert_eq!(mount.path().read_dir().unwrap().count(), 0);
    let (cpu, memory) = (mount.path().join("cpu/edge/kubepods"), mount.path().join("memory/edge/kubepods"));
    files(&cpu, &["cpu.shares"]);
    files(&cpu.join("burstable"), &["cpu.shares"]);
    files(&memory, &["memory.limit_in_bytes"]);
    cgroups.limit_all(|| limits).unwrap();
    let is = (read(cpu.join("cpu.shares")), read(cpu.join("burstable/cpu.shares")));
    assert_eq!(is, ("1024".to_owned(), "512".to_owned()));
    assert_eq!(read(memory.join("memory.limit_in_bytes")), "67108864");
    cgroups.limit_all(|| unlimited).unwrap();
    assert_eq!(read(memory.join("memory.limit_in_bytes")), "-1");
    files(mount.path(), &["cgroup.controllers"]);
    let all = mount.path().join("edge/kubepods");
    files(&all, &["cpu.weight", "memory.max"]);
    files(&all.join("burstable"), &["cpu.weight"]);
    cgroups.limit_all(|| limits).unwrap();
    let is =
        (read(all.join("cpu.weight")), read(all.join("burstable/cpu.weight")), read(all.join("memory.max")));
    assert_eq!(is, ("39".to_owned(), "20".to_owned(), "67108864".to_owned()));
}

#[test]
fn removal_takes_what_is_inside_and_spares_the_neighbours() {
    let mount = tempfile::tempdir().unwrap();
    let pods = mount.path().join("memory/kubepods/besteffort");
    std::fs::create_dir_all(pods.join(format!("pod{UID}/a-container/nested"))).unwrap();
    std::fs::create_dir_all(pods.join("podother")).unwrap();
    let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
    cgroups.remove(QosClass::BestEffort, UID).unwrap();
    cgroups.remove(QosClass::BestEffort, UID).unwrap();
    assert!(!pods.join(format!("pod{UID}")).exists());
    assert!(pods.join("podother").exists());
}

#[test]
fn weights_span_the_range() {
    assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
}
