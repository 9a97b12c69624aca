//! A run that is stopped, by SIGINT or SIGTERM, ends like one whose budget is spent: what is under way comes to its end, and
//! what has been checked is reported and judged. (SIGQUIT ends it at once.)
//!
//! The watchdog gets the signals and passes them on, so that a terminal's Ctrl-C does not kill the processes that are traced. The lab
//! has a handler, which programs that it starts do not inherit, and does not block them, which they would: strace is ended by SIGTERM.

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};

const SIGNALS: [libc::c_int; 2] = [libc::SIGINT, libc::SIGTERM];

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether only what is under way is still to be done.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Blocks the signals until [`listen`], or for [`descriptor`].
pub fn block() -> Result<()> {
    mask(libc::SIG_BLOCK)
}

/// From now on the signals, also one that has come since [`block`], are noted. To be called before any program is started.
pub fn listen() -> Result<()> {
    extern "C" fn note(_: libc::c_int) {
        const SAID: &[u8] = b"crash lab: stopped; what is under way comes to its end\n";
        if !ASKED.swap(true, Ordering::Relaxed) {
            // SAFETY: write(2) is async-signal-safe, and the bytes live for ever.
            unsafe { libc::write(libc::STDERR_FILENO, SAID.as_ptr().cast(), SAID.len()) };
        }
    }
    for signal in SIGNALS {
        // SAFETY: all of its fields may be zero, and are set below.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = note as *const () as libc::sighandler_t;
        // A call that is under way goes on.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler does only what is async-signal-safe; the old action is not asked for.
        let set = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        ensure!(set == 0, "sigaction: {}", std::io::Error::last_os_error());
    }
    mask(libc::SIG_UNBLOCK)
}

fn mask(how: libc::c_int) -> Result<()> {
    let signals = signals();
    // SAFETY: the set is initialised, and the old one is not asked for.
    let error = unsafe { libc::pthread_sigmask(how, &raw const signals, ptr::null_mut()) };
    ensure!(error == 0, "pthread_sigmask: {}", std::io::Error::from_raw_os_error(error));
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
        for signal in SIGNALS {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
