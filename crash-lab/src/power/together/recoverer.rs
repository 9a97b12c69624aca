//! A Node process that recovers roots, one after the other.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Lab;
use crate::report::problem::{Harm, Problem};

/// One that recovers after a cut, and one whose recoveries are recorded.
#[derive(Debug)]
pub struct Recoverers {
    pub quick: Mutex<Recoverer>,
    /// With time between two renames.
    pub slow: Mutex<Recoverer>,
}

impl Recoverers {
    /// Starts both.
    pub fn start(lab: &Lab, addon: &Path, mutant: Option<&str>) -> Result<Self> {
        let start = |slow| Recoverer::start(lab, addon, mutant, slow).map(Mutex::new);
        Ok(Self { quick: start(false)?, slow: start(true)? })
    }
}

/// The process.
#[derive(Debug)]
pub struct Recoverer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Recoverer {
    fn start(lab: &Lab, addon: &Path, mutant: Option<&str>, slow: bool) -> Result<Self> {
        let mut node = lab.node("recover.mjs", addon);
        node.env("ATOMIC_MUTANT", mutant.unwrap_or_default());
        let mut command = if slow { slowed(&node) } else { node };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("node")?;
        let stdout = BufReader::new(child.stdout.take().context("node without stdout")?);
        Ok(Self { stdin: child.stdin.take(), stdout, child })
    }

    /// Recovers what is pending below `root`. The inner `Ok`: whether something was.
    pub fn recover(&mut self, root: &Path) -> Result<Result<bool, Problem>> {
        let stdin = self.stdin.as_mut().context("no stdin")?;
        writeln!(stdin, "{}", root.display())?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("recovery says {line:?}"))?;
        Ok(match said["outcome"].as_str() {
            Some(outcome) => Ok(outcome != "nothing"),
            None => Err(Harm::Stuck.problem(format!("recovery fails: {said}"))),
        })
    }
}

impl Drop for Recoverer {
    fn drop(&mut self) {
        // It ends with its input, and a tracer with it.
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// The same command, with a millisecond before each rename. Without it all names of a transaction reach the disk in one
/// commit of the file system's own journal, and broken protocols pass.
pub fn slowed(node: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=/^rename,unlinkat"]);
    strace.args(["-e", "inject=/^rename:delay_enter=1000"]).arg(node.get_program()).args(node.get_args());
    for (name, value) in node.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}
