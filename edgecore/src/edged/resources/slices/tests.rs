//! Against a systemd that is the test, at the socket where it listens itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chassis::task::{self, AbortOnDrop};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::edged::dbus::testing::{self, Called};
use crate::edged::resources::QosClass;
use crate::edged::resources::cgroup::{CgroupDriver, PodCgroups};

const UID: &str = "b4c19cf8-52c6";
const SLICE: &str = "kubepods-burstable-podb4c19cf8_52c6.slice";

/// What was asked of it: the method, and the texts in its body.
type Asked = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

struct Systemd {
    folder: TempDir,
    asked: Asked,
    _running: AbortOnDrop<()>,
}

impl Systemd {
    /// One that answers calls of these methods with these errors.
    fn start(errors: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("private")).unwrap();
        let (asked, errors) = (Asked::default(), errors.iter().copied().collect());
        let serving = serve(listener, asked.clone(), errors);
        Self { folder, asked, _running: task::spawn(tracing::Span::none(), serving) }
    }

    fn slices(&self) -> Slices {
        Slices::at(self.folder.path().join("no-bus"), self.folder.path().join("private"))
    }

    fn methods(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().map(|(method, _)| method.clone()).filter(|method| method != "Subscribe").collect()
    }

    /// Whether a call of `method` had this text in it.
    fn was_told(&self, method: &str, text: &str) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |body: &[u8]| body.windows(text.len()).any(|part| part == text.as_bytes());
        asked.iter().any(|(called, body)| called == method && has(body))
    }
}

async fn serve(listener: UnixListener, asked: Asked, errors: BTreeMap<&'static str, &'static str>) {
    while let Ok((stream, _)) = listener.accept().await {
        // A connection for each change, one after the other.
        attend(stream, &asked, &errors).await.ok();
    }
}

async fn attend(mut stream: UnixStream, asked: &Asked, errors: &BTreeMap<&str, &str>) -> io::Result<()> {
    let mut read = Vec::new();
    while !read.ends_with(b"BEGIN\r\n") {
        read.push(stream.read_u8().await?);
    }
    stream.write_all(b"OK 0123\r\nAGREE_UNIX_FD\r\n").await?;
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 1024];
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&chunk[..length]);
        while let Some(Called { serial, method, body }) = testing::take(&mut bytes) {
            asked.lock().unwrap_or_else(PoisonError::into_inner).push((method.clone(), body));
            let answer = match errors.get(method.as_str()) {
                Some(error) => testing::error(serial, error),
                None if ["StartTransientUnit", "StopUnit"].contains(&method.as_str()) => {
                    // That of another job, the answer, and that of this one.
                    let done = |job: &str| testing::job_removed(MANAGER, job, "x.slice", "done");
                    [done("/job/6"), testing::answer(serial, "/job/7"), done("/job/7")].concat()
                }
                None => testing::answer(serial, ""),
            };
            stream.write_all(&answer).await?;
        }
    }
}

fn limits() -> PodLimits {
    PodLimits {
        cpu_shares: 512,
        cpu_quota: Some((100_000, 50_500)),
        memory: Some(64 << 20),
        hugepages: BTreeMap::new(),
        pids: None,
    }
}

#[test]
fn limits_are_properties() {
    let all = of_pod(&limits(), true);
    let expected = [
        ("CPUWeight", 20),
        // 50.5 % of a processor is 51 %: a container that may have all of it must be able to.
        ("CPUQuotaPerSecUSec", 510_000),
        ("CPUQuotaPeriodUSec", 100_000),
        ("MemoryMax", 64 << 20),
        ("TasksMax", u64::MAX),
    ];
    assert_eq!(all, expected.map(|(name, value)| number(name, value)));
    let v1 = of_pod(&PodLimits { cpu_quota: None, memory: None, pids: Some(9), ..limits() }, false);
    let expected = [
        ("CPUShares", 512),
        ("CPUQuotaPerSecUSec", u64::MAX),
        ("CPUQuotaPeriodUSec", 100_000),
        ("MemoryLimit", u64::MAX),
        ("TasksMax", 9),
    ];
    assert_eq!(v1, expected.map(|(name, value)| number(name, value)));
}

