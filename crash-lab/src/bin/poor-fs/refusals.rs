//! Which requests fail, and with what.

use std::collections::HashMap;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};
use fuser::Errno;

/// A kind of request that can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Write,
    /// close(2) of a file that was opened for writing.
    Close,
    Rename,
    Link,
    /// renameat2(2) with any flag.
    RenameFlags,
    Chmod,
    Chown,
    SetXattr,
    Flock,
    Fsync,
    /// Of a directory.
    FsyncDir,
}

/// Requests that fail.
#[derive(Debug, Default)]
pub struct Refusals(HashMap<Call, i32>);

impl Refusals {
    /// Fails if such requests are refused.
    pub fn check(&self, call: Call) -> Result<(), Errno> {
        self.0.get(&call).map_or(Ok(()), |errno| Err(Errno::from_i32(*errno)))
    }

    /// Whether such requests are refused.
    pub fn has(&self, call: Call) -> bool {
        self.0.contains_key(&call)
    }
}

impl FromStr for Refusals {
    type Err = Error;

    /// `CALL=ERRNO,…`, the errno as a number.
    fn from_str(list: &str) -> Result<Self> {
        let pairs = list.split(',').map(|pair| {
            let (call, errno) = pair.split_once('=').with_context(|| format!("{pair}: no errno"))?;
            Ok((call_named(call)?, errno.parse()?))
        });
        pairs.collect::<Result<_>>().map(Self)
    }
}

fn call_named(name: &str) -> Result<Call> {
    Ok(match name {
        "write" => Call::Write,
        "close" => Call::Close,
        "rename" => Call::Rename,
        "link" => Call::Link,
        "rename-flags" => Call::RenameFlags,
        "chmod" => Call::Chmod,
        "chown" => Call::Chown,
        "setxattr" => Call::SetXattr,
        "flock" => Call::Flock,
        "fsync" => Call::Fsync,
        "fsync-dir" => Call::FsyncDir,
        _ => bail!("{name}: no such call"),
    })
}
