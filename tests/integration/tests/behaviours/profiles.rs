//! Seccomp profiles that lie on the node (<https://kubernetes.io/docs/tutorials/security/seccomp/>).

use certs::files::{MODE_PUBLIC, write_atomically};
use integration::site::Site;

/// A profile that lets nobody append to a file, by the name that pods call it.
pub(crate) const NO_APPENDING: &str = "profiles/no-appending.json";

/// In the form of <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp>: everything is allowed but to open a file
/// with `O_APPEND` (0x400).
const PROFILE: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{
    "names": ["open", "openat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
    "args": [{"index": 2, "value": 1024, "valueTwo": 1024, "op": "SCMP_CMP_MASKED_EQ"}]
}]}"#;

/// Puts it where edged looks: below `rootDirectory`.
pub(crate) fn write(site: &Site) -> anyhow::Result<()> {
    let path = site.state().join("edge/kubelet/seccomp").join(NO_APPENDING);
    Ok(write_atomically(&path, PROFILE.as_bytes(), MODE_PUBLIC)?)
}
