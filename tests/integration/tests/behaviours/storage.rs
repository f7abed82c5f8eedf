//! Volumes that hold data: emptyDir and hostPath, and the ways to mount them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    [empty_dirs(), host_paths(), wrong_host_paths(), sub_paths(), mounts(), groups()].concat()
}

/// A pod of one container that mounts `volume` at `/v`.
fn row(name: &'static str, page: &'static str, volume: &str, args: &str) -> Row {
    Row::new(name, page)
        .once(&format!("{{args: [{args}], volumeMounts: [{{name: v, mountPath: /v}}]}}"))
        .with(&format!("{{volumes: [{{name: v, {volume}}}]}}"))
}

fn empty_dirs() -> Vec<Row> {
    vec![
        row("an emptyDir is empty and for everybody", pages::EMPTY_DIR, "emptyDir: {}", "report, 'file:/v', 'list:/v', 'create:/v/x'")
            .with("{securityContext: {runAsUser: 1000}}")
            .says("{'file:/v': {kind: directory, mode: '0777'}, 'list:/v': [], 'create:/v/x': ok}"),
        Row::new("the containers of a pod share an emptyDir", pages::EMPTY_DIR).spec(
            "{restartPolicy: Never, volumes: [{name: v, emptyDir: {}}], containers: [
              {name: main, args: [until, /v/x, hello, then, report, 'file:/v/x'], volumeMounts: [{name: v, mountPath: /v}]},
              {name: other, args: [write, /w/x, hello], volumeMounts: [{name: v, mountPath: /w}]}]}",
        )
        .says("{'file:/v/x': {text: hello}}"),
        row("an emptyDir in memory is a tmpfs", pages::EMPTY_DIR, "emptyDir: {medium: Memory}", "report, 'mount:/v', 'file:/v'")
            .says("{'mount:/v': {type: tmpfs}, 'file:/v': {mode: '0777'}}"),
        row(
            "an emptyDir in memory is no larger than its limit",
            pages::EMPTY_DIR,
            "emptyDir: {medium: Memory, sizeLimit: 8Mi}",
            "report, 'mount:/v'",
        )
        .says("{'mount:/v': {type: tmpfs, super: [size=8192k]}}"),
        row("an emptyDir starts empty in another pod of the same name", pages::EMPTY_DIR, "emptyDir: {}", "report, 'list:/v', then, write, /v/x, y")
            .says("{'list:/v': []}")
            .delete(None)
            .gone()
            .again()
            .says("{'list:/v': []}"),
    ]
}

fn host_paths() -> Vec<Row> {
    let row = |name, path: &str, kind: &str, args: &str| {
        row(name, pages::HOST_PATH, &format!("hostPath: {{path: '@dir{path}', type: '{kind}'}}"), args)
    };
    vec![
        row(
            "a hostPath shows what the node has",
            "",
            "",
            "report, 'file:/v/there', then, write, /v/back, answer",
        )
        .prepare(|dir| fs::write(dir.join("there"), "from the node"))
        .says("{'file:/v/there': {text: from the node}}")
        .left("back", "answer"),
        row("hostPath type Directory", "/d", "Directory", "report, 'file:/v'")
            .prepare(|dir| fs::create_dir(dir.join("d")))
            .says("{'file:/v': {kind: directory}}"),
        row(
            "hostPath type DirectoryOrCreate makes it",
            "/a/b",
            "DirectoryOrCreate",
            "report, 'file:/v', then, write, /v/x, y",
        )
        .says("{'file:/v': {kind: directory, mode: '0755', uid: 0}}")
        .left("a/b/x", "y"),
        row("hostPath type File", "/f", "File", "report, 'file:/v'")
            .prepare(|dir| fs::write(dir.join("f"), "text"))
            .says("{'file:/v': {kind: file, text: text}}"),
        row(
            "hostPath type FileOrCreate makes it",
            "/f",
            "FileOrCreate",
            "report, 'file:/v', then, write, /v, y",
        )
        .says("{'file:/v': {kind: file, mode: '0644', text: ''}}")
        .left("f", "y"),
        row("hostPath type Socket", "/s", "Socket", "report, 'file:/v'")
            // The file stays when its listener is dropped.
            .prepare(|dir| UnixListener::bind(dir.join("s")).map(drop))
            .says("{'file:/v': {kind: socket}}"),
        Row::new("hostPath type CharDevice", pages::HOST_PATH)
            .once("{args: [report, 'file:/v'], volumeMounts: [{name: v, mountPath: /v}]}")
            .with("{volumes: [{name: v, hostPath: {path: /dev/null, type: CharDevice}}]}")
            .says("{'file:/v': {kind: character device}}"),
        row("a hostPath without a type is made when it is missing", "/not/there", "", "report, 'file:/v'")
            .says("{'file:/v': {kind: directory}}"),
        Row::new("a hostPath stays when the pod goes", pages::HOST_PATH)
            .once("{args: [write, /v/kept, text], volumeMounts: [{name: v, mountPath: /v}]}")
            .with("{volumes: [{name: v, hostPath: {path: '@dir'}}]}")
            .shows("{phase: Succeeded}")
            .delete(None)
            .gone()
            .left("kept", "text"),
    ]
}

