//! Faults other than power cuts that a step of the protocol is there for, each on a real file system.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;

use crate::disk::drive::Drive;
use crate::disk::filesystem::Kind;
use crate::disk::lossy_drive::LossyDrive;
use crate::disk::mounted::Mounted;
use crate::disk::pages::Pages;
use crate::lab::Lab;
use crate::lab::command::{has, run};
use crate::power::slowed as between_renames;
use crate::report::Row;
use crate::report::problem::Problem;

/// How large a file may become where writes are to be short.
const LIMIT: u64 = 100_000;
const PROCESSES: usize = 4;

/// How often each process updates an index, and how often a fault is made that shows each time: in a sample until it shows, and if it does not,
/// once of each kind (of torn files there are two).
const UPDATES: usize = 100;
const UPDATES_IN_A_SAMPLE: usize = 30;
const TRIES: usize = 4;
const TRIES_IN_A_SAMPLE: usize = 2;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// write(2) takes less than it was given, and the rest then fails.
    ShortWrite,
    /// The drive loses writes without an error.
    LossyDrive,
    /// Not a fault: processes that take turns on one index.
    ManyProcesses,
    /// The same, on one root, with transactions that have no file in common.
    Turns,
    /// Somebody changes an index while a transaction works on it.
    Meanwhile,
    /// A transaction is killed, and a process that lives on updates one of its indexes.
    Survivor,
    /// A transaction is killed, and somebody replaces one of its files.
    Foreign,
    /// A transaction is killed, and its record, or a staged file, is not on the disk to its end.
    Torn,
    /// A transaction moves a file, which somebody replaces before its old name goes.
    Moved,
    /// The same, right before it is taken away, and the transaction is killed before it has looked at it.
    Away,
    /// No fault: what a transaction flushes that moves a file. A power cut shows it too rarely, in one of some hundred states.
    Left,
    /// Patches of an index at once, some of which fail, after somebody has replaced it.
    Patched,
}

