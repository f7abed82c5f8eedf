//! Security contexts, and what containers share with the node and with each other.

use super::further_images::{FITTED, NAMED};
use super::profiles::NO_APPENDING;
use super::row::{Row, Scene, pages};

pub(crate) fn rows() -> Vec<Row> {
    [users(), non_root(), capabilities(), confinement(), sysctls(), shared()].concat()
}

/// A pod with these security contexts, of the pod and of the container.
fn row(name: &'static str, page: &'static str, pod: &str, own: &str, args: &str) -> Row {
    Row::new(name, page)
        .once(&format!("{{args: [{args}], securityContext: {own}}}"))
        .with(&format!("{{securityContext: {pod}}}"))
}

fn users() -> Vec<Row> {
    let image = |name, image: &str, own: &str| {
        Row::new(name, pages::SECURITY).once(&format!(
            "{{image: '{image}', imagePullPolicy: Never, args: [report, id], securityContext: {own}}}"
        ))
    };
    vec![
        row("a container runs as root unless told otherwise", pages::SECURITY, "{}", "{}", "report, id")
            .says("{id: {uid: 0, gid: 0}}"),
        row(
            "the pod's user, group and further groups",
            pages::SECURITY,
            "{runAsUser: 1000, runAsGroup: 3000, supplementalGroups: [4000, 5000]}",
            "{}",
            "report, id",
        )
        .says("{id: {uid: 1000, gid: 3000, groups: [4000, 5000]}}"),
        row(
            "the container's user and group win",
            pages::SECURITY,
            "{runAsUser: 1000, runAsGroup: 3000}",
            "{runAsUser: 2000, runAsGroup: 3001}",
            "report, id",
        )
        .says("{id: {uid: 2000, gid: 3001}}"),
        row(
            "a user without a group has the group of root",
            pages::SECURITY,
            "{}",
            "{runAsUser: 1000}",
            "report, id",
        )
        .says("{id: {uid: 1000, gid: 0}}"),
        image("the image's user, by number", FITTED, "{}").says("{id: {uid: 1234}}"),
        image("the image's user, by name", NAMED, "{}").says("{id: {uid: 4321, gid: 4321}}"),
        image("the pod's user wins over the image's", FITTED, "{runAsUser: 7}").says("{id: {uid: 7}}"),
        row(
            "a file of one user is closed to another",
            pages::SECURITY,
            "{runAsUser: 1000}",
            "{}",
            "report, 'create:/x', 'file:/proc/1/environ'",
        )
        .says("{'create:/x': {error: EACCES}}"),
    ]
}

fn non_root() -> Vec<Row> {
    let error = "CreateContainerConfigError";
    let waits = |name, image: &str, own: &str, message: &str| {
        Row::new(name, pages::SECURITY)
            .spec(&format!("{{containers: [{{name: main, {image} args: [pause], securityContext: {own}}}]}}"))
            .waits(error, message)
            .shows("{phase: Pending}")
    };
    vec![
        waits("runAsNonRoot refuses an image of root", "", "{runAsNonRoot: true}", "image will run as root")
            .event("Failed", "runAsNonRoot"),
        waits("runAsNonRoot refuses runAsUser 0", "", "{runAsNonRoot: true, runAsUser: 0}", "breaks non-root policy"),
        waits(
            "runAsNonRoot refuses a user whose number is not known",
            &format!("image: '{NAMED}', imagePullPolicy: Never,"),
            "{runAsNonRoot: true}",
            "non-numeric user (keeper)",
        ),
        row("runAsNonRoot lets another user run", pages::SECURITY, "{runAsNonRoot: true}", "{runAsUser: 5}", "report, id")
            .says("{id: {uid: 5}}"),
        Row::new("runAsNonRoot lets an image of another user run", pages::SECURITY)
            .once(&format!("{{image: '{FITTED}', imagePullPolicy: Never, args: [report, id], securityContext: {{runAsNonRoot: true}}}}"))
            .says("{id: {uid: 1234}}"),
    ]
}

fn capabilities() -> Vec<Row> {
    let row = |name, own: &str| row(name, pages::SECURITY, "{}", own, "report, caps");
    vec![
        row("the usual capabilities", "{}").says(
            "{caps: [CHOWN, DAC_OVERRIDE, FSETID, FOWNER, MKNOD, NET_RAW, SETGID, SETUID, SETFCAP, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, KILL, AUDIT_WRITE]}",
        )
        .says("{caps: '!SYS_ADMIN'}")
        .says("{caps: '!NET_ADMIN'}"),
        row("a capability more", "{capabilities: {add: [NET_ADMIN, SYS_TIME]}}").says("{caps: [NET_ADMIN, SYS_TIME, CHOWN]}"),
        row("a capability less", "{capabilities: {drop: [CHOWN, KILL]}}").says("{caps: '!CHOWN'}").says("{caps: '!KILL'}"),
        row("no capability", "{capabilities: {drop: [ALL]}}").says("{caps: []}"),
        row("none but one", "{capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}")
            .says("{caps: [NET_BIND_SERVICE]}")
            .says("{caps: '!CHOWN'}"),
        row("another user has none of them in effect", "{runAsUser: 1000}").says("{caps: []}"),
    ]
}

