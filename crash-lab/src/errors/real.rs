//! Errors without a tracer: a disk that is really full, a limit that is really reached, a drive that fails when the
//! pages are written back. Here writes are really short, and fsync really is the first to know.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::disk::drive::Drive;
use crate::disk::filesystem::Kind;
use crate::disk::mounted::Mounted;
use crate::disk::pages::Pages;
use crate::disk::recorder::Recorder;
use crate::lab::Lab;
use crate::lab::staging::Staging;
use crate::report::problem::Harm::{self, FalseFailure, FalseSuccess, Leftover, Lost, Stuck, Torn};
use crate::report::problem::Problem;
use crate::walk::check::{Content, Found};
use crate::walk::scene::{Scene, UPDATE, WRITE};
use crate::walk::session::{Session, call_again};
use crate::walk::strace::{Object, Tracer};

/// What a full disk has left: less than a file needs, so that its first write is a short one.
const LEFT: u64 = 128 << 10;
const SIZE: usize = 300_000;

static SCENES: [Scene; 3] = [
    Scene { name: "replacement", size: SIZE, ..WRITE },
    Scene { name: "new file", size: SIZE, old: false, ..WRITE },
    Scene { name: "index update", size: SIZE, ..UPDATE },
];

/// Nothing was flushed, so nothing can be verified on the device.
static UNFLUSHED: Scene =
    Scene { name: "unflushed", size: SIZE, options: r#"{"flush":false,"verify":"device"}"#, ..WRITE };
static DEVICE: Scene =
    Scene { name: "verify: 'device'", size: SIZE, options: r#"{"verify":"device"}"#, ..WRITE };

/// A fault, and the call that meets it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    cause: Cause,
    /// `None`: a tmpfs.
    kind: Option<&'static Kind>,
    scene: &'static Scene,
    staging: Staging,
}

#[derive(Clone, Copy, Debug)]
enum Cause {
    /// The disk is full. When it no longer is, the same call succeeds.
    Full,
    /// `RLIMIT_FSIZE`: the write is short, and the next one fails.
    Limit,
    /// A drive that takes no more writes. The page cache still does, so only fsync fails.
    WriteBack,
}

/// All of them, and which file systems this machine does not have, with the reasons.
pub fn faults() -> (Vec<Fault>, Vec<(String, String)>) {
    let mut faults = Vec::new();
    let mut add = |cause, kind, scene, staging| faults.push(Fault { cause, kind, scene, staging });
    let (here, missing) = Kind::all();
    for kind in std::iter::once(None).chain(here.into_iter().map(Some)) {
        for scene in &SCENES {
            for staging in Staging::ALL {
                add(Cause::Full, kind, scene, staging);
            }
            if kind.is_some() {
                add(Cause::Limit, kind, scene, Staging::Unnamed);
                add(Cause::WriteBack, kind, scene, Staging::Unnamed);
            }
        }
        if kind.is_some() {
            for scene in [&DEVICE, &UNFLUSHED] {
                add(Cause::WriteBack, kind, scene, Staging::Unnamed);
            }
        }
    }
    let missing = missing.into_iter().map(|(kind, why)| (format!("full and failing {}", kind.name), why));
    (faults, missing.collect())
}

impl Fault {
    /// For tables.
    pub fn name(&self) -> &'static str {
        match self.cause {
            Cause::Full => "the disk is full",
            Cause::Limit => "RLIMIT_FSIZE is reached",
            Cause::WriteBack => "write-back fails",
        }
    }

    /// The file system.
    pub fn place(&self) -> &'static str {
        self.kind.map_or("tmpfs", |kind| kind.name)
    }

    /// Makes the call. `Some`: what was wrong about it.
    pub fn make(&self, lab: &Lab) -> Result<Option<Problem>> {
        static PLACES: AtomicUsize = AtomicUsize::new(0);
        let place = lab.folder(&format!("fault-{}", PLACES.fetch_add(1, Ordering::Relaxed)))?;
        let problem = match (self.cause, self.kind) {
            (Cause::WriteBack, Some(kind)) => fail_write_back(lab, kind, self.scene, &place)?,
            (Cause::Limit, _) => reach_limit(lab, self.scene, self.disk(&place)?.folder())?,
            _ => fill_disk(lab, self.scene, self.staging, self.disk(&place)?.folder())?,
        };
        fs::remove_dir_all(place)?;
        Ok(problem
            .map(|problem| problem.at(format!("{} ({}), {}", self.name(), self.place(), self.scene.name))))
    }

    /// A new file system for it.
    fn disk(&self, place: &Path) -> Result<Mounted> {
        let folder = place.join("disk");
        match self.kind {
            Some(kind) => Mounted::new(kind, &folder),
            None => Mounted::in_memory("tmpfs", Some(c"size=8m"), &folder),
        }
    }
}

fn fill_disk(lab: &Lab, scene: &Scene, staging: Staging, disk: &Path) -> Result<Option<Problem>> {
    let folder = disk.join("full");
    scene.prepare(&folder)?;
    let filler = disk.join("filler");
    fill(&filler)?;
    let answer = call_again(lab, scene, &folder, staging)?;
    let problem = judge(scene, &folder, answer.as_ref(), &["ENOSPC"], &["open", "write", "fsync"])?;
    fs::remove_file(&filler)?;
    rustix::fs::syncfs(File::open(disk)?)?;
    if problem.is_some() { Ok(problem) } else { goes_on(lab, scene, &folder) }
}

