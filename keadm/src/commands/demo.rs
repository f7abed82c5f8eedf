//! `keadm demo up|down|status`

use anyhow::Context as _;

use crate::args::{Demo, DemoAction, DemoUp};
use crate::demo::{self, Layout, Options};
use crate::printer::Printer;

pub(super) async fn run(demo: Demo, printer: &Printer) -> anyhow::Result<()> {
    let state = std::path::absolute(&demo.state).with_context(|| format!("{}", demo.state.display()))?;
    let layout = Layout::new(state);
    match demo.action {
        DemoAction::Up(up) => demo::up(&layout, &options(up)?, printer).await,
        DemoAction::Down => demo::down(&layout, printer).await,
        DemoAction::Status => demo::status(&layout, printer),
    }
}

fn options(up: DemoUp) -> anyhow::Result<Options> {
    Ok(Options {
        bin_dir: super::bin_dir(up.bin_dir)?,
        app: up.app,
        port_offset: up.port_offset,
        kubeconfig: up.kubeconfig.map(std::path::absolute).transpose()?,
        pods: !up.no_pods,
        cloud: !up.edge_only,
    })
}
