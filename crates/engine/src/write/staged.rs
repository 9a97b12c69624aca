//! A file on its way: complete and on disk before any reader sees it.
//!
//! Where the file system can, it has no name until the very end: a writer that is killed leaves
//! nothing, and no watcher sees a temp file. Elsewhere it has a temp name, and is locked from the start.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::{Directory, Target, names};
use crate::error::{Advice, Error, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::process::{Old, Replaced, deferred_close};
use crate::sys::{self, Dir, FileId, Stat};
use crate::write::options::Create;
use crate::write::temp_name::TempName;
use crate::write::verify::{self, Content, Level};

/// Mode of a file that other users must not see yet.
const PRIVATE: u32 = 0o600;
/// Mode of a new file, for the kernel to apply the umask and the directory's default ACL to.
const PUBLIC: u32 = 0o666;

/// How much is written or copied at a time, before the caller's signal is checked again. The page cache puts a piece of
/// 2 MiB and more into huge pages, which have to be found first: in a virtual machine that gives free ones back
/// to its host, 32 MiB took 22 ms instead of 3.5.
const PIECE: usize = 512 << 10;

/// After how much data the device is told to begin.
const AHEAD: usize = 4 << 20;

/// A staged file. Dropped before [`Staged::publish`], it is gone.
#[derive(Debug)]
pub struct Staged {
    file: File,
    name: Option<TempName>,
}

/// The outcome of an attempt to give a staged file its final name.
#[derive(Debug)]
pub enum Attempt<T> {
    /// The file has its name.
    Published(T),
    /// There was to be no file by that name, and now there is one.
    Taken,
    /// A file without a name cannot get one here: the content has to move into a file that is made with one.
    Restage,
}

impl<T> Attempt<T> {
    /// The same outcome, with another value for a file that has its name.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Published(published) => Attempt::Published(of(published)),
            Self::Taken => Attempt::Taken,
            Self::Restage => Attempt::Restage,
        }
    }
}

impl Staged {
    /// Starts a file for `target`. `private`: no other user may read it until its mode is set.
    ///
    /// # Errors
    /// Those of open(2). If it is to be `exclusive`, and that cannot be here: [`NoExclusive`](crate::error::ErrorKind::NoExclusive), before anything
    /// is written.
    pub fn new(target: &Target, private: bool, exclusive: bool) -> Result<Self> {
        let mut staged = Self::make(target, private)?;
        // A file without a name gets one by a link, which refuses a taken one.
        if exclusive && let Some(temp) = &mut staged.name {
            temp.rehearse_create(target)?;
        }
        Ok(staged)
    }

    /// A file that was made with a name.
    pub fn named(file: File, name: TempName) -> Self {
        Self { file, name: Some(name) }
    }

    /// The file and the name that it has, if it has one.
    pub fn into_parts(self) -> (File, Option<TempName>) {
        (self.file, self.name)
    }

    fn make(target: &Target, private: bool) -> Result<Self> {
        let mode = if private { PRIVATE } else { PUBLIC };
        if !target.dir.needs_temp_name()
            && let Some(file) =
                target.dir.create_unnamed(mode).map_err(|error| Error::not_made(error, Advice::MakesFile))?
        {
            return Ok(Self { file, name: None });
        }
        target.check_lets_go()?;
        loop {
            let (name, file) = names::with_temp_name(&target.name, |name| target.dir.create_new(name, mode))
                .map_err(|error| Error::not_made(error, Advice::MakesFile))?;
            let name = TempName { dir: target.dir.clone(), name };
            // A sweeper may have found it before it was locked.
            if sys::hold(&file) && target.dir.is_same(&name.name, &file).named("fstat")? {
                return Ok(Self { file, name: Some(name) });
            }
        }
    }

    /// Writes all of `data`. `ahead`: the device begins before all is written. (That pays for a single writer;
    /// four files of 32 MiB at once took 1.6 times as long.)
    pub fn write(&mut self, data: &[u8], ahead: bool, cancel: &Cancel) -> Result<()> {
        for part in data.chunks(AHEAD) {
            for piece in part.chunks(PIECE) {
                cancel.check()?;
                if leaves_out(Step::WriteLoop) {
                    return self.file.write(data).map(drop).named("write");
                }
                // Continues after short writes and signals; a write of nothing is an error.
                self.file.write_all(piece).named("write")?;
            }
            if ahead {
                self.start_write_back();
            }
        }
        Ok(())
    }

