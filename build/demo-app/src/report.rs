//! What a container sees of itself.
//!
//! | what | value |
//! |---|---|
//! | `env`, `env:NAME` | all variables; one, or null |
//! | `argv`, `cwd`, `hostname` | as they say |
//! | `id` | user, group and further groups |
//! | `caps` | names of the effective capabilities |
//! | `status:FIELD` | a line of `/proc/self/status` (proc(5)) |
//! | `file:PATH` | kind, mode, owner and text, or the error |
//! | `list:PATH` | names in a directory, or the error |
//! | `mount:PATH` | what is mounted there, or null |
//! | `create:PATH` | `ok`, or why a file cannot be made there |
//! | `limits` | memory and CPU that the cgroup allows |
//! | `ns:KIND` | which namespace it is in, as `/proc/self/ns` says it |
//! | `processes` | command lines of all processes that can be seen |
//! | `tty` | whether standard input is a terminal |

use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use nix::errno::Errno;
use serde_json::{Map, Value, json};

/// Longest text of a file that is shown: a last message has 4 KiB.
const TEXT: usize = 3000;

/// Capabilities by their bit (linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// One entry for each word.
pub(crate) fn report(what: &[&str]) -> Value {
    what.iter().map(|word| ((*word).to_owned(), see(word))).collect::<Map<_, _>>().into()
}

fn see(word: &str) -> Value {
    let (kind, name) = word.split_once(':').unwrap_or((word, ""));
    match kind {
        "env" if name.is_empty() => std::env::vars().map(|(name, value)| (name, json!(value))).collect(),
        "env" => {
            std::env::vars().find(|(known, _)| known == name).map_or(Value::Null, |(_, value)| value.into())
        }
        "argv" => std::env::args().collect(),
        "cwd" => std::env::current_dir().map_or_else(failed, |path| path.to_string_lossy().into()),
        "hostname" => nix::unistd::gethostname().map_or(Value::Null, |name| name.to_string_lossy().into()),
        "id" => id(),
        "caps" => capabilities(),
        "status" => status(name).into(),
        "file" => file(name).unwrap_or_else(failed),
        "list" => list(name).unwrap_or_else(failed),
        "mount" => mount(name).unwrap_or_else(failed),
        "create" => File::create(name).map_or_else(failed, |_| "ok".into()),
        "limits" => limits(),
        "ns" => link(&format!("/proc/self/ns/{name}")),
        "processes" => processes().unwrap_or_else(failed),
        "tty" => io::stdin().is_terminal().into(),
        _ => "unknown: see build/demo-app/src/report.rs".into(),
    }
}

/// `ENOENT` and the like, where there is such a name.
fn failed(error: io::Error) -> Value {
    let name = error.raw_os_error().map(|code| format!("{:?}", Errno::from_raw(code)));
    json!({"error": name.unwrap_or_else(|| error.to_string())})
}

fn link(path: &str) -> Value {
    fs::read_link(path).map_or_else(failed, |target| target.to_string_lossy().into())
}

fn status(field: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| *name == field).map(|(_, value)| value.trim().replace('\t', " "))
}

/// Effective user and group, and the further groups.
fn id() -> Value {
    let numbers = |field: &str| -> Vec<u64> {
        let text = status(field).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let mut groups = numbers("Groups");
    groups.sort_unstable();
    json!({"uid": numbers("Uid").get(1), "gid": numbers("Gid").get(1), "groups": groups})
}

fn capabilities() -> Value {
    let effective = status("CapEff").and_then(|bits| u64::from_str_radix(&bits, 16).ok()).unwrap_or_default();
    let has = |(bit, _): &(usize, &&str)| effective & (1 << bit) != 0;
    CAPABILITIES.iter().enumerate().filter(has).map(|(_, name)| *name).collect()
}

fn file(path: &str) -> io::Result<Value> {
    let (metadata, kind) = (fs::metadata(path)?, fs::metadata(path)?.file_type());
    let word = match () {
        () if kind.is_dir() => "directory",
        () if kind.is_socket() => "socket",
        () if kind.is_char_device() => "character device",
        () if kind.is_block_device() => "block device",
        () => "file",
    };
    let mut seen = json!({
        "kind": word,
        "mode": format!("{:04o}", metadata.mode() & 0o7777),
        "uid": metadata.uid(),
        "gid": metadata.gid(),
    });
    if kind.is_file() {
        seen["text"] = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT)]).into(),
            Err(error) => failed(error),
        };
    }
    Ok(seen)
}

fn list(path: &str) -> io::Result<Value> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.into())
}

/// The last mount at `path`, from `/proc/self/mountinfo` (proc(5)).
fn mount(path: &str) -> io::Result<Value> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let mut lines = text.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    let Some(line) = lines.find(|line| line.get(4) == Some(&path)) else { return Ok(Value::Null) };
    let dash = line.iter().position(|word| *word == "-").unwrap_or(line.len());
    let word = |index: usize| line.get(index).copied().unwrap_or_default();
    let tags: Vec<&str> =
        line.get(6..dash).unwrap_or_default().iter().filter_map(|tag| tag.split(':').next()).collect();
    Ok(json!({
        "type": word(dash + 1),
        "options": word(5).split(',').collect::<Vec<_>>(),
        "super": word(dash + 3).split(',').collect::<Vec<_>>(),
        // Empty: private.
        "propagation": tags,
    }))
}

/// The limits of the container's own cgroup, version 1 or 2. Null: not limited. `memory` in bytes, `cpu` in
/// thousandths of a core.
fn limits() -> Value {
    let read = |path: &str| fs::read_to_string(format!("/sys/fs/cgroup/{path}")).ok();
    let number = |text: Option<String>| text.and_then(|text| text.trim().parse::<i64>().ok());
    let memory = number(read("memory/memory.limit_in_bytes")).or_else(|| number(read("memory.max")));
    let version_2 = read("cpu.max").and_then(|text| {
        let (quota, period) = text.trim().split_once(' ')?;
        Some((quota.parse::<i64>().ok()?, period.parse::<i64>().ok()?))
    });
    let version_1 = number(read("cpu/cpu.cfs_quota_us")).zip(number(read("cpu/cpu.cfs_period_us")));
    let cpu = version_1.or(version_2).filter(|(quota, period)| *quota > 0 && *period > 0);
    json!({
        // Version 1 says "not limited" with the largest number of whole pages.
        "memory": memory.filter(|memory| *memory < i64::MAX / 2),
        "cpu": cpu.map(|(quota, period)| quota * 1000 / period),
        "shares": number(read("cpu/cpu.shares")),
        "weight": number(read("cpu.weight")),
    })
}

fn processes() -> io::Result<Value> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let is_process = path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok());
        // A process may end between the two.
        if let Some(line) = is_process.then(|| fs::read(path.join("cmdline")).ok()).flatten() {
            let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            lines.push(words.collect::<Vec<_>>().join(" ").trim().to_owned());
        }
    }
    lines.sort();
    Ok(lines.into())
}