fn confinement() -> Vec<Row> {
    vec![
        row("a container may gain privileges unless told otherwise", pages::SECURITY, "{}", "{}", "report, 'status:NoNewPrivs'")
            .says("{'status:NoNewPrivs': '0'}"),
        row("allowPrivilegeEscalation false", pages::SECURITY, "{}", "{allowPrivilegeEscalation: false}", "report, 'status:NoNewPrivs'")
            .says("{'status:NoNewPrivs': '1'}"),
        row("readOnlyRootFilesystem", pages::SECURITY, "{}", "{readOnlyRootFilesystem: true}", "report, 'create:/x', 'mount:/'")
            .says("{'create:/x': {error: EROFS}, 'mount:/': {options: [ro]}}"),
        row("a root file system may be written unless told otherwise", pages::SECURITY, "{}", "{}", "report, 'create:/x'")
            .says("{'create:/x': ok}"),
        row("seccomp Unconfined", pages::SECCOMP, "{}", "{seccompProfile: {type: Unconfined}}", "report, 'status:Seccomp'")
            .says("{'status:Seccomp': '0'}"),
        row("seccomp RuntimeDefault for the container", pages::SECCOMP, "{}", "{seccompProfile: {type: RuntimeDefault}}", "report, 'status:Seccomp'")
            .says("{'status:Seccomp': '2'}"),
        row("seccomp RuntimeDefault for the pod", pages::SECCOMP, "{seccompProfile: {type: RuntimeDefault}}", "{}", "report, 'status:Seccomp'")
            .says("{'status:Seccomp': '2'}"),
        row(
            "the container's seccomp profile wins",
            pages::SECCOMP,
            "{seccompProfile: {type: RuntimeDefault}}",
            "{seccompProfile: {type: Unconfined}}",
            "report, 'status:Seccomp'",
        )
        .says("{'status:Seccomp': '0'}"),
        row("no seccomp profile is none", pages::SECCOMP, "{}", "{}", "report, 'status:Seccomp'")
            .says("{'status:Seccomp': '0'}"),
        Row::new("a local seccomp profile that is missing", pages::SECCOMP)
            .spec(
                "{containers: [{name: main, args: [pause], securityContext: {seccompProfile: {type: Localhost, localhostProfile: none.json}}}]}",
            )
            .waits("CreateContainerError", "none.json"),
        row(
            "a local seccomp profile",
            pages::SECCOMP,
            "{}",
            &format!("{{seccompProfile: {{type: Localhost, localhostProfile: {NO_APPENDING}}}}}"),
            "report, 'status:Seccomp', 'create:/x', then, append, /x, y",
        )
        // It may make a file, and may not append to one.
        .says("{'status:Seccomp': '2', 'create:/x': ok}")
        .ended("Error", 1),
        row("parts of proc are hidden", pages::STANDARDS, "{}", "{}", "report, 'file:/proc/keys', 'mount:/proc/sys', 'create:/proc/sys/kernel/domainname'")
            // What is hidden is covered by /dev/null.
            .says("{'file:/proc/keys': {kind: character device}, 'mount:/proc/sys': {options: [ro]}, 'create:/proc/sys/kernel/domainname': {error: EROFS}}"),
        row("procMount Unmasked hides nothing", pages::STANDARDS, "{}", "{procMount: Unmasked}", "report, 'file:/proc/keys', 'mount:/proc/sys'")
            .says("{'file:/proc/keys': {kind: file}, 'mount:/proc/sys': null}"),
        row(
            "a privileged container has every capability and nothing hidden",
            pages::SECURITY,
            "{}",
            "{privileged: true}",
            "report, caps, 'file:/proc/keys', 'mount:/sys', 'status:Seccomp', 'file:/dev/kmsg'",
        )
        .says(
            "{caps: [SYS_ADMIN, NET_ADMIN, SYS_MODULE], 'file:/proc/keys': {kind: file}, 'mount:/sys': {options: [rw]}, 'status:Seccomp': '0',
              'file:/dev/kmsg': {kind: character device}}",
        ),
        row("another container does not see the node's devices", pages::SECURITY, "{}", "{}", "report, 'file:/dev/kmsg', 'file:/dev/null', 'mount:/sys'")
            .says("{'file:/dev/kmsg': {error: ENOENT}, 'file:/dev/null': {kind: character device}, 'mount:/sys': {options: [ro]}}"),
    ]
}

