//! A Node process at the lab's mercy: it says how far it is on its standard output and goes on when told.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;

use super::refuse;
use crate::lab::Lab;

/// What the file system below can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// All that Linux offers: staged files have no name.
    Unnamed,
    /// No `O_TMPFILE` and no hard links: staged files have a temp name from the start.
    Named,
}

impl Ground {
    pub const ALL: [Self; 2] = [Self::Unnamed, Self::Named];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unnamed => "O_TMPFILE",
            Self::Named => "temp names",
        }
    }

    /// Has `command` find no more than this.
    pub fn confine(self, command: &mut Command) {
        if self == Self::Named {
            refuse::names_only(command);
        }
    }
}

/// What came of waiting for a line.
#[derive(Debug)]
pub enum Said {
    Line(Value),
    /// It closed its output: it is dead or dying.
    Gone,
    Nothing,
}

/// A Node process that runs a workload.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Session {
    /// Starts `script` with `spec` as its argument.
    pub fn start(lab: &Lab, script: &str, spec: &Value, ground: Ground) -> Result<Self> {
        Self::spawn(lab.node(script, &lab.addon()?), spec, ground)
    }

    /// As [`Session::start`], with a limit on the size of files (`RLIMIT_FSIZE`).
    pub fn start_limited(lab: &Lab, script: &str, spec: &Value, bytes: u64) -> Result<Self> {
        let mut node = lab.node(script, &lab.addon()?);
        let limit =
            move || Ok(setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?);
        // SAFETY: setrlimit(2) is async-signal-safe.
        unsafe { node.pre_exec(limit) };
        Self::spawn(node, spec, Ground::Unnamed)
    }

    fn spawn(mut node: Command, spec: &Value, ground: Ground) -> Result<Self> {
        ground.confine(&mut node);
        // One worker, so that a count of its calls is a count of the routine's.
        let workers = spec["workers"].as_u64().unwrap_or(1);
        node.arg(spec.to_string()).env("UV_THREADPOOL_SIZE", workers.to_string());
        let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("node")?;
        let stdout = child.stdout.take().context("node without stdout")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { stdin: child.stdin.take(), child, lines })
    }

    /// The next line, if it comes in time.
    pub fn line(&self, patience: Duration) -> Result<Said> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Said::Line(serde_json::from_str(&line).with_context(|| line.clone())?)),
            Err(RecvTimeoutError::Disconnected) => Ok(Said::Gone),
            Err(RecvTimeoutError::Timeout) => Ok(Said::Nothing),
        }
    }

    /// The next line, which must come.
    pub fn expect_line(&self, patience: Duration) -> Result<Value> {
        match self.line(patience)? {
            Said::Line(line) => Ok(line),
            Said::Gone => bail!("node ended before it was told to"),
            Said::Nothing => bail!("node says nothing"),
        }
    }

    /// The next line that tells how a call ended, if it comes in time.
    pub fn answer(&self, patience: Duration) -> Result<Said> {
        loop {
            match self.line(patience)? {
                Said::Line(line) if line["waiting"] == true || line["resolved"].is_u64() => {}
                said => return Ok(said),
            }
        }
    }

    /// Lets the workload make its next call.
    pub fn go(&mut self) -> Result<()> {
        self.stdin.as_mut().context("no stdin")?.write_all(b"\n").context("node does not listen")
    }

    /// How it ended; `None` if it does not.
    pub fn end(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        self.stdin = None;
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it, if it is not dead yet.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What came of each of the calls that an answer is about.
pub fn outcomes(said: &Value) -> &[Value] {
    said["group"].as_array().map_or_else(|| std::slice::from_ref(said), Vec::as_slice)
}

/// Whether all of them resolved, and say so about `durable`.
pub fn all_durable(said: &Value, durable: bool) -> bool {
    outcomes(said).iter().all(|one| one["result"]["durable"] == durable)
}

/// Runs a scene's call once in a fresh process, untraced: what it said.
pub fn call_again(
    lab: &Lab,
    scene: &super::scene::Scene,
    folder: &Path,
    ground: Ground,
    patience: Duration,
) -> Result<Option<Value>> {
    let spec = scene.spec(folder, 1, false, folder)?;
    let mut session = Session::start(lab, "call.mjs", &spec, ground)?;
    session.expect_line(patience)?;
    let said = session.answer(patience)?;
    match (said, session.end(patience)?) {
        (Said::Line(line), Some(status)) if status.success() => Ok(Some(line)),
        _ => Ok(None),
    }
}
