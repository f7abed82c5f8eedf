//! A simulated room, the mapper that drives it, and what the cloud sees of both.

use std::process::Command;

use anyhow::Context as _;
use kube::api::Api;
use proto::api::device::{Device, DeviceModel, DeviceStatus};

use super::daemons::{client, within};
use super::pods::create;
use super::{Layout, Options, Ports, preflight};
use crate::hint::WithHint as _;
use crate::printer::Printer;

/// What the virtual mapper ships as its example: a DeviceModel and a Device.
const MANIFEST: &str = include_str!("../../../mapper-framework/mappers/virtual/manifests/devices.yaml");
/// Name of the device in it.
const ROOM: &str = "room-1";
/// The property that is waited for.
const TEMPERATURE: &str = "temperature";

/// Starts the mapper when it is not running. In a cluster it would be a pod of the node; here it is a process, as EdgeCore is.
pub(super) fn start_mapper(
    layout: &Layout,
    options: &Options,
    ports: Ports,
    printer: &Printer,
) -> anyhow::Result<()> {
    let process = layout.mapper();
    if let Some(pid) = process.pid() {
        printer.already(format_args!("the virtual mapper is running, pid {pid}"));
        return Ok(());
    }
    preflight::check_port(ports.mapper, "the virtual mapper, REST")?;
    printer.step("starting the virtual mapper");
    let sockets = layout.sockets();
    let config = format!(
        "grpc_server: {{socket_path: {}}}\ncommon:\n  protocol: virtual\n  edgecore_sock: {}\n  http_port: {}\n",
        sockets.join("virtual.sock").display(),
        sockets.join("dmi.sock").display(),
        ports.mapper,
    );
    let file = layout.path("mapper/config.yaml");
    certs::files::write_atomically(&file, config.as_bytes(), certs::files::MODE_SECRET)?;
    let program = options.bin_dir.join("virtual-mapper");
    process.start(Command::new(program).arg("--config-file").arg(file)).map(drop)
}

/// Makes the model and the device, as far as they are not there.
pub(super) async fn apply(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    let client = client(layout).await?;
    let [model, device] = documents().context("the mapper's example is a DeviceModel and a Device")?;
    let made = async {
        create::<DeviceModel>(&client, model, printer).await?;
        create::<Device>(&client, device, printer).await
    };
    made.await.hint(|| "on a cluster of your own: kubectl apply -f build/crds".to_owned())
}

fn documents() -> Option<[&'static str; 2]> {
    MANIFEST.split_once("\n---\n").map(|(model, device)| [model, device])
}

/// Waits until the cloud knows how warm it is.
pub(super) async fn wait_for_temperature(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    printer.step("waiting for the temperature of the room");
    let statuses: Api<DeviceStatus> = Api::default_namespaced(client(layout).await?);
    within("the temperature is reported", &layout.mapper(), || async {
        let status = statuses.get(ROOM).await?;
        value(&status, TEMPERATURE).map(drop).context("nothing is reported yet")
    })
    .await
}

/// Prints the device.
pub(super) async fn show(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    let statuses: Api<DeviceStatus> = Api::default_namespaced(client(layout).await?);
    let status = statuses.get(ROOM).await.with_context(|| format!("get DeviceStatus {ROOM}"))?;
    printer.line("");
    for line in lines(&status) {
        printer.line(line);
    }
    Ok(())
}

/// Prints what can be done with the device.
pub(super) fn hints(layout: &Layout, ports: Ports, printer: &Printer) {
    let patch = r#"[{"op": "replace", "path": "/spec/properties/1/desired/value", "value": "25"}]"#;
    let lamp = format!("http://127.0.0.1:{}/api/v1/device/default/{ROOM}/lamp", ports.mapper);
    printer.line("  kubectl get device,devicestatus -o wide");
    printer.line(format_args!("  kubectl patch device {ROOM} --type=json -p '{patch}'"));
    printer.line(format_args!("  tail -f {}", layout.mapper().log().display()));
    printer.line(format_args!("  curl -X PUT -d true {lamp}"));
}

fn value<'a>(status: &'a DeviceStatus, property: &str) -> Option<&'a str> {
    let twin = status.status.twins.iter().find(|twin| twin.property_name == property)?;
    twin.reported.as_ref().map(|reported| reported.text()).filter(|text| !text.is_empty())
}

fn lines(status: &DeviceStatus) -> Vec<String> {
    let mut lines =
        vec![format!("{:<16} {:<10} {:<16} {:<10} DESIRED", "DEVICE", "STATE", "PROPERTY", "REPORTED")];
    for twin in &status.status.twins {
        let reported = twin.reported.as_ref().map_or("", |value| value.text());
        let desired = twin.observed_desired.as_ref().map_or("", |value| value.text());
        let state = &status.status.state;
        lines.push(format!("{ROOM:<16} {state:<10} {:<16} {reported:<10} {desired}", twin.property_name));
    }
    lines
}

#[cfg(test)]
mod tests {
    use proto::api::device::{Twin, TwinProperty};

    use super::*;

    #[test]
    fn the_example_is_of_this_node_and_its_target_is_where_the_hint_says() {
        let [model, device] = documents().unwrap();
        let model: DeviceModel = serde_saphyr::from_str(model).unwrap();
        let device: Device = serde_saphyr::from_str(device).unwrap();
        assert_eq!(device.spec.model(), model.metadata.name.unwrap());
        assert_eq!(
            (device.spec.node_name.as_str(), device.metadata.name.as_deref()),
            (crate::demo::NODE, Some(ROOM))
        );
        assert_eq!(device.spec.properties[1].name, "target");
        assert!(model.spec.property(TEMPERATURE).is_some());
    }

    #[test]
    fn only_what_is_reported_is_a_value() {
        let twin = |text: &str| Twin {
            property_name: TEMPERATURE.to_owned(),
            reported: Some(TwinProperty::new(text)),
            observed_desired: None,
        };
        let mut status = DeviceStatus::default();
        assert_eq!(value(&status, TEMPERATURE), None);
        status.status.twins = vec![twin("")];
        assert_eq!(value(&status, TEMPERATURE), None);
        status.status.twins = vec![twin("20.5")];
        assert_eq!(value(&status, TEMPERATURE), Some("20.5"));
        assert_eq!(lines(&status)[1], "room-1                      temperature      20.5       ");
    }
}