    /// Removes what was written after the first `length` bytes.
    pub fn cut(&mut self, length: u64) -> Result<()> {
        self.file.set_len(length).named("ftruncate")?;
        self.file.seek(SeekFrom::Start(length)).named("lseek").map(drop)
    }

    /// The same content in a new file, read back.
    pub fn restage(&mut self, target: &Target, private: bool, cancel: &Cancel) -> Result<Self> {
        let mut fresh = Self::make(target, private)?;
        self.file.rewind().named("lseek")?;
        let mut bytes = 0;
        loop {
            cancel.check()?;
            let mut piece = (&self.file).take(PIECE as u64);
            match io::copy(&mut piece, &mut fresh.file).named("write")? {
                0 => break,
                copied => bytes += copied,
            }
        }
        fresh.verify(Content::Copy { of: &self.file, bytes }, Level::Cache, cancel)?;
        Ok(fresh)
    }

    /// Gives the file its mode, and what else it takes over from the one it replaces.
    pub fn set_access(&self, target: &Target, old: Option<&Stat>, mode: Option<u32>) -> Result<()> {
        let Target { dir, name, .. } = target;
        let bears = |now, wanted| dir.bears(now, wanted);
        match (old, mode) {
            (Some(old), mode) => sys::inherit(&self.file, dir, name, &old.access, mode, &bears)?,
            (None, Some(mode)) => sys::set_mode(&self.file, mode, &bears)?,
            (None, None) => {}
        }
        Ok(())
    }

    /// Tells the system to begin writing to the device: a hint, and no substitute for [`Staged::sync`].
    pub fn start_write_back(&self) {
        sys::start_write_back(&self.file);
    }

    /// Flushes content and attributes. `false`: the file system has no such operation.
    pub fn sync(&self) -> Result<bool> {
        if leaves_out(Step::FileSync) || leaves_out(Step::SyncOrder) {
            return Ok(true);
        }
        flush::file(&self.file).named("fsync")
    }

    /// Reads back and compares.
    pub fn verify(&self, expected: Content<'_>, level: Level, cancel: &Cancel) -> Result<Level> {
        if leaves_out(Step::Verify) {
            return Ok(level);
        }
        verify::verify(&self.file, expected, level, cancel)
    }

    /// Gives the file its final name: over the file that is there, or where there is none. Unless it is published
    /// this can be tried again.
    ///
    /// # Errors
    /// Those of close(2), link(2) and rename(2); [`NoExclusive`](crate::error::ErrorKind::NoExclusive).
    pub fn publish(
        &mut self,
        target: &Target,
        over: Option<Replaced>,
        create: Create,
    ) -> Result<Attempt<Option<Old>>> {
        // Some file systems report only at a close that a write was lost. The lock must last, so a copy is closed.
        sys::flush_and_close_copy(&self.file).named("close")?;
        if (over.is_some() || create.by_rename) && !self.name(target)? {
            return Ok(Attempt::Restage);
        }
        let named = match &mut self.name {
            None => self.link(target, &target.name).named("link"),
            Some(temp) if over.is_some() => temp.replace(target),
            Some(temp) => temp.create(target, create),
        };
        match named {
            Ok(()) => {}
            Err(error) if over.is_none() && is_taken(&error) => return Ok(Attempt::Taken),
            Err(error) if error.cannot_link() => return Ok(Attempt::Restage),
            Err(error) => return Err(error),
        }
        if leaves_out(Step::SyncOrder) {
            flush::file(&self.file).named("fsync")?;
        }
        Ok(Attempt::Published(over.and_then(Replaced::into_old)))
    }

