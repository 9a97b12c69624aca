//! Runs the workload on a recording disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::names::NOISE;
use super::setting::Setting;
use super::together::slowed;
use super::work::{Promises, Work};
use crate::disk::drive::Drive;
use crate::disk::filesystem::Kind;
use crate::disk::mounted::Mounted;
use crate::disk::pages::Pages;
use crate::disk::recorder::{Entry, Recorder};
use crate::lab::Lab;
use crate::lab::command::run;

/// What to run.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    pub addon: &'a Path,
    /// For `$ATOMIC_MUTANT`.
    pub mutant: Option<&'a str>,
    /// Bytes of a file.
    pub size: usize,
    pub rounds: usize,
    pub setting: Setting,
    pub work: Work,
}

/// The requests that the disk got, and what it held before.
#[derive(Debug)]
pub struct Recording {
    pub base: Pages,
    pub log: Vec<Entry>,
    pub promises: Arc<Promises>,
}

/// Records the workload on a fresh file system.
pub fn record(lab: &Lab, kind: &Kind, folder: &Path, workload: &Workload) -> Result<Recording> {
    let image = folder.join("image");
    kind.make(&image)?;
    let recorder = Arc::new(Recorder::new(kind.size, Pages::load(&image)?));
    fs::remove_file(image)?;
    let drive = Drive::serve(recorder.clone(), &folder.join("record"))?;
    let mounted = Mounted::mount(kind.name, &drive.image(), &folder.join("mounted"), false)?;
    let noise = mounted.folder().join(NOISE);
    fs::create_dir(&noise)?;
    let mut before = workload.setting.lay(workload.work, mounted.folder(), workload.size)?;
    let over = workload.setting.enter(mounted.folder(), &folder.join("merged"))?;
    let in_place = match workload.work {
        Work::Files => {
            let folder = over.as_ref().unwrap_or(&mounted).folder();
            Setting::lay_in_place(folder, workload.size, &mut before)?
        }
        Work::Together => Vec::new(),
    };
    rustix::fs::syncfs(File::open(&noise)?)?;

    let base = recorder.start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let noise = scope.spawn(|| make_noise(&noise, &stop));
        let process = |number: usize| {
            let mut node = lab.node(workload.work.script(), workload.addon);
            node.arg(over.as_ref().unwrap_or(&mounted).folder()).arg(drive.control());
            node.args([workload.size, workload.rounds, number].map(|number| number.to_string()));
            node.env("ATOMIC_MUTANT", workload.mutant.unwrap_or_default());
            workload.setting.staging().confine(&mut node);
            match workload.work {
                Work::Files => run(&mut node),
                Work::Together => run(&mut slowed(&node)),
            }
        };
        let ran = std::thread::scope(|scope| {
            let process = &process;
            let all: Vec<_> =
                (0..workload.work.processes()).map(|number| scope.spawn(move || process(number))).collect();
            let ended =
                all.into_iter().map(|one| one.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?);
            ended.collect::<Vec<Result<_>>>().into_iter().collect::<Result<Vec<_>>>()
        });
        stop.store(true, Ordering::Relaxed);
        noise.join().map_err(|_| anyhow::anyhow!("the noise panicked"))?.context("noise")?;
        ran.map(drop)
    })?;
    let log = recorder.log();
    in_place.into_iter().try_for_each(Mounted::unmount)?;
    over.map(Mounted::unmount).transpose()?;
    mounted.unmount()?;
    let promises = workload.work.promises(&log, before, workload.size)?;
    ensure!(!promises.results().is_empty(), "nothing was acknowledged");
    Ok(Recording { base, log, promises: Arc::new(promises) })
}

/// Flushes other files of the same file system all the time, as other programs do. Without it, a rename stays in
/// memory together with data that was never flushed, and broken protocols pass.
pub(super) fn make_noise(folder: &Path, stop: &AtomicBool) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(7);
    for turn in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut file = File::create(folder.join(format!("file-{}", turn % 4)))?;
        file.write_all(&turn.to_le_bytes())?;
        file.sync_all()?;
        std::thread::sleep(Duration::from_micros(rng.u64(0..1500)));
    }
    Ok(())
}
