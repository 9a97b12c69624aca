//! Errors that no tracer makes: a disk that is really full, a limit that is really reached, a drive that
//! fails when the pages are written back. Writes are really short here, and fsync really is the first to know.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::disk as disks;
use crate::drive::Drive;
use crate::filesystem::{KINDS, Kind, Mounted};
use crate::lab::{Lab, run as run_command};
use crate::pages::Pages;
use crate::problem::Harm::{self, FalseFailure, FalseSuccess, Leftover, Lost, Stuck, Torn};
use crate::problem::Problem;
use crate::recorder::Recorder;
use crate::report::Row;
use crate::walk::PATIENCE;
use crate::walk::check::{Content, Found};
use crate::walk::scene::{Scene, UPDATE, WRITE};
use crate::walk::session::{Ground, Session, call_again};
use crate::walk::strace::{Object, Tracer};

const SECTION: &str = "errors";
/// What a full disk has left: less than a file needs, so that its first write is a short one.
const LEFT: u64 = 128 << 10;
const SIZE: usize = 300_000;

const SCENES: [Scene; 3] = [
    Scene { name: "replacement", size: SIZE, ..WRITE },
    Scene { name: "new file", size: SIZE, old: false, ..WRITE },
    Scene { name: "index update", size: SIZE, ..UPDATE },
];

/// Nothing was flushed, so nothing can be verified on the device.
const UNFLUSHED: Scene =
    Scene { name: "unflushed", size: SIZE, options: r#"{"flush":false,"verify":"device"}"#, ..WRITE };
const DEVICE: Scene =
    Scene { name: "verify: 'device'", size: SIZE, options: r#"{"verify":"device"}"#, ..WRITE };

/// All of them; in the short form on one file system of a kind, but a failing drive under every one.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let mut rows = vec![full_tmpfs(lab)?];
    for kind in &KINDS {
        if let Some(why) = kind.missing() {
            rows.push(Row::skipped(SECTION, format!("full and failing {}", kind.name), why));
            continue;
        }
        rows.push(failing(lab, kind)?);
        if lab.short && kind.name != "btrfs" {
            continue;
        }
        let disk = disks::mounted(lab, kind, &format!("full-{}", kind.name))?;
        rows.push(full(lab, disk.folder(), kind.name)?);
        rows.push(limited(lab, disk.folder(), kind.name)?);
    }
    Ok(rows)
}

fn full_tmpfs(lab: &Lab) -> Result<Row> {
    let folder = lab.folder("full-tmpfs")?;
    run_command(Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&folder))?;
    full(lab, &folder, "tmpfs")
}

/// The disk is full; when it is not any more, the same call succeeds.
fn full(lab: &Lab, disk: &Path, ground: &str) -> Result<Row> {
    let mut row = Row::new(SECTION, "the disk is full", ground);
    for scene in &SCENES {
        for files in [Ground::Unnamed, Ground::Named] {
            let folder = disk.join("full");
            scene.prepare(&folder)?;
            let filler = disk.join("filler");
            fill(&filler)?;
            let said = call_again(lab, scene, &folder, files, PATIENCE)?;
            let mut problem = judge(scene, &folder, said.as_ref(), &["ENOSPC"], &["open", "write", "fsync"])?;
            fs::remove_file(&filler)?;
            rustix::fs::syncfs(File::open(disk)?)?;
            if problem.is_none() {
                problem = goes_on(lab, scene, &folder)?;
            }
            row.count(problem.map(|problem| problem.at(format!("full {ground}, {}", scene.name))));
        }
    }
    Ok(row)
}

/// Takes all there is, and gives a little back.
fn fill(filler: &Path) -> Result<()> {
    let mut file = File::create(filler)?;
    let block = vec![0x5a; 1 << 20];
    let mut size = 0;
    // By halves, to the last page.
    let mut step = block.len();
    while step >= 4096 {
        match file.write(&block[..step]) {
            Ok(written) => size += written as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => step /= 2,
            Err(error) => return Err(error).context("filling the disk"),
        }
    }
    // What was not allocated yet, is now.
    let _ = file.sync_all();
    file.set_len(size.saturating_sub(LEFT))?;
    let _ = file.sync_all();
    Ok(())
}

/// `RLIMIT_FSIZE`: the write is short, and the next one fails.
fn limited(lab: &Lab, disk: &Path, ground: &str) -> Result<Row> {
    let mut row = Row::new(SECTION, "RLIMIT_FSIZE is reached", ground);
    for scene in &SCENES {
        let folder = disk.join("limited");
        scene.prepare(&folder)?;
        let spec = scene.spec(&folder, 1, false, &folder)?;
        let session = Session::start_limited(lab, "call.mjs", &spec, LEFT)?;
        session.expect_line(PATIENCE)?;
        let said = session.expect_line(PATIENCE)?;
        let mut problem = judge(scene, &folder, Some(&said), &["EFBIG"], &["write"])?;
        if problem.is_none() {
            problem = goes_on(lab, scene, &folder)?;
        }
        row.count(problem.map(|problem| problem.at(format!("limit on {ground}, {}", scene.name))));
    }
    Ok(row)
}