impl Fault {
    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShortWrite => "short writes",
            Self::LossyDrive => "a lossy drive",
            Self::ManyProcesses => "processes at one index",
            Self::Turns => "processes at one root",
            Self::Meanwhile => "an index that somebody changes",
            Self::Survivor => "an index of a killed transaction",
            Self::Foreign => "a file of a killed transaction",
            Self::Torn => "a torn record or file",
            Self::Moved => "a file that is moved",
            Self::Away => "a file that is taken away",
            Self::Left => "a directory that a file is moved from",
            Self::Patched => "an index that is patched",
        }
    }

    /// Why this machine cannot cause it.
    pub fn missing(self) -> Option<String> {
        let needs_strace =
            !matches!(self, Self::ShortWrite | Self::LossyDrive | Self::Meanwhile | Self::Patched);
        (needs_strace && !has("strace")).then(|| "needs strace".into())
    }

    /// Makes the calls, with the addon that is published or with a mutant, and adds what came of each to `row`.
    /// `is_sample`: no more often than shows it.
    pub fn run(
        self,
        lab: &Lab,
        kind: &Kind,
        mutant: Option<&str>,
        is_sample: bool,
        mut row: Row,
    ) -> Result<Row> {
        let folder = lab.folder(&format!("{:?}-{}-{}", self, kind.name, mutant.unwrap_or("whole")))?;
        let image = folder.join("image");
        kind.make(&image)?;
        let lossy = match self {
            Self::LossyDrive => {
                let lossy = Arc::new(LossyDrive::new(kind.size, Pages::load(&image)?));
                Some((lossy.clone(), Drive::serve(lossy, &folder.join("drive"))?))
            }
            _ => None,
        };
        let image = lossy.as_ref().map_or(image, |(_, drive)| drive.image());
        let mounted = Mounted::mount(kind.name, &image, &folder.join("mounted"), false)?;
        for line in self.call(lab, mounted.folder(), mutant, is_sample)? {
            row.count(Problem::reported(&line)?);
        }
        if let Some((lossy, _)) = &lossy {
            // Otherwise nothing is shown.
            ensure!(lossy.losses() > 0, "the drive lost nothing");
        }
        mounted.unmount()?;
        drop(lossy);
        std::fs::remove_dir_all(folder)?;
        Ok(row)
    }

    /// Runs the workload. In a sample a fault that a mutant has shown is not made again. It prints a JSON value for each call.
    fn call(self, lab: &Lab, folder: &Path, mutant: Option<&str>, is_sample: bool) -> Result<Vec<Value>> {
        let addon: &Path = if mutant.is_some() { lab.mutant_addon()? } else { &lab.addon };
        let workload = match self {
            Self::ShortWrite | Self::LossyDrive | Self::ManyProcesses | Self::Patched => "fault.mjs",
            Self::Turns
            | Self::Meanwhile
            | Self::Survivor
            | Self::Foreign
            | Self::Torn
            | Self::Moved
            | Self::Away
            | Self::Left => "together.mjs",
        };
        let node = |arguments: &[&str]| {
            let mut node = lab.node(workload, addon);
            node.args(arguments).arg(folder).env("ATOMIC_MUTANT", mutant.unwrap_or_default());
            node
        };
        let [tries, updates] =
            if is_sample { [TRIES_IN_A_SAMPLE, UPDATES_IN_A_SAMPLE] } else { [TRIES, UPDATES] }
                .map(|number| number.to_string());
        let enough = if is_sample { "1" } else { tries.as_str() };
        let text = match self {
            Self::ShortWrite => {
                let mut node = node(&["short"]);
                limit_files(&mut node);
                run(&mut node)?
            }
            Self::LossyDrive => run(&mut node(&["lossy"]))?,
            Self::Meanwhile => run(&mut node(&["meanwhile", &tries, enough]))?,
            Self::Survivor => run(&mut node(&["survivor", &tries, enough]))?,
            Self::Foreign => run(&mut node(&["foreign", &tries, enough]))?,
            Self::Torn => run(&mut node(&["torn", &tries, enough]))?,
            Self::Moved => run(&mut node(&["moved", &tries, enough]))?,
            Self::Away => run(&mut node(&["away", &tries, enough]))?,
            Self::Left => run(&mut node(&["left", &tries, enough]))?,
            Self::Patched => run(&mut node(&["patched"]))?,
            Self::Turns => std::thread::scope(|scope| {
                let node = &node;
                let turns = |number: usize| run(&mut between_renames(&node(&["turns", &number.to_string()])));
                let all: Vec<_> = (0..2).map(|number| scope.spawn(move || turns(number))).collect();
                let ended =
                    all.into_iter().map(|one| one.join().map_err(|_| anyhow!("a thread panicked"))?);
                ended.collect::<Vec<Result<String>>>().into_iter().collect::<Result<String>>()
            })?,
            Self::ManyProcesses => {
                let processes = PROCESSES.to_string();
                let start = |number: usize| {
                    let number = number.to_string();
                    let node = node(&["update", &updates, &processes, &number]);
                    slowed(&node).stdout(Stdio::null()).spawn().context("strace")
                };
                let children = (0..PROCESSES).map(start).collect::<Result<Vec<_>>>()?;
                for mut child in children {
                    ensure!(child.wait()?.success(), "an updating process failed");
                }
                run(&mut node(&["count", &updates, &processes]))?
            }
        };
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

/// Stretches two moments that otherwise take microseconds: from opening the lock file to locking it, and
/// from the last look at the index to its replacement.
fn slowed(node: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]);
    strace.args(["-P", ".index.json.lock", "-P", "index.json", "-e", "trace=openat,/^rename"]);
    strace.args(["-e", "inject=openat:delay_exit=1000", "-e", "inject=/^rename:delay_enter=5000"]);
    strace.arg(node.get_program()).args(node.get_args());
    for (name, value) in node.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

fn limit_files(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    // SAFETY: setrlimit(2) is async-signal-safe and nothing is allocated.
    unsafe {
        command.pre_exec(move || Ok(setrlimit(Resource::Fsize, limit)?));
    }
}
