//! `keadm config images` (spec edge-keadm-mapper 7.8)

use std::path::PathBuf;

use proto::config::edgecore::EdgeCore;
use serde_json::json;

use crate::args::{Images, ImagesAction, Part, WhichImages};
use crate::hint::WithHint as _;
use crate::host::Host;
use crate::printer::Printer;

/// What runs in a cluster. Stock has more: what those do is in CloudCore.
const CLOUD: [&str; 1] = ["cloudcore"];

pub(super) async fn run(images: Images, printer: &Printer) -> anyhow::Result<()> {
    match images.action {
        ImagesAction::List(list) => {
            let names = names(&list.which);
            printer.data(&json!({"images": names}), || names.join("\n"))
        }
        ImagesAction::Pull(pull) => {
            let host = super::host(pull.acting.dry_run, printer);
            let socket = pull.remote_runtime_endpoint.strip_prefix("unix://");
            let socket = PathBuf::from(socket.unwrap_or(&pull.remote_runtime_endpoint));
            pull_all(host.as_ref(), &socket, &names(&pull.which), printer).await
        }
    }
}

async fn pull_all(
    host: &dyn Host,
    socket: &std::path::Path,
    names: &[String],
    printer: &Printer,
) -> anyhow::Result<()> {
    for image in names {
        printer.step(format_args!("pulling {image}"));
        host.pull(socket, image).await.hint(|| {
            "--image-repository gives another place; `ctr -n k8s.io images import FILE` takes an image from a file".to_owned()
        })?;
    }
    Ok(())
}

/// The images of a side. At the edge nothing runs in a container but the pods, and they want a pause image.
fn names(which: &WhichImages) -> Vec<String> {
    let version = which.kubeedge_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let version = version.trim_start_matches('v');
    let repository = which.image_repository.trim_end_matches('/');
    let cloud = CLOUD.iter().map(|name| format!("{repository}/{name}:v{version}"));
    let edge = [EdgeCore::default().modules.edged.pod_sandbox_image];
    match which.part {
        Some(Part::Cloud) => cloud.collect(),
        Some(Part::Edge) => edge.into(),
        None => cloud.chain(edge).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Change, Facts, Recording};

    fn which(part: Option<Part>) -> WhichImages {
        let (image_repository, kubeedge_version) =
            ("registry.example/edge/".to_owned(), Some("v1.23.0".to_owned()));
        WhichImages { part, image_repository, kubeedge_version }
    }

    #[test]
    fn images_are_listed_by_side() {
        assert_eq!(names(&which(Some(Part::Cloud))), ["registry.example/edge/cloudcore:v1.23.0"]);
        assert_eq!(names(&which(Some(Part::Edge))), ["kubeedge/pause:3.6"]);
        assert_eq!(names(&which(None)).len(), 2);
    }

    #[tokio::test]
    async fn each_is_pulled() {
        let host = Recording::new(Facts::default(), Printer::quiet());
        let names = names(&which(None));
        pull_all(&host, "/run/c.sock".as_ref(), &names, &Printer::quiet()).await.unwrap();
        assert_eq!(host.changes(), names.into_iter().map(Change::Pull).collect::<Vec<_>>());
    }
}
