//! A Node process that the lab controls: it prints how far it is, and continues when it is told to.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;

use super::patience::Patience;
use crate::lab::Lab;
use crate::lab::staging::Staging;

/// What came of waiting for a line.
#[derive(Debug)]
pub enum Reply {
    Line(Value),
    /// The process has closed its output: it has ended, or is ending.
    Closed,
    /// The process is stuck.
    Stuck,
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
    pub fn start(lab: &Lab, script: &str, spec: &Value, staging: Staging) -> Result<Self> {
        Self::spawn(lab.node(script, &lab.addon), spec, staging)
    }

    /// As [`Session::start`], with a limit on the size of files (`RLIMIT_FSIZE`).
    pub fn start_limited(lab: &Lab, script: &str, spec: &Value, bytes: u64) -> Result<Self> {
        let mut node = lab.node(script, &lab.addon);
        let limit =
            move || Ok(setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?);
        // SAFETY: setrlimit(2) is async-signal-safe.
        unsafe { node.pre_exec(limit) };
        Self::spawn(node, spec, Staging::Unnamed)
    }

    fn spawn(mut node: Command, spec: &Value, staging: Staging) -> Result<Self> {
        staging.confine(&mut node);
        // With one worker, every call that it makes is a call of the routine.
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

    /// The next line.
    pub fn line(&self, mut patience: Patience) -> Result<Reply> {
        loop {
            match self.lines.recv_timeout(Patience::pause()) {
                Ok(line) => {
                    return Ok(Reply::Line(serde_json::from_str(&line).with_context(|| line.clone())?));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Reply::Closed),
                Err(RecvTimeoutError::Timeout) if patience.is_over(self.child.id()) => {
                    return Ok(Reply::Stuck);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The next line, which must come.
    pub fn expect_line(&self) -> Result<Value> {
        match self.line(Patience::USUAL)? {
            Reply::Line(line) => Ok(line),
            Reply::Closed => bail!("node ended before it was told to"),
            Reply::Stuck => bail!("node prints nothing"),
        }
    }

    /// The next line that reports how a call ended.
    pub fn answer(&self, patience: Patience) -> Result<Reply> {
        loop {
            match self.line(patience)? {
                Reply::Line(line) if line["waiting"] == true || line["resolved"].is_u64() => {}
                reply => return Ok(reply),
            }
        }
    }

    /// The answer of its last call, which has to succeed at once; `None` if it waits, is stuck or dies.
    pub fn only_answer(mut self) -> Result<Option<Value>> {
        let reply = self.answer(Patience::AT_ONCE)?;
        match (reply, self.end()?) {
            (Reply::Line(line), Some(status)) if status.success() => Ok(Some(line)),
            _ => Ok(None),
        }
    }

    /// Lets the workload make its next call.
    pub fn go(&mut self) -> Result<()> {
        self.stdin.as_mut().context("no stdin")?.write_all(b"\n").context("node does not listen")
    }

    /// Lets a workload that goes round after round end, and no more.
    pub fn last_round(&mut self) {
        self.stdin = None;
    }

    /// How it ended; `None` if it is stuck.
    pub fn end(&mut self) -> Result<Option<ExitStatus>> {
        self.stdin = None;
        let mut patience = Patience::USUAL;
        // Almost always it has ended by now, so the first pauses are short.
        for pause in (0..7).map(|n| Duration::from_millis(1 << n)).chain(std::iter::repeat(Patience::pause()))
        {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if patience.is_over(self.child.id()) {
                break;
            }
            std::thread::sleep(pause);
        }
        Ok(None)
    }

    /// Kills it, if it has not ended.
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

/// Whether all of them resolved with this `durable`.
pub fn all_durable(said: &Value, durable: bool) -> bool {
    outcomes(said).iter().all(|one| one["result"]["durable"] == durable)
}

/// Runs a scene's call once in a fresh process, without a tracer. Returns its answer; `None` if it waits, is stuck or dies.
pub fn call_again(
    lab: &Lab,
    scene: &super::scene::Scene,
    folder: &Path,
    staging: Staging,
) -> Result<Option<Value>> {
    let spec = scene.spec(folder, 1, false, folder)?;
    let session = Session::start(lab, "call.mjs", &spec, staging)?;
    session.expect_line()?;
    session.only_answer()
}
