//! Images that differ from the demo's in what they say about how they want to be run
//! (<https://github.com/opencontainers/image-spec/blob/main/config.md>).

use std::fs::File;

use integration::site::Site;
use keadm::demo::image::write;
use serde_json::{Value, json};

/// An `ENTRYPOINT` and a `CMD`.
pub(crate) const ENTRY: &str = "skerry.local/entry:1";
/// A user by number, a directory to work in, a variable and a signal to stop with.
pub(crate) const FITTED: &str = "skerry.local/fitted:1";
/// A user by name, whose number is in the image's own `/etc/passwd`.
pub(crate) const NAMED: &str = "skerry.local/named:1";
/// The tag that is pulled each time.
pub(crate) const LATEST: &str = "skerry.local/rolling:latest";

/// Makes them and gives them to the node.
pub(crate) fn import(site: &Site) -> anyhow::Result<()> {
    let program = std::fs::read(site.app())?;
    let images: [(&str, Value); 4] = [
        (ENTRY, json!({"Entrypoint": ["/demo-app", "say", "entry"], "Cmd": ["cmd"]})),
        (
            FITTED,
            json!({"Entrypoint": ["/demo-app"], "User": "1234:2345", "WorkingDir": "/work",
                   "Env": ["FROM_IMAGE=yes", "OVERRIDDEN=image"], "StopSignal": "SIGUSR1"}),
        ),
        (NAMED, json!({"Entrypoint": ["/demo-app"], "User": "keeper"})),
        (LATEST, json!({"Entrypoint": ["/demo-app"]})),
    ];
    let directory = tempfile::tempdir()?;
    for (reference, run) in images {
        let files: [(&str, &[u8], u32); 3] = [
            ("demo-app", &program, 0o755),
            ("etc/passwd", b"root:x:0:0::/:/none\nkeeper:x:4321:4321::/:/none\n", 0o644),
            ("etc/group", b"root:x:0:\nkeeper:x:4321:\nhelpers:x:77:keeper\n", 0o644),
        ];
        let tar = directory.path().join("image.tar");
        write(File::create(&tar)?, reference, &files, &run)?;
        site.import_image(&tar)?;
    }
    Ok(())
}
