//! When nothing ends for minutes, something hangs. Then the lab prints what its processes are doing and kills them: what
//! waited for them goes on, and its row says what had no answer.

use std::fs;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// No item takes as long as this, on a busy machine either.
const STALL: Duration = Duration::from_secs(6 * 60);

/// What happens beside the work of a plan.
#[derive(Debug, Default)]
pub struct Stall {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ended: usize,
    is_over: bool,
}

impl Stall {
    /// Something has ended.
    pub fn put_off(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended += 1;
        self.changed.notify_all();
    }

    /// There is no more to do: [`Stall::watch`] returns.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.changed.notify_all();
    }

    /// Returns when there is no more to do.
    pub fn watch(&self, name: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.is_over {
            let before = state.ended;
            let same = |state: &mut State| !state.is_over && state.ended == before;
            let wait = self.changed.wait_timeout_while(state, STALL, same);
            let (after, waited) = wait.unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() {
                eprintln!("{name}: nothing has ended for {} s; these are killed:", STALL.as_secs());
                kill_all();
            }
        }
    }
}

/// All processes of the lab's PID namespace but the lab, which is the first of them.
fn kill_all() {
    if !getpid().is_init() {
        return;
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = entries.filter_map(|entry| Some((entry.path(), entry.file_name().to_str()?.parse().ok()?)));
    for (folder, pid) in others.filter(|(_, pid)| *pid > 1) {
        eprintln!("{pid}: {}", describe(&folder));
        if let Some(pid) = Pid::from_raw(pid) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// What it was started as, and the state of each of its threads, with where in the kernel it waits.
fn describe(process: &Path) -> String {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let command = read(&process.join("cmdline")).replace('\0', " ");
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten().map(|thread| {
        let stat = read(&thread.path().join("stat"));
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?');
        format!("{state} {}", read(&thread.path().join("wchan")))
    });
    format!("{} [{}]", command.chars().take(400).collect::<String>(), threads.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described_by_its_command_and_its_threads() {
        let said = describe(Path::new("/proc/self"));
        assert!(said.contains("crash_lab") && said.contains("R "), "{said}");
    }

    #[test]
    fn the_watch_ends_with_the_work() {
        let stall = Stall::default();
        std::thread::scope(|scope| {
            scope.spawn(|| stall.watch("test"));
            stall.put_off();
            stall.end();
        });
    }
}
