//! strace, attached to one thread of a running Node: it shows which system calls a call of the addon
//! makes, and makes the k-th of a kind fail or kill the process.
//!
//! strace counts `when=` per thread and per call, and `-f` would count Node's own threads too. So it traces the
//! worker thread alone, from a moment when that has nothing to do: every call that it counts is the routine's.
//! `--seccomp-bpf` is not used: with it an injected signal never fires, without an error.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// The workload looks for these, with access(2), right before and right after the call.
const BEGIN: &str = "\"/atomic-lab-begin\"";
const END: &str = "\"/atomic-lab-end\"";

/// What a system call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// The file that the caller named.
    Target,
    /// The version before it.
    Backup,
    /// The index's sidecar lock.
    Lock,
    /// A staged file, with or without a temp name.
    Staged,
    /// What transactions keep in their root: the journal, and locks.
    Journal,
    /// A directory of the test.
    Directory,
    /// Node's own: libuv's eventfd, `/proc`.
    Node,
}

/// One line of a trace.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub object: Object,
    /// Its number among the calls of its name on this thread, from 1: strace's `when=`.
    pub nth: usize,
    /// What it returned; "?" if the process was killed first.
    pub result: String,
    /// A close(2) of a descriptor that this thread had opened, and through which it has written nothing.
    pub ends_reading: bool,
    /// A close(2) of a descriptor of which this thread had made a copy.
    pub has_copy: bool,
    /// The whole line, for messages.
    pub line: String,
}

impl Call {
    /// Whether strace made it fail.
    pub fn is_injected(&self) -> bool {
        self.result.ends_with("(INJECTED)")
    }

    /// Whether it succeeded.
    pub fn succeeded(&self) -> bool {
        !self.result.starts_with("-1") && !self.result.starts_with('?')
    }

    /// Whether it is the same call in two runs.
    pub fn matches(&self, other: &Self) -> bool {
        (&self.name, self.object, self.nth) == (&other.name, other.object, other.nth)
    }
}

/// What to do to a call.
#[derive(Clone, Debug)]
pub struct Inject {
    pub call: String,
    /// In strace's syntax: `signal=SIGKILL`, `error=EIO`.
    pub what: String,
    /// In strace's syntax: `3`, `3+`, `3..5`.
    pub when: String,
}

/// An strace that traces a thread.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    output: PathBuf,
}

