//! What differs between platforms, for programs that are started and for files with secrets.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
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

/// Opens a file that can be read to its end: a pipe would wait for somebody who writes.
///
/// # Errors
/// Those of the system, or it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe waits as well.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Gives a new file to the owner and the group of another one. On Windows the folder says whose it is.
///
/// # Errors
/// The system refuses it.
pub fn give_to_owner(file: &File, other: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (own, ids) = (file.metadata()?, (other.uid(), other.gid()));
        if (own.uid(), own.gid()) != ids {
            return std::os::unix::fs::fchown(file, Some(ids.0), Some(ids.1));
        }
    }
    #[cfg(not(unix))]
    let _ = (file, other);
    Ok(())
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
