//! Other ground: the same promises on every kind of file system that can be had here, and under worker
//! threads that are terminated in the middle of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::disk;
use crate::filesystem::{KINDS, Mounted};
use crate::lab::{Lab, run as run_command};
use crate::problem::{Harm, Problem};
use crate::report::Row;
use crate::walk::session::{Ground, Said, Session};

const SECTION: &str = "ground";
const PATIENCE: Duration = Duration::from_secs(30);

/// Section 5 of the lab.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let base = lab.folder(SECTION)?;
    let mut rows = Vec::new();
    let mut disks: Vec<Mounted> = Vec::new();
    for kind in &KINDS {
        match kind.missing() {
            Some(why) => rows.push(Row::skipped(SECTION, kind.name, why)),
            None => {
                let disk = disk::mounted(lab, kind, &format!("{SECTION}-{}", kind.name))?;
                rows.push(walk(lab, kind.name, disk.folder(), &Expected::disk(), Ground::Unnamed)?);
                disks.push(disk);
            }
        }
    }
    for kind in ["tmpfs", "ramfs"] {
        let folder = lab.folder(&format!("{SECTION}/{kind}"))?;
        run_command(Command::new("mount").args(["-t", kind, kind]).arg(&folder))?;
        rows.push(walk(lab, kind, &folder, &Expected::memory(), Ground::Unnamed)?);
    }
    rows.push(vfat(lab, &base)?);
    let Some(disk) = disks.first().map(Mounted::folder) else { return Ok(rows) };
    let poor = "no O_TMPFILE, no links";
    rows.push(walk(lab, poor, &disk.join("poor"), &Expected::disk(), Ground::Named)?);
    rows.extend(overlays(lab, disk, &base)?);
    rows.extend(behind_links(lab, disk, &base)?);
    rows.push(workers(lab, disk)?);
    Ok(rows)
}

/// What the results must say there.
struct Expected {
    durable: bool,
    modes: bool,
    /// A file that is there before.
    old: Option<&'static str>,
}

impl Expected {
    fn disk() -> Self {
        Self { durable: true, modes: true, old: None }
    }

    fn memory() -> Self {
        Self { durable: false, ..Self::disk() }
    }
}

/// `workload/ground.mjs` in a folder; a state is a check.
fn walk(lab: &Lab, name: &str, folder: &Path, expected: &Expected, ground: Ground) -> Result<Row> {
    let spec = json!({
        "folder": folder, "durable": expected.durable, "modes": expected.modes, "old": expected.old, "workers": 4,
    });
    let row = Row::new(SECTION, format!("plain walk: {name}"), "");
    checks(Session::start(lab, "ground.mjs", &spec, ground)?, row)
}

/// Counts the lines of a workload until it says that it is done.
fn checks(mut session: Session, mut row: Row) -> Result<Row> {
    loop {
        let line = match session.line(PATIENCE)? {
            Said::Line(line) => line,
            end => {
                let harm = if matches!(end, Said::Nothing) { Harm::Stuck } else { Harm::Untested };
                row.count(Some(harm.told(format!("{}: the process says no more: {end:?}", row.name))));
                return Ok(row);
            }
        };
        if line["done"] == true {
            break;
        }
        let at = format!("{}: {}", row.name, line["check"]);
        let problem = Problem::said(&line)?.map(|problem| problem.at(at));
        if let Some(problem) = &problem {
            eprintln!("bad: {problem}");
        }
        row.count(problem);
        row.states += line["count"].as_u64().unwrap_or(1) - 1;
    }
    match session.end(PATIENCE)? {
        Some(status) if status.success() => {}
        other => row.count(Some(Harm::Stuck.told(format!("{}: it ended with {other:?}", row.name)))),
    }
    Ok(row)
}

/// No `O_TMPFILE`, no links, no modes, no locks to speak of.
fn vfat(lab: &Lab, base: &Path) -> Result<Row> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.trim() == "vfat") || !crate::lab::has("mkfs.vfat") {
        return Ok(Row::skipped(SECTION, "vfat", "needs a kernel with vfat, and mkfs.vfat"));
    }
    let (image, folder) = (base.join("vfat.img"), lab.folder(&format!("{SECTION}/vfat"))?);
    fs::File::create(&image)?.set_len(64 << 20)?;
    run_command(Command::new("mkfs.vfat").arg(&image))?;
    run_command(Command::new("mount").args(["-t", "vfat", "-o", "loop"]).arg(&image).arg(&folder))?;
    walk(lab, "vfat", &folder, &Expected { modes: false, ..Expected::disk() }, Ground::Unnamed)
}

/// overlayfs: on a disk it keeps what it is given, mounted `volatile` it drops every fsync and says nothing.
fn overlays(lab: &Lab, disk: &Path, base: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, durable) in [
        ("overlay", true),
        ("overlay, volatile", false),
        // Lower files have another device's number until they are copied up.
        ("overlay over another file system", true),
    ] {
        let place = disk.join(name.replace([' ', ','], "-"));
        let (upper, work) = (place.join("upper"), place.join("work"));
        let lower = if name.contains("another") { base.join("lower") } else { place.join("lower") };
        let merged = lab.folder(&format!("{SECTION}/{}", name.replace([' ', ','], "-")))?;
        for folder in [&upper, &work, &lower] {
            fs::create_dir_all(folder)?;
        }
        fs::write(lower.join("old.json"), r#"{"n":1}"#)?;
        let overlay = Mounted::overlay(&[&lower], Some((&upper, &work)), !durable, &merged)?;
        let expected = Expected { durable, old: Some("old.json"), ..Expected::disk() };
        rows.push(walk(lab, name, overlay.folder(), &expected, Ground::Unnamed)?);
    }
    Ok(rows)
}

/// A folder that lies on another file system: staged files belong there, and so does the answer to "durable?".
fn behind_links(lab: &Lab, disk: &Path, base: &Path) -> Result<Vec<Row>> {
    let (here, there) = (disk.join("links"), base.join("in-memory"));
    for folder in [&here, &there, &disk.join("on-disk")] {
        fs::create_dir_all(folder)?;
    }
    symlink(&there, here.join("to-memory"))?;
    symlink(disk.join("on-disk"), there.join("to-disk"))?;
    let to_memory = here.join("to-memory/x");
    let to_disk = there.join("to-disk/x");
    Ok(vec![
        walk(lab, "link to a tmpfs", &to_memory, &Expected::memory(), Ground::Unnamed)?,
        walk(lab, "link to a disk", &to_disk, &Expected::disk(), Ground::Unnamed)?,
    ])
}

/// A state is a worker that was terminated.
fn workers(lab: &Lab, disk: &Path) -> Result<Row> {
    let rounds = if lab.short { 5 } else { 60 };
    let spec: Value = json!({ "folder": disk.join("workers"), "rounds": rounds, "workers": 4 });
    let session = Session::start(lab, "workers.mjs", &spec, Ground::Unnamed)?;
    checks(session, Row::new(SECTION, "32 worker threads, terminated", ""))
}
