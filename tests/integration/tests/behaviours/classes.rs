//! RuntimeClasses: what else may run a pod; and AppArmor, which not every machine has.

use std::path::Path;

use super::row::{Row, Scene, pages};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = classes();
    rows.extend(apparmor());
    rows
}

fn class(handler: &str, further: &str) -> String {
    format!("{{kind: RuntimeClass, metadata: {{name: '@namespace'}}, handler: {handler}{further}}}")
}

fn classes() -> Vec<Row> {
    let row = |name, page, class: &str| {
        Row::new(name, page)
            .object(class)
            .spec("{runtimeClassName: '@namespace', containers: [{name: main, args: [pause]}]}")
    };
    vec![
        row("a class may have another name than its handler", pages::RUNTIME_CLASSES, &class("runc", ""))
            .shows("{phase: Running, containerStatuses: [{name: main, ready: true}]}")
            .holds("runc runs it", |scene| runs_with(scene, None)),
        of_crun(row("another handler is another runtime: crun", pages::RUNTIME_CLASSES, &class("crun", "")), |row| {
            row.shows("{phase: Running, containerStatuses: [{name: main, ready: true}]}")
                .holds("crun runs it", |scene| runs_with(scene, Some("crun")))
                .delete(None)
                .gone()
        }),
        of_crun(
            row("a pod of crun ends as any other", pages::RUNTIME_CLASSES, &class("crun", ""))
                .spec("{runtimeClassName: '@namespace', restartPolicy: Never, containers: [{name: main, args: [say, bye, then, exit, '3']}]}"),
            |row| row.shows("{phase: Failed}").ended("Error", 3).last("main", "bye"),
        ),
        row("a handler that the node does not have", pages::RUNTIME_CLASSES, &class("nothing", ""))
            .event("FailedCreatePodSandBox", "nothing")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        row(
            "what the runtime needs for itself is added to the pod",
            pages::OVERHEAD,
            &class("runc", ", overhead: {podFixed: {cpu: 50m, memory: 16Mi}}"),
        )
        .spec(
            "{runtimeClassName: '@namespace', containers: [{name: main, args: [pause], resources: {limits: {cpu: 100m, memory: 32Mi}}}]}",
        )
        .is("{spec: {overhead: {cpu: 50m, memory: 16Mi}}}")
        .shows("{phase: Running, qosClass: Guaranteed}")
        .holds("the pod's cgroup has room for both", |scene| {
            let groups = super::resources::groups_of(scene)?;
            let limits = ["memory.limit_in_bytes", "memory.max"];
            let found = groups.iter().flat_map(|group| limits.map(|file| group.join(file)));
            let found: Vec<String> = found.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
            anyhow::ensure!(found.iter().any(|limit| limit.trim() == "50331648"), "{found:?}");
            Ok(())
        }),
        row(
            "what the runtime needs for itself has to fit, too: OutOfcpu",
            pages::OVERHEAD,
            &class("runc", ", overhead: {podFixed: {cpu: '1000'}}"),
        )
        .spec(
            "{nodeName: edge-1, runtimeClassName: '@namespace',
              containers: [{name: main, args: [pause], resources: {requests: {cpu: 10m}}}]}",
        )
        .is("{spec: {overhead: {cpu: '~1'}}}")
        .shows("{phase: Failed, reason: OutOfcpu}")
        .event("OutOfcpu", "cpu"),
        row(
            "a class may say which nodes it is for",
            pages::RUNTIME_CLASSES,
            &class("runc", ", scheduling: {nodeSelector: {kubernetes.io/os: linux}}"),
        )
        .is("{spec: {nodeSelector: {kubernetes.io/os: linux}}}")
        .shows("{phase: Running}"),
    ]
}

/// What must be seen of a pod that crun runs. It refuses to work where cgroups of version 2 have controllers beside
/// those of version 1 (<https://github.com/containers/crun>), and then the pod has to say so.
fn of_crun(row: Row, runs: fn(Row) -> Row) -> Row {
    let mixed = std::fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers");
    if mixed.is_ok_and(|controllers| !controllers.trim().is_empty()) {
        return row
            .event("FailedCreatePodSandBox", "cgroups in hybrid mode not supported")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}");
    }
    runs(row)
}

/// Where programs like runc keep what they know of a container, unless containerd is told otherwise.
const KEPT: &str = "/run/containerd/runc/k8s.io";

/// The program that containerd was told to run the pod's containers with, and that did; `None`: its usual one.
fn runs_with(scene: &Scene<'_>, program: Option<&str>) -> anyhow::Result<()> {
    let status = super::run::container_status(scene.pod, "main");
    let id = status.and_then(|status| status.container_id.clone()).unwrap_or_default();
    let id = id.rsplit('/').next().unwrap_or_default();
    let output = scene.site.ctr()?.args(["containers", "info", id]).output()?;
    let info: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let options = info["Runtime"]["Options"].to_string();
    let fits = match program {
        Some(program) => options.contains(program),
        None => !options.contains("crun"),
    };
    anyhow::ensure!(fits, "{}", info["Runtime"]);
    // Each has its own name for it.
    let file = if program == Some("crun") { "status" } else { "state.json" };
    let kept = Path::new(KEPT).join(id);
    let found: Vec<_> = std::fs::read_dir(&kept)?.flatten().map(|entry| entry.file_name()).collect();
    anyhow::ensure!(found.iter().any(|name| name == file), "{}: {found:?}", kept.display());
    Ok(())
}

/// A container may ask for a profile; a node that cannot keep the promise refuses the pod.
fn apparmor() -> Vec<Row> {
    let enabled = std::fs::read_to_string(Path::new("/sys/module/apparmor/parameters/enabled"));
    let has_it = enabled.is_ok_and(|text| text.trim() == "Y");
    let row = |name, profile: &str| {
        Row::new(name, pages::APPARMOR).spec(&format!(
            "{{containers: [{{name: main, args: [pause], securityContext: {{appArmorProfile: {profile}}}}}]}}"
        ))
    };
    let asked = |row: Row| {
        if has_it {
            return row.shows("{phase: Running}");
        }
        row.shows("{phase: Failed, reason: AppArmor, message: '~AppArmor is not enabled on the host'}")
            .event("AppArmor", "AppArmor is not enabled on the host")
    };
    let unknown =
        row("an AppArmor profile that is not loaded", "{type: Localhost, localhostProfile: skerry-none}");
    vec![
        asked(row("the runtime's own AppArmor profile", "{type: RuntimeDefault}")),
        row("no AppArmor profile is wanted, and there may be none", "{type: Unconfined}")
            .shows("{phase: Running}"),
        if has_it {
            unknown.showed("{containerStatuses: [{name: main, state: {waiting: {reason: '~Error', message: ~skerry-none}}}]}")
        } else {
            unknown
                .shows("{phase: Failed, reason: AppArmor, message: '~AppArmor is not enabled on the host'}")
        },
    ]
}