#[tokio::test]
async fn a_slice_is_made_with_its_limits_and_stopped() {
    let systemd = Systemd::start(&[]);
    let slices = systemd.slices();
    slices.start(SLICE, of_pod(&limits(), true)).await.unwrap();
    slices.stop(SLICE).await.unwrap();
    assert_eq!(systemd.methods(), ["StartTransientUnit", "StopUnit"]);
    assert!(
        systemd.was_told("StartTransientUnit", SLICE) && systemd.was_told("StartTransientUnit", "MemoryMax")
    );
}

#[tokio::test]
async fn a_slice_that_is_there_gets_its_limits_anew() {
    let systemd = Systemd::start(&[
        ("StartTransientUnit", "org.freedesktop.systemd1.UnitExists"),
        ("StopUnit", "org.freedesktop.systemd1.NoSuchUnit"),
    ]);
    let slices = systemd.slices();
    slices.start(SLICE, of_pod(&limits(), true)).await.unwrap();
    assert_eq!(systemd.methods(), ["StartTransientUnit", "SetUnitProperties"]);
    assert!(systemd.was_told("SetUnitProperties", SLICE));
    slices.stop(SLICE).await.unwrap();
}

#[tokio::test]
async fn what_systemd_refuses_and_a_missing_systemd_are_told() {
    let systemd = Systemd::start(&[("StartTransientUnit", "org.freedesktop.DBus.Error.AccessDenied")]);
    let error = systemd.slices().start(SLICE, Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    let nowhere = Slices::at("/nowhere/bus", "/nowhere/private");
    let error = nowhere.start(SLICE, Vec::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/bus: No such file"), "{error}");
}

/// As the pod's worker does it: where it may block.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_systemd_driver_a_pods_cgroup_is_such_a_slice() {
    let systemd = Systemd::start(&[]);
    let mount = tempfile::tempdir().unwrap();
    std::fs::write(mount.path().join("cgroup.controllers"), "").unwrap();
    let group = mount.path().join("kubepods.slice/kubepods-burstable.slice").join(SLICE);
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("hugetlb.2MB.max"), "").unwrap();
    let cgroups = PodCgroups::new(CgroupDriver::Systemd, "", mount.path()).with_slices(systemd.slices());
    let tree = TreeLimits { cpu_shares: Some(1024), memory: Some(1 << 30), burstable_shares: 512 };
    let work = move || {
        cgroups.create(QosClass::Burstable, UID, &limits()).unwrap();
        for _ in 0..2 {
            cgroups.limit_all(|| tree).unwrap();
        }
        for class in [QosClass::Guaranteed, QosClass::Burstable, QosClass::BestEffort] {
            cgroups.remove(class, UID).unwrap();
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    // The two above the pod's are set once, and only the class that it is of has something to stop.
    let expected = ["StartTransientUnit", "SetUnitProperties", "SetUnitProperties", "StopUnit"];
    assert_eq!(systemd.methods(), expected);
    assert!(systemd.was_told("SetUnitProperties", "kubepods.slice"));
    assert!(systemd.was_told("SetUnitProperties", "kubepods-burstable.slice"));
    assert_eq!(std::fs::read_to_string(group.join("hugetlb.2MB.max")).unwrap(), "0");
}

/// `cargo test -p edgecore --lib -- --ignored a_real_systemd`, as root.
#[tokio::test]
#[ignore = "needs a machine that systemd has booted"]
async fn a_real_systemd_makes_limits_and_stops_a_slice() {
    const SLICE: &str = "skerrytest-pod1.slice";
    let shown = || {
        let mut show = std::process::Command::new("systemctl");
        show.args(["show", SLICE, "-p", "ActiveState,MemoryMax,CPUQuotaPerSecUSec,TasksMax"]);
        String::from_utf8(show.output().unwrap().stdout).unwrap()
    };
    let slices = Slices::default();
    let limits = PodLimits { pids: Some(99), ..limits() };
    slices.start(SLICE, of_pod(&limits, true)).await.unwrap();
    let first = shown();
    for part in ["ActiveState=active", "MemoryMax=67108864", "CPUQuotaPerSecUSec=510ms", "TasksMax=99"] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let less = PodLimits { memory: Some(32 << 20), ..limits };
    slices.start(SLICE, of_pod(&less, true)).await.unwrap();
    assert!(shown().contains("MemoryMax=33554432"), "{}", shown());
    slices
        .set("skerrytest.slice", of_all(&TreeLimits { memory: None, ..TreeLimits::default() }, true))
        .await
        .unwrap();
    for _ in 0..2 {
        slices.stop(SLICE).await.unwrap();
        assert!(shown().contains("ActiveState=inactive"), "{}", shown());
    }
}
