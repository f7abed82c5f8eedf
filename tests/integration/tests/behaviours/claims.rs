//! Claims for persistent volumes. What binds a claim to its volume is a controller of the cluster; here the row says it.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        bound("a claim on a directory of the node", pages::CLAIMS, "hostPath: {path: '@dir'}", "")
            .shows("{phase: Succeeded}")
            .left("kept", "text"),
        bound(
            "a claim on a local volume",
            pages::LOCAL_VOLUMES,
            "local: {path: '@dir/disk'}",
            &affinity("edge-1"),
        )
        .prepare(|dir| fs::create_dir(dir.join("disk")))
        .shows("{phase: Succeeded}")
        .left("disk/kept", "text"),
        bound("the data of a claim stays when the pod goes", pages::CLAIMS, "hostPath: {path: '@dir'}", "")
            .shows("{phase: Succeeded}")
            .delete(None)
            .gone()
            .left("kept", "text")
            .again()
            .shows("{phase: Succeeded}"),
        bound("a claim may be mounted to be read only", pages::CLAIMS, "hostPath: {path: '@dir'}", "")
            .with("{volumes: [{name: v, persistentVolumeClaim: {claimName: data, readOnly: true}}]}")
            .ended("Error", 1),
        bound("a part of a claim", pages::SUBPATH, "hostPath: {path: '@dir'}", "")
            .once("{args: [write, /v/kept, text], volumeMounts: [{name: v, mountPath: /v, subPath: in/side}]}")
            .with(CLAIM)
            .shows("{phase: Succeeded}")
            .left("in/side/kept", "text"),
        bound("a local volume whose directory is missing", pages::LOCAL_VOLUMES, "local: {path: '@dir/disk'}", &affinity("edge-1"))
            .event("FailedMount", "is not a directory")
            .waits("ContainerCreating", "")
            .make("disk")
            .shows("{phase: Succeeded}")
            .left("disk/kept", "text"),
        bound("a local volume of another node", pages::LOCAL_VOLUMES, "local: {path: '@dir'}", &affinity("elsewhere"))
            .with("{nodeName: edge-1}")
            .event("FailedMount", "node affinity")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        bound("a claim on a volume of a driver that the node does not have", pages::CSI, "csi: {driver: none.invalid, volumeHandle: v}", "")
            .event("FailedMount", "CSI driver \"none.invalid\" is not registered on this node")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        Row::new("a volume of a driver that the node does not have", pages::CSI)
            .once("{args: [pause], volumeMounts: [{name: v, mountPath: /v}]}")
            .with("{volumes: [{name: v, csi: {driver: none.invalid}}]}")
            .event("FailedMount", "CSI driver \"none.invalid\" is not registered on this node")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        grouped("fsGroupChangePolicy Always: all that a volume has is given to the group", "Always", given)
            .says("{'file:/v/inner': {gid: 4000, mode: '0664'}, 'file:/v': {gid: 4000}}"),
        grouped(
            "fsGroupChangePolicy OnRootMismatch: a volume that was given to the group is left as it is",
            "OnRootMismatch",
            given,
        )
        .says("{'file:/v/inner': {gid: 0, mode: '0644'}, 'file:/v': {gid: 4000}}"),
        grouped(
            "fsGroupChangePolicy OnRootMismatch: a volume that was not is given to it",
            "OnRootMismatch",
            not_given,
        )
        .says("{'file:/v/inner': {gid: 4000, mode: '0664'}, 'file:/v': {gid: 4000, mode: '2775'}}"),
        Row::new("a volume may have a claim of its own, which is made for its pod", pages::EPHEMERAL_VOLUMES)
            .object(VOLUME)
            .once("{args: [write, /v/kept, text], volumeMounts: [{name: v, mountPath: /v}]}")
            .with(OWN_CLAIM)
            .event("FailedMount", "persistentvolumeclaim \"pod-v\" is not bound to a volume yet")
            .apply("{kind: PersistentVolumeClaim, metadata: {name: pod-v}, spec: {volumeName: '@namespace'}, status: {phase: Bound}}")
            .shows("{phase: Succeeded}")
            .left("kept", "text"),
        Row::new("a claim that is somebody else's keeps a pod that would have its own from starting", pages::EPHEMERAL_VOLUMES)
            .object(VOLUME)
            .object(
                "{kind: PersistentVolumeClaim, metadata: {name: pod-v}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}},
                  volumeName: '@namespace'}, status: {phase: Bound}}",
            )
            .once("{args: [write, /v/kept, text], volumeMounts: [{name: v, mountPath: /v}]}")
            .with(OWN_CLAIM)
            .event("FailedBinding", "pod-v was not created for pod")
            .event("FailedMount", "was not created for pod")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        Row::new("a claim that is not there", pages::CLAIMS)
            .once("{args: [pause], volumeMounts: [{name: v, mountPath: /v}]}")
            .with(CLAIM)
            .with("{nodeName: edge-1}")
            .event("FailedMount", "data not found")
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}"),
        Row::new("a claim that is bound to nothing yet", pages::CLAIMS)
            .object("{kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}")
            .once("{args: [pause], volumeMounts: [{name: v, mountPath: /v}]}")
            .with(CLAIM)
            .with("{nodeName: edge-1}")
            .event("FailedMount", "is not bound to a volume yet")
            .shows("{phase: Pending}"),
    ]
}

