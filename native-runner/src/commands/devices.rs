//! `crossrank devices`: what this build can run on.

use crossrank::{DeviceInfo, DeviceKind, devices};
use serde_json::json;

use crate::cli::{DevicesArguments, ListFormat};
use crate::output::{columns, write_line, write_stdout};

pub(crate) fn run(arguments: &DevicesArguments) -> anyhow::Result<()> {
    let devices = devices();
    let chosen = chosen_by_auto(&devices);
    let mut text = Vec::new();
    match arguments.format {
        ListFormat::Table => {
            let head = ["name", "kind", "backend", "f16", "auto"].map(str::to_owned);
            let row = |(index, device): (usize, &DeviceInfo)| {
                let yes = |is| if is { "yes" } else { "" }.to_owned();
                let kind = kind(device.kind).to_owned();
                [
                    device.name.clone(),
                    kind,
                    device.backend.clone(),
                    yes(device.f16),
                    yes(chosen == Some(index)),
                ]
            };
            let rows: Vec<_> = std::iter::once(head).chain(devices.iter().enumerate().map(row)).collect();
            text = columns(&rows);
        }
        ListFormat::Json => {
            let object = |(index, device): (usize, &DeviceInfo)| {
                json!({
                    "name": device.name, "kind": kind(device.kind), "backend": device.backend, "f16": device.f16,
                    "max_buffer_bytes": device.max_buffer_bytes, "auto": chosen == Some(index),
                })
            };
            write_line(&mut text, &devices.iter().enumerate().map(object).collect::<Vec<_>>())?;
        }
    }
    write_stdout(&text)
}

/// `--device auto` takes a real GPU, else the CPU.
fn chosen_by_auto(devices: &[DeviceInfo]) -> Option<usize> {
    let first = |kind| devices.iter().position(|device| device.kind == kind);
    first(DeviceKind::Gpu).or_else(|| first(DeviceKind::Cpu))
}

fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Cpu => "cpu",
        DeviceKind::Gpu => "gpu",
        DeviceKind::Software => "software",
    }
}