/// A drive that takes no more writes: the page cache does, and only fsync can tell.
fn failing(lab: &Lab, kind: &Kind) -> Result<Row> {
    let mut row = Row::new(SECTION, "write-back fails", kind.name);
    // Making and mounting takes seconds.
    let scenes = if lab.short { &SCENES[..1] } else { &SCENES };
    for scene in scenes.iter().chain([&DEVICE, &UNFLUSHED]) {
        let problem = fail_write_back(lab, kind, scene)?;
        row.count(problem.map(|problem| problem.at(format!("failing {}, {}", kind.name, scene.name))));
    }
    Ok(row)
}

fn fail_write_back(lab: &Lab, kind: &Kind, scene: &Scene) -> Result<Option<Problem>> {
    let place = lab.folder("failing")?;
    let image = place.join("image");
    kind.make(&image)?;
    let recorder = Arc::new(Recorder::new(kind.size, Pages::load(&image)?));
    fs::remove_file(&image)?;
    let drive = Drive::serve(recorder.clone(), &place.join("drive"))?;
    let mounted = Mounted::mount(kind, &drive.image(), &place.join("disk"), false)?;
    let folder = mounted.folder().join("folder");
    scene.prepare(&folder)?;
    rustix::fs::syncfs(File::open(&folder)?)?;

    let spec = scene.spec(&folder, 1, true, &folder)?;
    let mut session = Session::start(lab, "call.mjs", &spec, Ground::Unnamed)?;
    let ready = session.expect_line(PATIENCE)?;
    let worker = u32::try_from(ready["worker"].as_u64().context("no worker")?)?;
    let tracer = Tracer::attach(worker, None, &place.join("trace"))?;
    recorder.fail_writes.store(true, Ordering::Relaxed);
    session.go()?;
    let said = session.expect_line(PATIENCE)?;
    let calls = tracer.finish(&folder)?;
    session.end(PATIENCE)?;

    let flushes: Vec<_> =
        calls.iter().filter(|call| call.name == "fsync" && call.object == Object::Staged).collect();
    let mut problem = if scene.options == UNFLUSHED.options {
        let result = &said["result"];
        let claims = result["verified"] == "device" || result["durable"] == true;
        claims.then(|| FalseSuccess.told(format!("claims what cannot be: {said}")))
    } else if flushes.len() != 1 || flushes[0].succeeded() {
        Some(FalseSuccess.told(format!("one failed fsync was expected: {flushes:?}, {said}")))
    } else {
        judge(scene, &folder, Some(&said), &["EIO", "EROFS"], &["fsync"])?
    };
    // The drive works again; what the file system did with its journal is its own affair.
    recorder.fail_writes.store(false, Ordering::Relaxed);
    drop(session);
    mounted.unmount()?;
    let mounted = Mounted::mount(kind, &drive.image(), &place.join("disk"), false)?;
    if problem.is_none() && scene.options != UNFLUSHED.options {
        problem = goes_on(lab, scene, &folder)?;
    }
    mounted.unmount()?;
    drop(recorder.log());
    Ok(problem)
}

/// The call was rejected with one of `codes`, in one of `syscalls`, and nothing has changed.
fn judge(
    scene: &Scene,
    folder: &Path,
    said: Option<&Value>,
    codes: &[&str],
    syscalls: &[&str],
) -> Result<Option<Problem>> {
    let Some(said) = said else { return Ok(Some(Stuck.told("it hangs or dies"))) };
    let found = Found::look(scene, folder)?;
    let error = &said["error"];
    let is = |value: &Value, of: &[&str]| of.contains(&value.as_str().unwrap_or_default());
    if !is(&error["code"], codes) || !is(&error["syscall"], syscalls) || error["committed"] == true {
        let harm = if error.is_object() { FalseFailure } else { FalseSuccess };
        return Ok(Some(harm.told(format!("{codes:?} from {syscalls:?} was expected: {said}"))));
    }
    let old = if scene.old { Content::Version(1) } else { Content::Absent };
    if found.target != old {
        return Ok(Some(FalseFailure.told(format!("it changed something: {found:?}"))));
    }
    let left = [found.leftovers, found.strangers].concat();
    if !left.is_empty() {
        return Ok(Some(Harm::of_leftovers(&left).told(format!("left {left:?}"))));
    }
    let leaked = said["leaked"].as_array().context("no list of descriptors")?;
    Ok((!leaked.is_empty()).then(|| Leftover.told(format!("descriptors leaked: {leaked:?}"))))
}

/// The old file is there, and the same call succeeds in a fresh process.
fn goes_on(lab: &Lab, scene: &Scene, folder: &Path) -> Result<Option<Problem>> {
    let before = Found::look(scene, folder)?;
    let old = if scene.old { Content::Version(1) } else { Content::Absent };
    if before.target != old {
        let harm = if matches!(before.target, Content::Torn(_)) { Torn } else { Lost };
        return Ok(Some(harm.told(format!("the old file is {:?}", before.target))));
    }
    let Some(said) = call_again(lab, scene, folder, Ground::Unnamed, PATIENCE)? else {
        return Ok(Some(Stuck.told("the call after it hangs or dies")));
    };
    let found = Found::look(scene, folder)?;
    let fine = found.target == Content::Version(2) && found.leftovers.is_empty() && said["error"].is_null();
    Ok((!fine).then(|| Stuck.told(format!("the next call: {found:?}, {said}"))))
}