/// A volume that waits for the claim of volume `v` of the pod.
const VOLUME: &str = "{kind: PersistentVolume, metadata: {name: '@namespace'}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce],
  claimRef: {namespace: '@namespace', name: pod-v}, hostPath: {path: '@dir'}}}";

const OWN_CLAIM: &str =
    "{volumes: [{name: v, ephemeral: {volumeClaimTemplate: {metadata: {labels: {type: scratch}},
  spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]}";

const CLAIM: &str = "{volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}";

fn affinity(host: &str) -> String {
    format!(
        ", nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{host}]}}]}}]}}}}"
    )
}

/// A pod of group 4000 that looks at a file of a disk.
fn grouped(name: &'static str, policy: &str, before: fn(&Path) -> io::Result<()>) -> Row {
    bound(name, pages::GROUP_POLICY, "local: {path: '@dir/disk'}", &affinity("edge-1"))
        .prepare(before)
        .once("{args: [report, 'file:/v/inner', 'file:/v'], volumeMounts: [{name: v, mountPath: /v}]}")
        .with(CLAIM)
        .with(&format!("{{securityContext: {{fsGroup: 4000, fsGroupChangePolicy: {policy}}}}}"))
}

/// A disk of group 4000 with a file that is not.
fn given(dir: &Path) -> io::Result<()> {
    not_given(dir)?;
    chown(dir.join("disk"), None, Some(4000))?;
    fs::set_permissions(dir.join("disk"), fs::Permissions::from_mode(0o2775))
}

fn not_given(dir: &Path) -> io::Result<()> {
    let (disk, inner) = (dir.join("disk"), dir.join("disk/inner"));
    fs::create_dir(&disk)?;
    fs::set_permissions(&disk, fs::Permissions::from_mode(0o755))?;
    fs::write(&inner, "")?;
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o644))
}

/// A pod that writes to a claim that is bound.
fn bound(name: &'static str, page: &'static str, source: &str, further: &str) -> Row {
    let size = "{storage: 1Gi}";
    Row::new(name, page)
        .object(&format!(
            "{{kind: PersistentVolume, metadata: {{name: '@namespace'}}, spec: {{capacity: {size}, accessModes: [ReadWriteOnce],
               claimRef: {{namespace: '@namespace', name: data}}, {source}{further}}}, status: {{phase: Bound}}}}"
        ))
        .object(&format!(
            "{{kind: PersistentVolumeClaim, metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {size}}},
               volumeName: '@namespace'}}, status: {{phase: Bound}}}}"
        ))
        .once("{args: [write, /v/kept, text], volumeMounts: [{name: v, mountPath: /v}]}")
        .with(CLAIM)
}