fn sysctls() -> Vec<Row> {
    vec![
        row(
            "safe sysctls are set for the pod",
            pages::SYSCTLS,
            "{sysctls: [{name: net.ipv4.ip_local_port_range, value: '20000 30000'}, {name: kernel.shm_rmid_forced, value: '1'}]}",
            "{}",
            "report, 'file:/proc/sys/net/ipv4/ip_local_port_range', 'file:/proc/sys/kernel/shm_rmid_forced'",
        )
        .says(
            "{'file:/proc/sys/net/ipv4/ip_local_port_range': {text: \"20000\\t30000\\n\"}, 'file:/proc/sys/kernel/shm_rmid_forced': {text: \"1\\n\"}}",
        ),
        row("an unsafe sysctl is refused", pages::SYSCTLS, "{sysctls: [{name: kernel.msgmax, value: '65536'}]}", "{}", "pause")
            .shows("{phase: Failed, reason: SysctlForbidden, message: ~kernel.msgmax}"),
        row("a sysctl of the whole node is refused", pages::SYSCTLS, "{sysctls: [{name: vm.swappiness, value: '1'}]}", "{}", "pause")
            .shows("{phase: Failed, reason: SysctlForbidden, message: ~vm.swappiness}"),
    ]
}

fn shared() -> Vec<Row> {
    let namespaces = "report, 'ns:net', 'ns:pid', 'ns:ipc', 'ns:uts', hostname";
    let row =
        |name, page, with: &str| Row::new(name, page).once(&format!("{{args: [{namespaces}]}}")).with(with);
    vec![
        row("a pod shares nothing with its node unless told otherwise", pages::STANDARDS, "{}")
            .holds("all its namespaces differ", |scene| namespaces_of(scene, &[], &["net", "pid", "ipc", "uts"])),
        row("hostNetwork", pages::STANDARDS, "{hostNetwork: true}")
            .holds("its network is the node's", |scene| namespaces_of(scene, &["net"], &["pid", "ipc"])),
        row("hostPID", pages::STANDARDS, "{hostPID: true}")
            .holds("it sees the node's processes", |scene| namespaces_of(scene, &["pid"], &["net", "ipc"])),
        row("hostIPC", pages::STANDARDS, "{hostIPC: true}")
            .holds("its IPC is the node's", |scene| namespaces_of(scene, &["ipc"], &["net", "pid"])),
        Row::new("containers do not see each other's processes", pages::SHARED_PROCESSES)
            .spec("{restartPolicy: Never, containers: [{name: main, args: [report, processes]}, {name: other, args: [http, '80', /x]}]}")
            .says("{processes: ['/demo-app report processes']}")
            .says("{processes: '!/demo-app http 80 /x'}"),
        Row::new("shareProcessNamespace shows them, and the sandbox's first process", pages::SHARED_PROCESSES)
            .spec(
                "{restartPolicy: Never, shareProcessNamespace: true, volumes: [{name: v, emptyDir: {}}], containers: [
                  {name: main, args: [until, /v/x, y, then, report, processes], volumeMounts: [{name: v, mountPath: /v}]},
                  {name: other, args: [write, /v/x, y, then, http, '80', /x], volumeMounts: [{name: v, mountPath: /v}]}]}",
            )
            .says("{processes: ['/demo-app pause', '~report processes', '~http 80 /x']}"),
        Row::new("the containers of a pod share network and IPC", pages::SHARED_PROCESSES)
            // One waits for the other: the kernel gives the number of a namespace that has gone to the next one.
            .spec(
                "{restartPolicy: Never, volumes: [{name: v, emptyDir: {}}], containers: [
                  {name: main, args: [report, 'ns:net', 'ns:ipc', 'ns:pid', then, until, /v/other, here], volumeMounts: [{name: v, mountPath: /v}]},
                  {name: other, args: [report, 'ns:net', 'ns:ipc', 'ns:pid', then, write, /v/other, here], volumeMounts: [{name: v, mountPath: /v}]}]}",
            )
            .shows("{phase: Succeeded}")
            .holds("net and ipc are the same, pid is not", |scene| {
                let report = |name| -> anyhow::Result<serde_json::Value> {
                    let message = super::run::last_message(scene.pod, name).map_err(anyhow::Error::msg)?;
                    Ok(serde_json::from_str(&message)?)
                };
                let (main, other) = (report("main")?, report("other")?);
                let same = |kind: &str| main[kind] == other[kind];
                anyhow::ensure!(same("ns:net") && same("ns:ipc") && !same("ns:pid"), "{main} {other}");
                Ok(())
            }),
    ]
}

/// Which namespaces container `main` reported to be in: the node's (this test's own), or others.
fn namespaces_of(scene: &Scene<'_>, nodes: &[&str], others: &[&str]) -> anyhow::Result<()> {
    let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
    let report: serde_json::Value = serde_json::from_str(&message)?;
    for (kinds, shared) in [(nodes, true), (others, false)] {
        for kind in kinds {
            let ours = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
            let theirs = report[format!("ns:{kind}")].as_str().unwrap_or_default();
            anyhow::ensure!((ours.to_string_lossy() == theirs) == shared, "{kind}: {ours:?} and {theirs}");
        }
    }
    Ok(())
}