/// Takes all space there is, and gives a little back.
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
    // Now everything is allocated.
    let _ = file.sync_all();
    file.set_len(size.saturating_sub(LEFT))?;
    let _ = file.sync_all();
    Ok(())
}

fn reach_limit(lab: &Lab, scene: &Scene, disk: &Path) -> Result<Option<Problem>> {
    let folder = disk.join("limited");
    scene.prepare(&folder)?;
    let spec = scene.spec(&folder, 1, false, &folder)?;
    let session = Session::start_limited(lab, "call.mjs", &spec, LEFT)?;
    session.expect_line()?;
    let answer = session.expect_line()?;
    let problem = judge(scene, &folder, Some(&answer), &["EFBIG"], &["write"])?;
    if problem.is_some() { Ok(problem) } else { goes_on(lab, scene, &folder) }
}

fn fail_write_back(lab: &Lab, kind: &Kind, scene: &Scene, place: &Path) -> Result<Option<Problem>> {
    let image = place.join("image");
    kind.make(&image)?;
    let recorder = Arc::new(Recorder::new(kind.size, Pages::load(&image)?));
    fs::remove_file(&image)?;
    let drive = Drive::serve(recorder.clone(), &place.join("drive"))?;
    let mounted = Mounted::mount(kind.name, &drive.image(), &place.join("disk"), false)?;
    let folder = mounted.folder().join("folder");
    scene.prepare(&folder)?;
    rustix::fs::syncfs(File::open(&folder)?)?;

    let spec = scene.spec(&folder, 1, true, &folder)?;
    let mut session = Session::start(lab, "call.mjs", &spec, Staging::Unnamed)?;
    let ready = session.expect_line()?;
    let worker = u32::try_from(ready["worker"].as_u64().context("no worker")?)?;
    let tracer = Tracer::attach(worker, false, None, &place.join("trace"))?;
    recorder.fail_writes.store(true, Ordering::Relaxed);
    session.go()?;
    let answer = session.expect_line()?;
    let calls = tracer.finish(&folder)?;
    session.end()?;

    let flushes: Vec<_> =
        calls.iter().filter(|call| call.name == "fsync" && call.object == Object::Staged).collect();
    let mut problem = if scene.options == UNFLUSHED.options {
        let result = &answer["result"];
        let claims = result["verified"] == "device" || result["durable"] == true;
        claims.then(|| FalseSuccess.problem(format!("claims what cannot be: {answer}")))
    } else if flushes.len() != 1 || flushes[0].succeeded() {
        Some(FalseSuccess.problem(format!("one failed fsync was expected: {flushes:?}, {answer}")))
    } else {
        judge(scene, &folder, Some(&answer), &["EIO", "EROFS"], &["fsync"])?
    };
    // The drive works again. What the file system did with its journal does not matter here.
    recorder.fail_writes.store(false, Ordering::Relaxed);
    drop(session);
    mounted.unmount()?;
    let mounted = Mounted::mount(kind.name, &drive.image(), &place.join("disk"), false)?;
    if problem.is_none() && scene.options != UNFLUSHED.options {
        problem = goes_on(lab, scene, &folder)?;
    }
    mounted.unmount()?;
    drop(recorder.log());
    Ok(problem)
}

/// The call must be rejected with one of `codes`, in one of `syscalls`, and change nothing.
fn judge(
    scene: &Scene,
    folder: &Path,
    answer: Option<&Value>,
    codes: &[&str],
    syscalls: &[&str],
) -> Result<Option<Problem>> {
    let Some(answer) = answer else { return Ok(Some(Stuck.problem("it hangs or dies"))) };
    let found = Found::look(scene, folder)?;
    let error = &answer["error"];
    let is = |value: &Value, of: &[&str]| of.contains(&value.as_str().unwrap_or_default());
    if !is(&error["code"], codes) || !is(&error["syscall"], syscalls) || error["committed"] == true {
        let harm = if error.is_object() { FalseFailure } else { FalseSuccess };
        return Ok(Some(harm.problem(format!("{codes:?} from {syscalls:?} was expected: {answer}"))));
    }
    let old = if scene.old { Content::Version(1) } else { Content::Absent };
    if found.target != old {
        return Ok(Some(FalseFailure.problem(format!("it changed something: {found:?}"))));
    }
    let left = [found.leftovers, found.unexpected].concat();
    if !left.is_empty() {
        return Ok(Some(Harm::of_leftovers(&left).problem(format!("left {left:?}"))));
    }
    let leaked = answer["leaked"].as_array().context("no list of descriptors")?;
    Ok((!leaked.is_empty()).then(|| Leftover.problem(format!("descriptors leaked: {leaked:?}"))))
}

/// The old file must be there, and the same call must succeed in a fresh process.
fn goes_on(lab: &Lab, scene: &Scene, folder: &Path) -> Result<Option<Problem>> {
    let before = Found::look(scene, folder)?;
    let old = if scene.old { Content::Version(1) } else { Content::Absent };
    if before.target != old {
        let harm = if matches!(before.target, Content::Torn(_)) { Torn } else { Lost };
        return Ok(Some(harm.problem(format!("the old file is {:?}", before.target))));
    }
    let Some(answer) = call_again(lab, scene, folder, Staging::Unnamed)? else {
        return Ok(Some(Stuck.problem("the call after it hangs or dies")));
    };
    let found = Found::look(scene, folder)?;
    let fine = found.target == Content::Version(2) && found.leftovers.is_empty() && answer["error"].is_null();
    Ok((!fine).then(|| Stuck.problem(format!("the next call: {found:?}, {answer}"))))
}
