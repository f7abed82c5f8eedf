//! `keadm mapper new`

use anyhow::Context as _;
use mapper_framework::generator::{self, Source};

use crate::args::{Mapper, MapperAction};
use crate::hint::WithHint as _;
use crate::printer::Printer;

pub(super) fn run(mapper: Mapper, printer: &Printer) -> anyhow::Result<()> {
    let MapperAction::New(new) = mapper.action;
    let folder = new.output.unwrap_or_else(|| format!("{}-mapper", new.name).into());
    let framework = new.framework.map(std::path::absolute).transpose().context("the framework's folder")?;
    let source = framework.map_or(Source::Repository, Source::Path);
    let files = generator::generate(&new.name, &source, &folder);
    let files = files.hint(|| "give another name, or another folder with --output".to_owned())?;
    let folder = folder.display();
    printer.step(format_args!("wrote {} files to {folder}", files.len()));
    printer.line(format_args!(
        "\nGo on:\n  cd {folder}\n  cargo test\n  cargo run -- --simulate manifests/devices.yaml"
    ));
    Ok(())
}
