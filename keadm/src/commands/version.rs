//! `keadm version`

use serde::Serialize;

use crate::printer::Printer;

/// As stock says it, so that scripts find what they look for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    major: &'static str,
    minor: &'static str,
    git_version: String,
    compiler: &'static str,
    platform: String,
}

pub(super) fn run(printer: &Printer) -> anyhow::Result<()> {
    let info = Info {
        major: env!("CARGO_PKG_VERSION_MAJOR"),
        minor: env!("CARGO_PKG_VERSION_MINOR"),
        git_version: format!("v{}", env!("CARGO_PKG_VERSION")),
        compiler: "rustc",
        platform: format!("{}/{}", std::env::consts::OS, architecture(std::env::consts::ARCH)),
    };
    printer.data(&info, || {
        let Info { major, minor, git_version, compiler, platform } = &info;
        format!(
            "version: version.Info{{Major:{major:?}, Minor:{minor:?}, GitVersion:{git_version:?}, \
             Compiler:{compiler:?}, Platform:{platform:?}}}"
        )
    })
}

/// As Go calls it.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_where_scripts_look_for_it() {
        let printer = Printer::capturing();
        run(&printer).unwrap();
        let expected = format!("GitVersion:\"v{}\"", env!("CARGO_PKG_VERSION"));
        assert!(printer.captured().contains(&expected), "{}", printer.captured());
    }
}