impl Tracer {
    /// Attaches to the thread `tid`; returns when strace has it. `alone`: it cannot start other threads, and does their work.
    pub fn attach(tid: u32, alone: bool, inject: Option<&Inject>, output: &Path) -> Result<Self> {
        let mut command = Command::new("strace");
        let threads = if alone { ",clone3" } else { "" };
        command.args(["-y", "-s", "64", "-e", &format!("trace=%file,%desc,%memory{threads}")]);
        command.arg("-o").arg(output);
        if alone {
            command.args(["-e", "inject=clone3:error=EAGAIN"]);
        }
        command.args(["-p", &tid.to_string()]);
        if let Some(Inject { call, what, when }) = inject {
            command.args(["-e", &format!("inject={call}:{what}:when={when}")]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut tracer = Self { child: command.spawn().context("strace")?, output: output.to_owned() };
        let mut said = String::new();
        let stderr = tracer.child.stderr.take().context("strace without stderr")?;
        let mut stderr = BufReader::new(stderr);
        stderr.read_line(&mut said)?;
        if !said.contains("attached") {
            stderr.read_to_string(&mut said)?;
            bail!("strace did not attach: {said}");
        }
        Ok(tracer)
    }

    /// Lets the thread go and reads what was seen.
    pub fn finish(mut self, folder: &Path) -> Result<Vec<Call>> {
        if self.child.try_wait()?.is_none() {
            let strace = Pid::from_raw(i32::try_from(self.child.id())?).context("strace has no number")?;
            kill_process(strace, Signal::TERM)?;
            self.child.wait()?;
        }
        Ok(parse(&fs::read_to_string(&self.output)?, folder))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The calls between the two marks, or all if the thread does not make these.
fn parse(trace: &str, folder: &Path) -> Vec<Call> {
    let mut seen = HashMap::<String, usize>::new();
    let mut readers = HashSet::<&str>::new();
    let mut copied = HashSet::<&str>::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name == "clone3" {
            continue;
        }
        let nth = seen.entry(name.to_owned()).or_default();
        *nth += 1;
        let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
        let ends_reading = name == "close" && readers.remove(descriptor(arguments));
        let has_copy = name == "close" && copied.remove(descriptor(arguments));
        if name == "fcntl" && arguments.contains("F_DUPFD") {
            copied.insert(descriptor(arguments));
        }
        let makes = ["O_CREAT", "O_TMPFILE", "O_TRUNC"].iter().any(|flag| arguments.contains(flag));
        if name == "openat" && !makes {
            readers.insert(descriptor(result.trim()));
        }
        if ["write", "pwrite64", "ftruncate", "fallocate"].contains(&name) {
            readers.remove(descriptor(arguments));
        }
        if arguments.contains(BEGIN) {
            calls.clear();
            continue;
        }
        if arguments.contains(END) {
            break;
        }
        calls.push(Call {
            name: name.to_owned(),
            object: object(arguments, &folder.to_string_lossy()),
            nth: *nth,
            result: result.trim().to_owned(),
            ends_reading,
            has_copy,
            line: line.to_owned(),
        });
    }
    calls
}

/// The number that an argument or a result starts with: `22</path>`.
fn descriptor(text: &str) -> &str {
    text.split_once('<').map_or(text, |(number, _)| number)
}

fn object(arguments: &str, folder: &str) -> Object {
    let any = |parts: &[&str]| parts.iter().any(|part| arguments.contains(part));
    if any(&["/.atomic/", "/.atomic>", "\".atomic\""]) {
        Object::Journal
    } else if any(&[".lock\"", ".lock>"]) {
        Object::Lock
    } else if any(&["index.json.backup"]) {
        Object::Backup
    } else if any(&[".atomic-tmp", ".atomic-txn", "/#", "O_TMPFILE"]) {
        Object::Staged
    } else if any(&["index.json\"", "index.json>"]) {
        Object::Target
    } else if any(&[folder, "\"/proc/self/fd/"]) {
        // The latter is where a directory's own path is read; the other names in it are recognised above.
        Object::Directory
    } else {
        Object::Node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_marks_counts_but_all_is_counted() {
        let trace = "close(3</x>) = 0\n\
            access(\"/atomic-lab-begin\", F_OK) = -1 ENOENT (No such file or directory)\n\
            write(17<anon_inode:[eventfd]>, \"\\1\", 8) = 8\n\
            openat(4</d>, \".\", O_RDWR|O_TMPFILE, 0600) = 5</d/#12>(deleted)\n\
            close(5</d/#12>(deleted))   = -1 EIO (Input/output error) (INJECTED)\n\
            fsync(4</d>) = ?\n+++ killed by SIGKILL +++\n";
        let calls = parse(trace, Path::new("/d"));
        let short: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.object, call.nth)).collect();
        assert_eq!(
            short,
            [
                ("write", Object::Node, 1),
                ("openat", Object::Staged, 1),
                ("close", Object::Staged, 2),
                ("fsync", Object::Directory, 1)
            ]
        );
        assert!(calls[2].is_injected() && calls[1].succeeded() && !calls[3].succeeded());
    }

    #[test]
    fn a_descriptor_that_was_only_read_is_distinguished_from_one_that_was_written() {
        let trace = "openat(4</d>, \"x\", O_RDONLY|O_CLOEXEC) = 5</d/x>\n\
            close(5</d/x>) = 0\n\
            openat(4</d>, \"x\", O_RDWR|O_CREAT, 0600) = 5</d/x>\n\
            close(5</d/x>) = 0\n\
            openat(4</d>, \"x\", O_RDWR|O_APPEND) = 5</d/x>\n\
            close(5</d/x>) = 0\n\
            openat(4</d>, \"x\", O_RDWR|O_APPEND) = 5</d/x>\n\
            write(5</d/x>, \"a\", 1) = 1\n\
            close(5</d/x>) = 0\n\
            openat(4</d>, \"x\", O_RDONLY) = -1 EIO (Input/output error) (INJECTED)\n";
        let calls = parse(trace, Path::new("/d"));
        let reading: Vec<_> = calls.iter().map(|call| call.ends_reading).collect();
        assert_eq!(reading, [false, true, false, false, false, true, false, false, false, false]);
    }

    #[test]
    fn a_descriptor_is_distinguished_from_its_copy() {
        let trace = "fcntl(5</d/x>, F_DUPFD_CLOEXEC, 3) = 6</d/x>\n\
            close(6</d/x>) = 0\n\
            close(5</d/x>) = 0\n";
        let calls = parse(trace, Path::new("/d"));
        let copied: Vec<_> = calls.iter().map(|call| call.has_copy).collect();
        assert_eq!(copied, [false, false, true]);
    }
}
