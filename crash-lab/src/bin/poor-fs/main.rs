//! A file system that is poorer than the folder it shows: what specs mount to see how the library gets on where something
//! is missing. Everything passes through to the folder, but for what the options refuse:
//!
//! - `--refuse CALL=ERRNO,…`: requests that fail; see [`refusals::Call`].
//! - `--mode OCTAL`: every file and directory has this mode, as on vfat.
//! - `--fold-case`: names that differ in the case of their letters are one name.
//! - `--hang NAME`: a lookup of NAME is never answered.
//! - `--name-max BYTES`: no name can be longer, as on eCryptfs.
//! - `--appear NAME`: another program makes the file NAME in the folder, with the mode 0604, while the first file is
//!   flushed.
//! - `--subtype NAME`: mountinfo calls it `fuse.NAME`.
//!
//! It prints a line when it is mounted, and unmounts itself when its standard input ends, which it does with the process
//! that has started it.

mod nodes;
mod pass_through;
mod refusals;
mod requests;

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fuser::{Config, Session, SessionACL};
use lexopt::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Resource, getrlimit, setrlimit};

use pass_through::PassThrough;
use refusals::Refusals;

/// How often it is asked whether the process that has started this one is still there.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// What is missing.
#[derive(Debug, Default)]
pub struct Poverty {
    refused: Refusals,
    mode: Option<u32>,
    fold_case: bool,
    hang: Option<OsString>,
    name_max: Option<usize>,
    appear: Option<OsString>,
}

struct Arguments {
    folder: PathBuf,
    at: PathBuf,
    subtype: Option<String>,
    poverty: Poverty,
}

fn main() -> Result<()> {
    let Arguments { folder, at, subtype, poverty } = arguments()?;
    // Each file that the kernel knows of is an open descriptor here.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    // The kernel has applied that of the caller.
    rustix::process::umask(rustix::fs::Mode::empty());
    let served = PassThrough::new(&folder, poverty)?;
    let device = mount_fuse(&at, subtype.as_deref())?;
    let session = Session::from_fd(served, device, SessionACL::All, Config::default())
        .or_else(|error| unmount(&at, UnmountFlags::DETACH).map_err(Into::into).and(Err(error)))
        .context("starting FUSE")?;
    std::thread::spawn(move || {
        wait_for_the_end();
        let unmounted = unmount(&at, UnmountFlags::DETACH);
        // With the process goes the descriptor, and then requests that wait for an answer fail.
        std::process::exit(i32::from(unmounted.is_err()));
    });
    writeln!(std::io::stdout(), "mounted")?;
    session.run().context("serving")
}

/// Until the process that has started this one ends, or closes its end of the pipe. A thread that waits for this very file
/// system cannot end, and keeps the pipe open for a process that has ended otherwise.
fn wait_for_the_end() {
    let parent = rustix::process::getppid();
    let has_ended = || {
        let Some(parent) = parent else { return false };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", parent.as_raw_nonzero()));
        stat.map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
    };
    let input = std::io::stdin();
    while !has_ended() {
        let mut watched = [PollFd::new(&input, PollFlags::IN)];
        let is_ready = poll(&mut watched, Some(&PAUSE)).is_ok_and(|count| count > 0);
        if is_ready && !matches!(input.lock().read(&mut [0; 64]), Ok(1..)) {
            return;
        }
    }
}

fn mount_fuse(at: &Path, subtype: Option<&str>) -> Result<OwnedFd> {
    let device = File::options().read(true).write(true).open("/dev/fuse").context("/dev/fuse")?;
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
        device.as_raw_fd()
    );
    let kind = subtype.map_or_else(|| "fuse".to_owned(), |subtype| format!("fuse.{subtype}"));
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("poor-fs", at, kind, flags, Some(CString::new(options)?.as_c_str())).context("mounting FUSE")?;
    Ok(device.into())
}

fn arguments() -> Result<Arguments> {
    let (mut paths, mut subtype, mut poverty) = (Vec::new(), None, Poverty::default());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("refuse") => poverty.refused = parser.value()?.string()?.parse()?,
            Long("mode") => poverty.mode = Some(u32::from_str_radix(&parser.value()?.string()?, 8)?),
            Long("fold-case") => poverty.fold_case = true,
            Long("hang") => poverty.hang = Some(parser.value()?),
            Long("name-max") => poverty.name_max = Some(parser.value()?.parse()?),
            Long("appear") => poverty.appear = Some(parser.value()?),
            Long("subtype") => subtype = Some(parser.value()?.string()?),
            Value(path) => paths.push(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    match <[PathBuf; 2]>::try_from(paths) {
        Ok([folder, at]) => Ok(Arguments { folder, at, subtype, poverty }),
        Err(_) => bail!(
            "usage: poor-fs FOLDER MOUNTPOINT [--refuse CALL=ERRNO,…] [--mode OCTAL] [--fold-case] [--hang NAME] \
             [--name-max BYTES] [--appear NAME] [--subtype NAME]"
        ),
    }
}