fn wrong_host_paths() -> Vec<Row> {
    let row = |name, kind: &str, expected: &'static str| {
        row(name, pages::HOST_PATH, &format!("hostPath: {{path: '@dir/x', type: {kind}}}"), "pause")
            .event("FailedMount", expected)
            .waits("ContainerCreating", "")
            .shows("{phase: Pending}")
    };
    let file: fn(&std::path::Path) -> std::io::Result<()> = |dir| fs::write(dir.join("x"), "");
    vec![
        row("hostPath type Directory is refused when there is none", "Directory", "is not a directory"),
        row("hostPath type Directory is refused for a file", "Directory", "is not a directory").prepare(file),
        row("hostPath type File is refused when there is none", "File", "is not a file"),
        row("hostPath type File is refused for a directory", "File", "is not a file")
            .prepare(|dir| fs::create_dir(dir.join("x"))),
        row("hostPath type FileOrCreate is refused for a directory", "FileOrCreate", "is not a file")
            .prepare(|dir| fs::create_dir(dir.join("x"))),
        row(
            "hostPath type DirectoryOrCreate is refused for a file",
            "DirectoryOrCreate",
            "is not a directory",
        )
        .prepare(file),
        row("hostPath type Socket is refused for a file", "Socket", "is not a socket").prepare(file),
        row("hostPath type CharDevice is refused for a file", "CharDevice", "is not a character device")
            .prepare(file),
        row("hostPath type BlockDevice is refused for a file", "BlockDevice", "is not a block device")
            .prepare(file),
        row("a pod goes on when its hostPath has come", "Directory", "is not a directory")
            .make("x")
            .shows("{phase: Running}"),
    ]
}

