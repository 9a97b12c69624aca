//! Section: the same promises on every kind of file system that this machine has, and under worker threads that are
//! terminated while they write.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::disk::filesystem::Kind;
use crate::disk::mounted::Mounted;
use crate::lab::budget::Budget;
use crate::lab::command::{has, run as run_command};
use crate::lab::order::Order;
use crate::lab::parallel::{self, Plan};
use crate::lab::staging::Staging;
use crate::lab::{Lab, stop};
use crate::report::problem::{Harm, Problem};
use crate::report::{Findings, Row};
use crate::walk::Patience;
use crate::walk::session::{Reply, Session};

const SECTION: &str = "filesystems";
const THREADS: usize = 2;

/// How many checks `workload/filesystems.mjs` makes.
const CHECKS: u64 = 14;

/// How often worker threads are terminated, and how many at a time.
const ROUNDS: u64 = 60;
const ROUNDS_IN_A_SAMPLE: u64 = 2;
const WORKERS: u64 = 32;

/// Where the promises are checked.
#[derive(Clone, Copy, Debug)]
enum Place {
    Disk(&'static Kind),
    /// A tmpfs or a ramfs.
    Memory(&'static str),
    /// No `O_TMPFILE`, no links, no modes.
    Vfat,
    /// A filter refuses `O_TMPFILE` and links.
    Filtered,
    /// It keeps its files on a disk.
    Overlay,
    /// It drops every fsync without an error.
    VolatileOverlay,
    /// Its lower files have another device's number until they are copied up.
    OverlayOverAnother,
    /// A link on a disk leads into memory: staged files belong there, and nothing is durable.
    LinkToMemory,
    /// A link in memory leads to a disk.
    LinkToDisk,
    /// A disk, with worker threads that are terminated.
    Workers,
}

/// Runs the section.
pub fn run(lab: &Lab, budget: Budget) -> Result<Findings> {
    let (places, skipped) = places()?;
    let order = Order::new(places.len(), budget, &mut lab.rng(SECTION))
        .at_least_one_of_each(|place| places[place].floor());
    let plan = Plan { name: SECTION, items: &places, order, budget, threads: THREADS };
    let rounds = if budget.is_limited() { ROUNDS_IN_A_SAMPLE } else { ROUNDS };
    let check = |(): &(), place: &Place| {
        let row = place.check(lab, rounds)?;
        lab.tally.add(&row);
        Ok(row)
    };
    let done = parallel::each(&plan, |_| Ok(()), check)?;
    let planned = |place: &Place| if matches!(place, Place::Workers) { rounds * WORKERS } else { CHECKS };
    let done = places.iter().zip(done).map(|(place, row)| (planned(place), row));
    let mut findings = Findings::sum(SECTION, "checks", done);
    // The workers of the rounds that a sample leaves out.
    let left_out =
        if places.iter().any(|place| matches!(place, Place::Workers)) { ROUNDS - rounds } else { 0 };
    findings.coverage.of = findings.coverage.of.map(|of| of + left_out * WORKERS);
    findings.rows.extend(skipped);
    Ok(findings)
}

/// All places that this machine has, and rows for those that it does not.
fn places() -> Result<(Vec<Place>, Vec<Row>)> {
    use Place::{
        Disk, Filtered, LinkToDisk, LinkToMemory, Memory, Overlay, OverlayOverAnother, Vfat, VolatileOverlay,
        Workers,
    };
    let (here, missing) = Kind::all();
    let skip = |what: &str, why: String| Row::skipped(SECTION, what, why);
    let mut skipped: Vec<Row> = missing.into_iter().map(|(kind, why)| skip(kind.name, why)).collect();
    let mut places: Vec<Place> = here.iter().map(|kind| Disk(kind)).collect();
    places.extend([Memory("tmpfs"), Memory("ramfs")]);
    if has("mkfs.vfat") && fs::read_to_string("/proc/filesystems")?.lines().any(|line| line.trim() == "vfat")
    {
        places.push(Vfat);
    } else {
        skipped.push(skip("vfat", "needs a kernel with vfat, and mkfs.vfat".into()));
    }
    if Kind::FIRST.missing().is_none() {
        places.extend([Filtered, Overlay, VolatileOverlay, OverlayOverAnother]);
        places.extend([LinkToMemory, LinkToDisk, Workers]);
    }
    Ok((places, skipped))
}

impl Place {
    /// In a sample, one walk on a disk, and the workers.
    fn floor(self) -> u8 {
        match self {
            Self::Disk(_) => 0,
            Self::Workers => 1,
            _ => 2,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Disk(kind) => kind.name,
            Self::Memory(name) => name,
            Self::Vfat => "vfat",
            Self::Filtered => "no O_TMPFILE, no links",
            Self::Overlay => "overlay",
            Self::VolatileOverlay => "overlay, volatile",
            Self::OverlayOverAnother => "overlay over another file system",
            Self::LinkToMemory => "link to a tmpfs",
            Self::LinkToDisk => "link to a disk",
            Self::Workers => return format!("{WORKERS} worker threads, terminated"),
        }
        .into()
    }

    /// Makes the place, and checks the promises there.
    fn check(self, lab: &Lab, rounds: u64) -> Result<Row> {
        let base = lab.folder(&format!("{SECTION}/{}", self.name().replace([' ', ','], "-")))?;
        let disk = || Mounted::new(Kind::FIRST, &base.join("disk"));
        let on_disk = Walk { durable: true, modes: true, old: None, staging: Staging::Unnamed };
        let in_memory = Walk { durable: false, ..on_disk };
        let walk = |walk: Walk, folder: &Path| walk.run(lab, &self.name(), folder);
        match self {
            Self::Disk(kind) => walk(on_disk, Mounted::new(kind, &base.join("disk"))?.folder()),
            Self::Memory(name) => {
                walk(in_memory, Mounted::in_memory(name, None, &base.join("memory"))?.folder())
            }
            Self::Vfat => walk(Walk { modes: false, ..on_disk }, vfat(&base)?.folder()),
            Self::Filtered => walk(Walk { staging: Staging::Named, ..on_disk }, disk()?.folder()),
            Self::Overlay | Self::VolatileOverlay | Self::OverlayOverAnother => {
                let disk = disk()?;
                let volatile = matches!(self, Self::VolatileOverlay);
                let lower = if matches!(self, Self::OverlayOverAnother) { &base } else { disk.folder() };
                let overlay = overlay(&lower.join("lower"), disk.folder(), volatile, &base.join("merged"))?;
                walk(Walk { durable: !volatile, old: Some("old.json"), ..on_disk }, overlay.folder())
            }
            Self::LinkToMemory => {
                let disk = disk()?;
                symlink(lab.folder(&format!("{SECTION}/in-memory"))?, disk.folder().join("link"))?;
                walk(in_memory, &disk.folder().join("link/x"))
            }
            Self::LinkToDisk => {
                let disk = disk()?;
                symlink(disk.folder(), base.join("link"))?;
                walk(on_disk, &base.join("link/x"))
            }
            Self::Workers => {
                let disk = disk()?;
                let spec = json!({ "folder": disk.folder().join("workers"), "rounds": rounds, "workers": 4 });
                let session = Session::start(lab, "workers.mjs", &spec, Staging::Unnamed)?;
                let mut row = checks(session, Row::new(SECTION, self.name(), ""))?;
                row.interrupted = stop::is_asked() && row.states < rounds * WORKERS;
                Ok(row)
            }
        }
    }
}

/// What the results of a walk through `workload/filesystems.mjs` must be.
#[derive(Clone, Copy, Debug)]
struct Walk {
    durable: bool,
    modes: bool,
    /// A file that is there before.
    old: Option<&'static str>,
    staging: Staging,
}

impl Walk {
    fn run(self, lab: &Lab, name: &str, folder: &Path) -> Result<Row> {
        let Self { durable, modes, old, staging } = self;
        let spec = json!({ "folder": folder, "durable": durable, "modes": modes, "old": old, "workers": 4 });
        let row = Row::new(SECTION, format!("plain walk: {name}"), "");
        checks(Session::start(lab, "filesystems.mjs", &spec, staging)?, row)
    }
}

/// Counts the lines of a workload until its last one.
fn checks(mut session: Session, mut row: Row) -> Result<Row> {
    loop {
        let line = match session.line(Patience::USUAL)? {
            Reply::Line(line) => line,
            end => {
                let harm = if matches!(end, Reply::Stuck) { Harm::Stuck } else { Harm::Untested };
                row.count(Some(harm.problem(format!("{}: no line after this: {end:?}", row.name))));
                return Ok(row);
            }
        };
        if line["done"] == true {
            break;
        }
        let at = format!("{}: {}", row.name, line["check"]);
        row.count(Problem::reported(&line)?.map(|problem| problem.at(at)));
        row.states += line["count"].as_u64().unwrap_or(1) - 1;
        if stop::is_asked() {
            session.last_round();
        }
    }
    match session.end()? {
        Some(status) if status.success() => {}
        other => row.count(Some(Harm::Stuck.problem(format!("{}: it ended with {other:?}", row.name)))),
    }
    Ok(row)
}

fn vfat(base: &Path) -> Result<Mounted> {
    let (image, folder) = (base.join("vfat.img"), base.join("disk"));
    fs::create_dir_all(&folder)?;
    fs::File::create(&image)?.set_len(64 << 20)?;
    run_command(Command::new("mkfs.vfat").arg(&image))?;
    Mounted::mount("vfat", &image, &folder, false)
}

fn overlay(lower: &Path, disk: &Path, volatile: bool, merged: &Path) -> Result<Mounted> {
    let (upper, work) = (disk.join("upper"), disk.join("work"));
    for folder in [lower, &upper, &work] {
        fs::create_dir_all(folder)?;
    }
    fs::write(lower.join("old.json"), r#"{"n":1}"#)?;
    Mounted::overlay(&[lower], Some((&upper, &work)), volatile, merged)
}
