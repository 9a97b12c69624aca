//! A run that is stopped, by SIGINT or SIGTERM, ends like one whose budget is spent: what is under way comes to its end, and
//! what has been checked is reported and judged. (SIGQUIT ends it at once.)
//!
//! The watchdog gets the signals and passes them on, so that a terminal's Ctrl-C does not kill the processes that are traced. In the
//! lab they are blocked, in every thread, and one thread waits for them: no call that is under way is interrupted.

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether only what is under way is still to be done.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Blocks the signals in this thread and those that it starts. (Programs that it starts have them: `Command` sees to that.)
pub fn block() -> Result<()> {
    let signals = signals();
    // SAFETY: the set is initialised, and the old one is not asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, ptr::null_mut()) };
    ensure!(error == 0, "pthread_sigmask: {}", std::io::Error::from_raw_os_error(error));
    Ok(())
}

/// Waits for the signals, which are blocked, in a thread of its own.
pub fn listen() -> Result<()> {
    let wait = || {
        let signals = signals();
        loop {
            let mut signal = 0;
            // SAFETY: both are valid; it fails only if the set is not.
            if unsafe { libc::sigwait(&raw const signals, &raw mut signal) } != 0 {
                return;
            }
            if !ASKED.swap(true, Ordering::Relaxed) {
                eprintln!("crash lab: stopped; what is under way comes to its end");
            }
        }
    };
    std::thread::Builder::new().name("stop".to_owned()).spawn(wait).context("a thread")?;
    Ok(())
}

/// Can be read when one of the signals, which are blocked, has come.
pub fn descriptor() -> Result<OwnedFd> {
    let signals = signals();
    // SAFETY: the set is initialised.
    let descriptor = unsafe { libc::signalfd(-1, &raw const signals, libc::SFD_CLOEXEC) };
    ensure!(descriptor >= 0, "signalfd: {}", std::io::Error::last_os_error());
    // SAFETY: it was made above, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call initialises the set; the others put numbers of signals into it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        set.assume_init()
    }
}
