//! When a process counts as stuck: when all of its threads sleep, look after look, and nothing wakes them. On a busy machine a
//! thread that has work is runnable, however long it waits for a processor, so this does not depend on how fast the machine is.

use std::fs;
use std::time::Duration;

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// How many looks in a row have to find the process asleep: 15 seconds of them.
const LOOKS: u32 = 150;

/// How long a process may sleep.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    looks: u32,
    left: u32,
    lock_timeout: Option<u32>,
}

impl Patience {
    /// For a process that nothing makes wait.
    pub const USUAL: Self = Self { looks: LOOKS, left: LOOKS, lock_timeout: None };

    /// For one that has to succeed at once. Nothing that it does on the way sleeps for three seconds.
    pub const AT_ONCE: Self = Self { looks: LOOKS / 5, left: LOOKS / 5, lock_timeout: None };

    /// For one that waits ten seconds for descriptors, in each of several steps, and sleeps in between.
    pub const FOR_DESCRIPTORS: Self = Self { looks: 4 * LOOKS, left: 4 * LOOKS, lock_timeout: Some(30_000) };

    /// In milliseconds, for an update: one that lacks descriptors waits for its lock that long.
    pub fn lock_timeout(self) -> Option<u32> {
        self.lock_timeout
    }

    /// How long to wait until the next look.
    pub const fn pause() -> Duration {
        PAUSE
    }

    /// Looks at the process. `true`: it is stuck.
    pub fn is_over(&mut self, process: u32) -> bool {
        self.left = if sleeps(process) { self.left.saturating_sub(1) } else { self.looks };
        self.left == 0
    }
}

/// Whether every thread of the process waits for something other than a disk, a processor or a tracer.
fn sleeps(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok()).all(|stat| {
        // proc_pid_stat(5): pid (comm) state; `comm` may hold anything. S: it waits; Z, X: it has ended.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['S', 'Z', 'X']))
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Whether one of so many looks finds that it is stuck.
    fn gets_stuck(command: &mut Command, looks: u32) -> bool {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut patience = Patience { looks: 20, left: 20, lock_timeout: None };
        let stuck = (0..looks).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            patience.is_over(child.id())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        stuck
    }

    #[test]
    fn a_process_that_sleeps_is_stuck_and_one_that_works_is_not() {
        assert!(gets_stuck(&mut Command::new("cat"), 10_000));
        assert!(!gets_stuck(Command::new("sh").args(["-c", "while :; do :; done"]), 100));
    }
}