    /// As [`Staged::publish`] over the file that is there, which then has the temp name. Nothing has changed after an
    /// error; not every file system [can](sys::cannot_exchange) do it.
    pub fn exchange(&mut self, target: &Target) -> Result<Attempt<TempName>> {
        sys::flush_and_close_copy(&self.file).named("close")?;
        if !self.name(target)? {
            return Ok(Attempt::Restage);
        }
        let Some(temp) = self.name.take() else { return Ok(Attempt::Restage) };
        match temp.exchange(target) {
            Ok(()) => Ok(Attempt::Published(temp)),
            Err(error) => {
                self.name = Some(temp);
                if error.errno_of("rename") == Some(sys::ENOENT) { Ok(Attempt::Taken) } else { Err(error) }
            }
        }
    }

    /// The temp name that the file has got back after an [exchange](Self::exchange).
    pub fn keep_temp_name(&mut self, temp: TempName) {
        self.name = Some(temp);
    }

    /// Discards a file that is not to be published after all: its name at once, its blocks later and
    /// on another thread.
    pub fn discard(self) {
        let Self { file, name } = self;
        drop(name);
        deferred_close::close_later(file);
    }

    /// Gives the file a temp name, if it has none yet: all that [`Staged::publish`] has to do then is a rename.
    /// `false`: it cannot get a name here ([`Attempt::Restage`]).
    pub fn name(&mut self, target: &Target) -> Result<bool> {
        if self.name.is_none() {
            target.check_lets_go()?;
            sys::hold(&self.file);
            let linked = names::with_temp_name(&target.name, |name| self.link(target, name)).named("link");
            match linked {
                Ok((name, ())) => self.name = Some(TempName { dir: target.dir.clone(), name }),
                Err(error) if error.cannot_link() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Prepares for closing the descriptor and the directory: the value that is returned keeps the file, which has a temp
    /// name, alive and locked. `None`: that is not possible here, and the file has to be kept open.
    pub fn detach(&mut self) -> Result<Option<Detached>> {
        let Some(temp) = &mut self.name else { return Ok(None) };
        let id = Dir::stat_file(&self.file).named("fstat")?.1.id;
        let (Some(hold), Ok(again)) = (sys::detach(&self.file), temp.dir.open_file(&temp.name)) else {
            return Ok(None);
        };
        self.file = again;
        // Through a second open the lock must be taken. An overlay maps the file of the layer below and closes its own,
        // and with it the lock.
        if !sys::hold(&self.file) {
            return Ok(Some(Detached { _hold: hold, id, name: std::mem::take(&mut temp.name) }));
        }
        let is_same = temp.dir.is_same(&temp.name, &self.file).named("fstat")?;
        if is_same { Ok(None) } else { Err(Error::raw("open", sys::ENOENT)) }
    }

    /// Closes the file and keeps its temp name.
    pub fn keep_name(mut self) {
        if let Some(temp) = &mut self.name {
            temp.forget();
        }
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Closes the file, which has its final name by now.
    ///
    /// # Errors
    /// [`Error::committed`], all of them.
    pub fn close(self) -> Result<()> {
        sys::close(self.file).named("close").map_err(Error::after_commit)
    }

    fn link(&self, target: &Target, name: &OsStr) -> io::Result<()> {
        let linked = target.dir.link_unnamed(&self.file, name);
        if linked.as_ref().is_err_and(|error| error.raw_os_error().is_some_and(sys::cannot_link)) {
            target.dir.set_needs_temp_name();
        }
        linked
    }
}

fn is_taken(error: &Error) -> bool {
    error.errno_of("link").or(error.errno_of("rename")) == Some(sys::EEXIST)
}

/// A staged file without a descriptor. It does not remove its temp name.
#[derive(Debug)]
pub struct Detached {
    _hold: sys::Detached,
    id: FileId,
    /// Its temp name.
    pub name: OsString,
}

impl Detached {
    /// The file, open for reading, flushing and taking its place: to be [closed](Staged::keep_name) or published.
    ///
    /// # Errors
    /// `ENOENT` when another program has removed the name.
    pub fn open(&self, dir: &Arc<Directory>) -> Result<Staged> {
        let file = dir.open_file(&self.name).named("open")?;
        if Dir::stat_file(&file).named("fstat")?.1.id != self.id {
            return Err(Error::raw("open", sys::ENOENT));
        }
        Ok(Staged { file, name: Some(TempName { dir: dir.clone(), name: self.name.clone() }) })
    }
}
