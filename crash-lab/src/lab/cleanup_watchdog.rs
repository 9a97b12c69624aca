//! The lab ends with the program that started it, and leaves nothing behind, however either of them ends.
//!
//! The process that is started becomes the watchdog. The lab is its child and the first process of a PID namespace: when
//! that process ends, the kernel kills every other process of the namespace (workloads, straces and what they trace), and
//! the lab's mount namespace goes with the last of them, with every mount and loop device in it.
//!
//! The kernel kills the lab when the watchdog ends (`PR_SET_PDEATHSIG`). The watchdog ends when one of its ancestors does, up
//! to the first that is in another process group: that is npm, vitest, a script, but not the shell of a terminal. What asks it to
//! stop it passes on (`stop.rs`).

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal, setpgid, waitpid,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::stop;

/// Which of the two processes returns from [`split`].
#[derive(Debug)]
pub enum Role {
    /// The lab, in a PID namespace of its own.
    Lab,
    /// The watchdog, after the lab has ended with this code.
    Watchdog(ExitCode),
    /// There are no two: the reason why this machine does not allow it.
    Denied(String),
}

/// Starts the lab as a child of this process, which becomes the watchdog.
///
/// `parent` is the process that must be this one's parent: without it, a parent that ends before this call goes unnoticed.
///
/// To be called before any thread is started.
pub fn split(parent: Option<u32>) -> Result<Role> {
    let real = getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    ensure!(parent.is_none() || parent == real, "the program that started the lab has ended already");
    let ancestors = ancestors()?;
    let watchdog = pidfd_open(getpid(), PidfdFlags::empty()).context("pidfd_open")?;
    // SAFETY: a new PID namespace concerns only the children of this process.
    if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWPID) } {
        return Ok(Role::Denied(format!("needs a PID namespace of its own: {error}")));
    }
    stop::block()?;
    // SAFETY: no other thread exists, so nothing that the child relies on is in another thread's hands.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => {
            set_parent_process_death_signal(Some(Signal::KILL)).context("prctl")?;
            ensure!(!has_ended(&watchdog)?, "the watchdog has ended already");
            // A terminal sends its signals to a group: to the watchdog, and to nothing that the lab starts.
            setpgid(None, None).context("setpgid")?;
            Ok(Role::Lab)
        }
        lab => Ok(Role::Watchdog(watch(Pid::from_raw(lab).context("fork")?, &ancestors)?)),
    }
}

/// Not by rustix, for which there is no group 0: a first process that never made one is in it, and so is, for a process of a
/// namespace, any group outside.
fn group_of(pid: Pid) -> Option<i32> {
    // SAFETY: it takes a number and returns one.
    let group = unsafe { libc::getpgid(pid.as_raw_nonzero().get()) };
    (group >= 0).then_some(group)
}

/// The processes of this process group that this one descends from.
fn ancestors() -> Result<Vec<OwnedFd>> {
    let group = group_of(getpid());
    let mut found = Vec::new();
    let mut next = getppid();
    while let Some(pid) = next.filter(|pid| group_of(*pid) == group) {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(ancestor) => found.push(ancestor),
            // It has ended; init is the parent of its children now.
            Err(Errno::SRCH) => break,
            Err(error) => return Err(error).context("pidfd_open"),
        }
        next = parent_of(pid);
    }
    Ok(found)
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): pid (comm) state ppid; `comm` may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    Pid::from_raw(fields.split(' ').nth(1)?.parse().ok()?)
}

/// Waits for the end of the lab, passes on that it is to stop, and ends it when an ancestor ends.
fn watch(lab: Pid, ancestors: &[OwnedFd]) -> Result<ExitCode> {
    let child = pidfd_open(lab, PidfdFlags::empty()).context("pidfd_open")?;
    let stopped = stop::descriptor()?;
    let all = [&child, &stopped].into_iter().chain(ancestors);
    let mut watched: Vec<_> = all.map(|process| PollFd::new(process, PollFlags::IN)).collect();
    loop {
        match poll(&mut watched, None) {
            Err(Errno::INTR) => continue,
            polled => polled.context("poll")?,
        };
        if watched.iter().enumerate().any(|(at, one)| at != 1 && !one.revents().is_empty()) {
            break;
        }
        // One `signalfd_siginfo`.
        rustix::io::read(&stopped, &mut [0; 128]).context("reading a signal")?;
        pidfd_send_signal(&child, Signal::TERM).context("stopping the lab")?;
    }
    let has_ended = !watched[0].revents().is_empty();
    if !has_ended {
        // Nobody may be left to read it.
        drop(std::io::Write::write_all(
            &mut std::io::stderr(),
            b"crash-lab: a program that it was started by has ended, and so does it\n",
        ));
        pidfd_send_signal(&child, Signal::KILL).context("killing the lab")?;
    }
    // Returns when all processes of the namespace are gone.
    let (_, status) = waitpid(Some(lab), WaitOptions::empty()).context("waitpid")?.context("no child")?;
    if !has_ended {
        return Ok(ExitCode::FAILURE);
    }
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    let killed =
        || anyhow!("the lab was killed by signal {}", status.terminating_signal().unwrap_or_default());
    code.map(ExitCode::from).ok_or_else(killed)
}

fn has_ended(process: &OwnedFd) -> Result<bool> {
    let mut watched = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    Ok(poll(&mut watched, Some(&Timespec::default())).context("poll")? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_in_the_group_that_the_kernel_says_even_in_none() {
        let of = |pid: Pid| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
            stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().parse::<i32>().ok()
        };
        for pid in [Pid::INIT, getpid()] {
            assert_eq!(group_of(pid), of(pid));
        }
    }
}
