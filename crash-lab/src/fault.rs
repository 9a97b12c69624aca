//! Faults other than power cuts that a step of the protocol is there for, each on a real file system.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;

use crate::drive::Drive;
use crate::filesystem::{Kind, Mounted};
use crate::lab::{self, Lab};
use crate::liar::Liar;
use crate::pages::Pages;
use crate::problem::Problem;
use crate::report::Row;

/// How large a file may become where writes are to be short.
const LIMIT: u64 = 100_000;
const PROCESSES: usize = 4;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// write(2) takes less than it was given, and the rest then fails.
    ShortWrite,
    /// The drive says that it has written, and has not.
    LyingDrive,
    /// Not a fault at all: processes that take turns on one index.
    ManyProcesses,
}

impl Fault {
    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShortWrite => "short writes",
            Self::LyingDrive => "a drive that lies",
            Self::ManyProcesses => "processes at one index",
        }
    }

    /// Why this machine cannot bring it about.
    pub fn missing(self) -> Option<String> {
        (self == Self::ManyProcesses && !lab::has("strace")).then(|| "needs strace".into())
    }

    /// Adds to `row` what became of each call.
    pub fn run(
        self,
        lab: &Lab,
        kind: &Kind,
        addon: &Path,
        mutant: Option<&str>,
        mut row: Row,
    ) -> Result<Row> {
        let folder = lab.folder(&format!("{:?}-{}-{}", self, kind.name, mutant.unwrap_or("whole")))?;
        let image = folder.join("image");
        kind.make(&image)?;
        // Serving an image needs a process of our own in between: only where that is the fault.
        let liar = match self {
            Self::LyingDrive => {
                let liar = Arc::new(Liar::new(kind.size, Pages::load(&image)?));
                Some((liar.clone(), Drive::serve(liar, &folder.join("drive"))?))
            }
            _ => None,
        };
        let image = liar.as_ref().map_or(image, |(_, drive)| drive.image());
        let mounted = Mounted::mount(kind, &image, &folder.join("mounted"), false)?;
        for told in self.call(lab, mounted.folder(), addon, mutant)? {
            row.count(Problem::said(&told)?);
        }
        if let Some((liar, _)) = &liar {
            // A lie that was never told shows nothing.
            ensure!(liar.lies() > 0, "the drive had nothing to lie about");
        }
        mounted.unmount()?;
        drop(liar);
        std::fs::remove_dir_all(folder)?;
        Ok(row)
    }

    /// Runs the workload; one JSON value a call.
    fn call(self, lab: &Lab, folder: &Path, addon: &Path, mutant: Option<&str>) -> Result<Vec<Value>> {
        let node = |arguments: &[&str]| {
            let mut node = lab.node("fault.mjs", addon);
            node.args(arguments).arg(folder).env("ATOMIC_MUTANT", mutant.unwrap_or_default());
            node
        };
        let text = match self {
            Self::ShortWrite => {
                let mut node = node(&["short"]);
                limit_files(&mut node);
                lab::run(&mut node)?
            }
            Self::LyingDrive => lab::run(&mut node(&["lying"]))?,
            Self::ManyProcesses => {
                let start = |number: usize| {
                    let number = number.to_string();
                    let node = node(&["update", &PROCESSES.to_string(), &number]);
                    slowed(&node).stdout(Stdio::null()).spawn().context("strace")
                };
                let children = (0..PROCESSES).map(start).collect::<Result<Vec<_>>>()?;
                for mut child in children {
                    ensure!(child.wait()?.success(), "an updating process failed");
                }
                lab::run(&mut node(&["count", &PROCESSES.to_string()]))?
            }
        };
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

/// Two moments are stretched that are microseconds otherwise: from a look at the lock file to the lock, and
/// from the last look at the index to its replacement.
fn slowed(node: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-P", ".index.json.lock", "-P", "index.json"]);
    strace.args(["-e", "trace=openat,/^rename", "-e", "inject=openat:delay_exit=1000"]);
    strace.args(["-e", "inject=/^rename:delay_enter=5000"]).arg(node.get_program()).args(node.get_args());
    for (name, value) in node.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    lab::die_with_parent(&mut strace);
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