fn sub_paths() -> Vec<Row> {
    let settings = "{kind: ConfigMap, metadata: {name: settings}, data: {a: one, b: two}}";
    let row = |name, page, volume: &str, mount: &str, args: &str| {
        Row::new(name, page)
            .object(settings)
            .once(&format!("{{env: [{{name: A, value: x}}], args: [{args}], volumeMounts: [{mount}]}}"))
            .with(&format!("{{volumes: [{{name: v, {volume}}}]}}"))
    };
    vec![
        row(
            "a subPath of a hostPath",
            pages::SUBPATH,
            "hostPath: {path: '@dir'}",
            "{name: v, mountPath: /v, subPath: in/side}",
            "report, 'file:/v/f', 'list:/v'",
        )
        .prepare(|dir| {
            fs::create_dir_all(dir.join("in/side")).and_then(|()| fs::write(dir.join("in/side/f"), "x"))
        })
        .says("{'file:/v/f': {text: x}, 'list:/v': [f]}"),
        row(
            "a subPath that is missing is made",
            pages::SUBPATH,
            "hostPath: {path: '@dir'}",
            "{name: v, mountPath: /v, subPath: new/one}",
            "write, /v/f, y",
        )
        .left("new/one/f", "y"),
        row(
            "one file of a config map by subPath",
            pages::SUBPATH,
            "configMap: {name: settings}",
            "{name: v, mountPath: /etc/app.conf, subPath: a}",
            "report, 'file:/etc/app.conf', 'file:/etc/passwd'",
        )
        .says("{'file:/etc/app.conf': {kind: file, text: one}}"),
        row(
            "a subPath from the container's variables",
            pages::SUBPATH_EXPR,
            "hostPath: {path: '@dir'}",
            "{name: v, mountPath: /v, subPathExpr: logs-$(A)}",
            "write, /v/f, y",
        )
        .left("logs-x/f", "y"),
        row(
            "a subPath may not follow a link out of its volume",
            pages::SUBPATH,
            "hostPath: {path: '@dir'}",
            "{name: v, mountPath: /v, subPath: out}",
            "report, 'list:/v'",
        )
        .prepare(|dir| std::os::unix::fs::symlink("/etc", dir.join("out")))
        .waits("CreateContainerConfigError", "subPath"),
        row(
            "two containers with a subPath of the same emptyDir each",
            pages::SUBPATH,
            "emptyDir: {}",
            "{name: v, mountPath: /v, subPath: one}, {name: v, mountPath: /all}",
            "write, /v/f, y, then, report, 'file:/all/one/f'",
        )
        .says("{'file:/all/one/f': {text: y}}"),
    ]
}

fn mounts() -> Vec<Row> {
    let row = |name, page, mount: &str, args: &str| {
        Row::new(name, page)
            .once(&format!("{{args: [{args}], volumeMounts: [{{name: v, mountPath: /v, {mount}}}]}}"))
            .with("{volumes: [{name: v, hostPath: {path: '@dir'}}]}")
    };
    vec![
        row(
            "a volume that is mounted readOnly",
            pages::VOLUMES,
            "readOnly: true",
            "report, 'create:/v/x', 'mount:/v'",
        )
        .says("{'create:/v/x': {error: EROFS}, 'mount:/v': {options: [ro]}}"),
        row(
            "a volume that is mounted to be written",
            pages::VOLUMES,
            "readOnly: false",
            "report, 'create:/v/x', 'mount:/v'",
        )
        .says("{'create:/v/x': ok, 'mount:/v': {options: [rw]}}"),
        row(
            "mount propagation None is private",
            pages::PROPAGATION,
            "mountPropagation: None",
            "report, 'mount:/v'",
        )
        .says("{'mount:/v': {propagation: []}}"),
    ]
}

fn groups() -> Vec<Row> {
    let group = "{securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}}";
    vec![
        row("an emptyDir belongs to the fsGroup", pages::SECURITY, "emptyDir: {}", "write, /v/x, y, then, report, 'file:/v', 'file:/v/x', id")
            .with(group)
            .says("{'file:/v': {gid: 2000, mode: '2777'}, 'file:/v/x': {gid: 2000, uid: 1000}, id: {uid: 1000, gid: 1000, groups: [2000]}}"),
        row("a secret's files can be read by the fsGroup", pages::SECURITY, "secret: {secretName: keys, defaultMode: 256}", "report, 'file:/v/k'")
            .object("{kind: Secret, metadata: {name: keys}, stringData: {k: v}}")
            .with(group)
            .says("{'file:/v/k': {gid: 2000, mode: '0440', text: v}}"),
        row("a hostPath is not given to the fsGroup", pages::SECURITY, "hostPath: {path: '@dir'}", "report, 'file:/v'")
            .prepare(|dir| fs::set_permissions(dir, fs::Permissions::from_mode(0o750)))
            .with(group)
            .says("{'file:/v': {gid: 0, mode: '0750'}}"),
    ]
}
