//! A file system of its own for a test, by the name of its kind.

use anyhow::{Context, Result};

use crate::filesystem::{KINDS, Kind, Mounted};
use crate::lab::Lab;

/// The kind called `name`; `Err` in the `Ok`: why this machine does not have it.
pub fn kind(name: &str) -> Result<Result<&'static Kind, String>> {
    let kind = KINDS.iter().find(|kind| kind.name == name).context("no such kind of file system")?;
    Ok(kind.missing().map_or(Ok(kind), Err))
}

/// Makes and mounts one, in `scratch/NAME`.
pub fn mounted(lab: &Lab, kind: &Kind, name: &str) -> Result<Mounted> {
    let image = lab.scratch.join(format!("{name}.img"));
    kind.make(&image)?;
    Mounted::mount(kind, &image, &lab.scratch.join(name), false)
}
