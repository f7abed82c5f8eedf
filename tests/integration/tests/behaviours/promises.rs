//! What not every runtime can do: where it cannot, a pod that asks for it says so, and never runs with less than it has asked for.

use std::process::Command;

use super::further_images::NAMED;
use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = users();
    rows.extend(groups());
    rows.extend(mounts());
    rows
}

/// containerd can do all this since 2.0 (<https://github.com/containerd/containerd/blob/main/docs/containerd-2.0.md>).
fn can() -> bool {
    let output = Command::new("containerd").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = text.split_whitespace().nth(2).unwrap_or_default().trim_start_matches('v');
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 2)
}

fn users() -> Vec<Row> {
    let row = |name, further: &str| {
        Row::new(name, pages::USER_NAMESPACES)
            .spec(&format!("{{hostUsers: false, containers: [{{name: main, args: [pause]}}]{further}}}"))
    };
    let asked = row("users of its own: root in the pod is nobody on the node", "");
    let asked = if can() {
        asked.shows("{phase: Running}").holds("another user runs it", |scene| {
            let id = super::run::container_status(scene.pod, "main").and_then(|one| one.container_id.clone());
            let id = id.unwrap_or_default();
            let output = scene.site.ctr()?.args(["tasks", "ls"]).output()?;
            let tasks = String::from_utf8(output.stdout)?;
            let line =
                tasks.lines().find(|line| id.ends_with(line.split_whitespace().next().unwrap_or("none")));
            let pid = line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default();
            let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map"))?;
            anyhow::ensure!(map.split_whitespace().nth(1) != Some("0"), "{map}");
            Ok(())
        })
    } else {
        let why = "user namespaces (hostUsers: false) are not supported by the node's container runtime";
        asked.event("FailedCreatePodSandBox", why).waits("ContainerCreating", "").shows("{phase: Pending}")
    };
    vec![
        asked,
        row("users of its own on the node's network are a contradiction", ", hostNetwork: true")
            .event("FailedCreatePodSandBox", "goes with none of hostNetwork, hostPID and hostIPC")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        row("the node's users unless told otherwise", "").with("{hostUsers: true}").shows("{phase: Running}"),
    ]
}

fn groups() -> Vec<Row> {
    let row = |name, policy: &str| {
        Row::new(name, pages::GROUPS_POLICY)
            .once(&format!("{{image: '{NAMED}', imagePullPolicy: Never, args: [report, id]}}"))
            .with(&format!(
                "{{securityContext: {{supplementalGroups: [4000], supplementalGroupsPolicy: {policy}}}}}"
            ))
    };
    let strict = row("no groups of the image's user where the pod wants its own alone", "Strict");
    vec![
        row("the groups of the image's user come to those of the pod", "Merge")
            .says("{id: {uid: 4321, groups: [77, 4000]}}"),
        if can() {
            strict.says("{id: {uid: 4321, groups: [4000]}}").shows("{phase: Succeeded}")
        } else {
            let reason = "SupplementalGroupsPolicyNotSupported";
            strict
                .shows(&format!(
                    "{{phase: Failed, reason: {reason}, message: ~is not supported in this node}}"
                ))
                .event(reason, "SupplementalGroupsPolicy=Strict is not supported in this node")
        },
    ]
}

fn mounts() -> Vec<Row> {
    let row = |name, mode: &str| {
        Row::new(name, pages::RECURSIVE_READ_ONLY)
            .once(&format!(
                "{{args: [report, 'create:/v/x', 'mount:/v'],
                   volumeMounts: [{{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: {mode}}}]}}"
            ))
            .with("{volumes: [{name: v, hostPath: {path: '@dir'}}]}")
    };
    let enabled = row("a mount that is read-only with all that is mounted below it", "Enabled");
    vec![
        if can() {
            enabled.says("{'create:/v/x': {error: EROFS}, 'mount:/v': {options: [ro]}}")
        } else {
            enabled
                .event("Failed", "recursiveReadOnly is not supported by the node's container runtime")
                .waits("CreateContainerConfigError", "recursiveReadOnly")
                .shows("{phase: Pending}")
        },
        row("the same where possible, and read-only itself in any case", "IfPossible")
            .says("{'create:/v/x': {error: EROFS}, 'mount:/v': {options: [ro]}}"),
    ]
}
