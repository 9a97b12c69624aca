//! What differs between platforms, for programs that are started and for files with secrets.

use std::fs::OpenOptions;
use std::process::{Child, Command};

/// Commands are written as for a POSIX shell.
pub const IS_POSIX: bool = cfg!(unix);

/// Lets a program be in a group of its own, so that what it starts can be ended with it.
pub fn in_group_of_its_own(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Makes a new file the owner's alone. On Windows the folder says whose it is.
pub fn for_owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Ends the group of a program whose end is not known yet. On Windows there is none.
pub fn kill_group(child: &Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = child;
}
