//! `keadm bundle`: makes and looks through what `join` and `upgrade edge` take with `--bundle`.

use serde_json::json;

use crate::args::{Bundle as Args, BundleAction, BundleCreate};
use crate::bundle::{Bundle, Entry, Manifest, Plan};
use crate::host::Host;
use crate::printer::Printer;

const MIB: u64 = 1 << 20;

pub(super) fn run(bundle: &Args, printer: &Printer) -> anyhow::Result<()> {
    match &bundle.action {
        BundleAction::Create(create) => {
            create_with(super::host(create.acting.dry_run, printer).as_ref(), create, printer)
        }
        BundleAction::Show(show) => {
            let bundle = Bundle::open(&show.file)?;
            printer.data(bundle.manifest(), || text(bundle.manifest()))
        }
    }
}

fn create_with(host: &dyn Host, create: &BundleCreate, printer: &Printer) -> anyhow::Result<()> {
    printer.step("looking at what goes in");
    let version = create.kubeedge_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let plan = Plan::new(&create.binaries, &create.image, version)?;
    for entry in &plan.manifest.files {
        printer.already(line(entry));
    }
    if plan.manifest.pause().is_none() {
        printer.note(
            "none of the images is called pause: a machine whose container runtime lacks its image of sandboxes cannot run pods",
        );
    }
    printer.step(format_args!("writing {}", create.output_path.display()));
    host.pack(&plan, &create.output_path)?;
    printer.result(&json!({"file": create.output_path, "manifest": plan.manifest}))
}

fn text(manifest: &Manifest) -> String {
    let head = format!("version {}, for {}\n", manifest.version, manifest.architecture);
    std::iter::once(head).chain(manifest.files.iter().map(|entry| line(entry) + "\n")).collect()
}

fn line(entry: &Entry) -> String {
    let Entry { path, size, sha256, images } = entry;
    let images = if images.is_empty() { String::new() } else { format!("  {}", images.join(", ")) };
    format!("{path:24} {:>5} MiB  {sha256:.12}{images}", size.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args as All, Command};
    use crate::bundle::testing;
    use crate::host::{Change, Facts, Recording, System};

    fn bundle(words: &[&str]) -> Args {
        match All::try_parse_from(["keadm", "bundle"].iter().chain(words)).unwrap().command {
            Command::Bundle(bundle) => bundle,
            other => panic!("not bundle: {other:?}"),
        }
    }

    #[test]
    fn what_was_made_is_shown() {
        let dir = testing::things();
        let folder = dir.path().to_str().unwrap();
        let (image, file) = (format!("{folder}/pause.tar"), format!("{folder}/edge.tar.gz"));
        let words =
            ["create", "--binaries", folder, "--image", &image, "-o", &file, "--kubeedge-version", "v0.2.0"];
        let Args { action: BundleAction::Create(create) } = bundle(&words) else { panic!("not create") };
        let dry = Recording::new(Facts::default(), Printer::quiet());
        create_with(&dry, &create, &Printer::quiet()).unwrap();
        assert_eq!(dry.changes(), [Change::Pack(file.clone().into())]);
        create_with(&System, &create, &Printer::quiet()).unwrap();
        let printer = Printer::capturing();
        run(&bundle(&["show", &file]), &printer).unwrap();
        let is_sum = |word: &&str| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let shown = printer.captured();
        let sum =
            shown.split_whitespace().filter(is_sum).fold(shown.clone(), |text, sum| text.replace(sum, "SUM"));
        insta::assert_snapshot!(sum.replace("amd64", "ARCHITECTURE").replace("arm64", "ARCHITECTURE"));
    }

    #[test]
    fn a_folder_without_programs_says_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        let words = ["create", "--binaries", folder, "-o", "/nowhere/x"];
        let error = run(&bundle(&words), &Printer::quiet()).unwrap_err();
        assert!(crate::hint::of(&error).unwrap().to_string().contains("make package"), "{error:#}");
    }
}
