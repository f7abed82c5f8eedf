//! Pods that make no sense in ways that an API server lets through: a clear reason on the pod, and nothing else
//! disturbed. That the node is as before is seen at the end of the table.

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    [mounts(), containers(), references()].concat()
}

fn mounts() -> Vec<Row> {
    let volume = |name, page, volume: &str, message: &'static str| {
        Row::new(name, page)
            .spec(&format!(
                "{{containers: [{{name: main, args: [pause], volumeMounts: [{{name: v, mountPath: /v}}]}}], volumes: [{{name: v, {volume}}}]}}"
            ))
            .event("FailedMount", message)
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}")
    };
    vec![
        volume("a volume type that this node does not have", pages::VOLUMES, "nfs: {server: 192.0.2.1, path: /}", "\"nfs\" is not supported"),
        volume("an emptyDir medium that is none", pages::EMPTY_DIR, "emptyDir: {medium: Paper}", "\"Paper\" is not supported"),
        volume("a size limit that is no quantity", pages::EMPTY_DIR, "emptyDir: {sizeLimit: lots}", "lots"),
        volume("a hostPath that is not absolute", pages::HOST_PATH, "hostPath: {path: etc}", "must be absolute"),
        volume(
            "a downward API file of a field that is none",
            pages::DOWNWARD_VOLUME,
            "downwardAPI: {items: [{path: x, fieldRef: {fieldPath: spec.restartPolicy}}]}",
            "spec.restartPolicy",
        ),
        volume(
            "a downward API file of a container that is none",
            pages::DOWNWARD_VOLUME,
            "downwardAPI: {items: [{path: x, resourceFieldRef: {containerName: none, resource: limits.cpu}}]}",
            "none",
        ),
        Row::new("a mount propagation that is none", pages::PROPAGATION)
            .spec(
                "{containers: [{name: main, args: [pause], volumeMounts: [{name: v, mountPath: /v, mountPropagation: Sideways}]}], volumes: [{name: v, emptyDir: {}}]}",
            )
            .waits("CreateContainerConfigError", "Sideways"),
        Row::new("a subPathExpr that leads out of its volume", pages::SUBPATH_EXPR)
            .spec(
                "{containers: [{name: main, args: [pause], env: [{name: UP, value: ../..}], volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(UP)/etc}]}],
                  volumes: [{name: v, emptyDir: {}}]}",
            )
            .waits("CreateContainerConfigError", "subPath"),
        Row::new("a volume that is no device, asked for as one", pages::VOLUMES)
            .spec(
                "{containers: [{name: main, args: [pause], volumeDevices: [{name: v, devicePath: /dev/x}]}], volumes: [{name: v, emptyDir: {}}]}",
            )
            .waits("CreateContainerConfigError", "it is no device (volumeMode: Block)"),
    ]
}

fn containers() -> Vec<Row> {
    let row = |name, page, own: &str| {
        Row::new(name, page).spec(&format!("{{containers: [{{name: main, args: [pause], {own}}}]}}"))
    };
    vec![
        row(
            "a seccomp type that is none",
            pages::SECCOMP,
            "securityContext: {seccompProfile: {type: Strict}}",
        )
        .waits("CreateContainerConfigError", "Strict"),
        row("a memory limit that no program fits in", pages::MEMORY, "resources: {limits: {memory: '1'}}")
            .with("{automountServiceAccountToken: false}")
            .event("FailedCreatePodSandBox", "")
            .shows("{phase: Pending}"),
        row("a working directory that is a file", pages::API, "workingDir: /demo-app")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: '~Error'}}}]}")
            .event("Failed", "/demo-app"),
        row("a mount over the program", pages::VOLUMES, "volumeMounts: [{name: v, mountPath: /demo-app}]")
            .with("{volumes: [{name: v, emptyDir: {}}]}")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: '~Error'}}}]}")
            .event("Failed", "demo-app"),
        row("a user that no kernel knows", pages::SECURITY, "securityContext: {runAsUser: -5}")
            .waits("CreateContainerError", "")
            .event("Failed", "Error"),
        row("a thousand variables", pages::ENV, &format!("env: [{}]", variables(1000)))
            .shows("{phase: Running}"),
    ]
}

fn variables(count: usize) -> String {
    let all: Vec<String> = (0..count).map(|n| format!("{{name: V{n}, value: '{n}'}}")).collect();
    all.join(", ")
}

fn references() -> Vec<Row> {
    let error = "CreateContainerConfigError";
    let row = |name, page, source: &str| {
        Row::new(name, page).spec(&format!(
            "{{containers: [{{name: main, args: [pause], env: [{{name: A, valueFrom: {source}}}]}}]}}"
        ))
    };
    vec![
        row("a variable of a field that is none", pages::DOWNWARD, "{fieldRef: {fieldPath: spec.nothing}}")
            .waits(error, "unsupported fieldPath: spec.nothing"),
        row("a variable of all labels", pages::DOWNWARD, "{fieldRef: {fieldPath: metadata.labels}}")
            .waits(error, "unsupported fieldPath: metadata.labels"),
        row("a variable of a resource that is none", pages::DOWNWARD, "{resourceFieldRef: {resource: limits.gold}}")
            .waits(error, "limits.gold"),
        row("a variable of a container that is none", pages::DOWNWARD, "{resourceFieldRef: {containerName: none, resource: limits.cpu}}")
            .waits(error, "container none not found"),
        Row::new("a name that is bound to the node by hand", pages::API)
            .spec("{nodeName: edge-1, schedulerName: nobody, containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Running}"),
        Row::new("a value that is not text is refused as a variable", pages::ENV_SECRET)
            .object("{kind: Secret, metadata: {name: bytes}, data: {k: /w==}}")
            .spec(
                "{containers: [{name: main, args: [pause], env: [{name: A, valueFrom: {secretKeyRef: {name: bytes, key: k}}}]}]}",
            )
            .waits(error, "not UTF-8"),
    ]
}
