//! Fills a tree from another one: files, links as links, empty directories, permission bits.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::{Directory, names};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::process::retry_transient;
use crate::sys::{self, Dir, FileId, Kind};
use crate::tree::staging::Staging;
use crate::walk::crew::{Crew, with_crew};
use crate::walk::{Node, Visitor, walk};
use crate::write::{Content, verify};

/// Permission bits that a copy has too. Set-id bits were granted to another file, of maybe another owner.
const COPIED: u32 = 0o1777;
const SET_GROUP: u32 = 0o2000;
const OWNER: u32 = 0o700;
const PRIVATE: u32 = 0o600;

/// A tree to copy.
#[derive(Debug)]
pub struct Source {
    dir: Dir,
    /// For messages.
    path: PathBuf,
}

impl Source {
    /// Opens the directory that `path` means, called `shown` in messages; links to it are followed.
    ///
    /// # Errors
    /// Those of open(2) for a directory.
    pub fn open(path: &Path, shown: impl Into<PathBuf>) -> Result<Self> {
        let shown = shown.into();
        let dir = Dir::open(path).named("open").map_err(|error| error.about(&shown))?;
        Ok(Self { dir, path: shown })
    }

    /// A copy within itself would have no end, and one over what it is in would take itself away.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn check_apart(&self, staging: &Staging) -> Result<()> {
        let target = staging.target();
        let id = self.dir.id().named("fstat")?;
        let old = target.existing_directory()?;
        let within = match &old {
            Some(old) => self.dir.is_within(&old.version.id).named("open")?,
            None => false,
        };
        if within || target.dir.is_within(&id).named("open")? {
            return Err(Error::raw("cp", sys::EINVAL).about(&self.path).with_dest(target.path().to_owned()));
        }
        Ok(())
    }

    /// Copies all of it. `verify`: every file is read back and compared.
    ///
    /// # Errors
    /// [`ErrorKind::NotRegular`] for a device, a FIFO or a socket; [`ErrorKind::Verify`]; whatever the system says;
    /// [`ErrorKind::Aborted`].
    pub fn copy_to(&self, staging: &mut Staging, verify: bool, cancel: &Cancel) -> Result<()> {
        let parent = staging.target().dir.clone();
        let open =
            || Ok(Arc::new(Pair { from: self.dir.try_clone()?, to: staging.dir.try_clone()?, parent }));
        let root = open().map_err(|error: io::Error| Error::system("open", error))?;
        let mode = self.dir.stat_self().named("fstat")?.access.mode & COPIED;
        staging.set_default_mode(mode)?;
        let task = |work: Work| work.copy(verify, cancel);
        let closed = with_crew(&task, |crew| {
            let mut copier = Copier { crew, cancel, closed: false };
            walk(root.clone(), &self.path, &mut copier)?;
            Ok(copier.closed)
        })?;
        if closed {
            // Only now: nothing can be made in a directory that its owner may not write to.
            walk(root, &self.path, &mut Closer)?;
        }
        Ok(())
    }
}

/// A directory and its copy.
struct Pair {
    from: Dir,
    to: Dir,
    /// In which the copy as a whole is.
    parent: Arc<Directory>,
}

impl Node for Pair {
    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let (from, to) = (self.from.open_child(name)?, self.to.open_own_child(name)?);
        Ok(Self { from, to, parent: self.parent.clone() })
    }

    fn back(&self) -> io::Result<Self> {
        let (from, to) = (self.from.open_parent()?, self.to.open_parent()?);
        Ok(Self { from, to, parent: self.parent.clone() })
    }

    fn id(&self) -> io::Result<FileId> {
        self.from.id()
    }
}

/// A file to copy.
struct Work {
    level: Arc<Pair>,
    name: OsString,
    path: Arc<Path>,
}

impl Work {
    fn copy(&self, verify: bool, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        let Pair { from, to, parent } = &*self.level;
        let copy = || {
            let source = retry_transient(|| from.open_file(&self.name).named("open"))?;
            let copy = retry_transient(|| to.create_new(&self.name, PRIVATE).named("open"))?;
            sys::copy_content(&source, &copy, &mut || !cancel.is_cancelled()).named("copyfile")?;
            if verify {
                let bytes = Dir::stat_file(&source).named("fstat")?.1.size;
                verify::verify(&copy, Content::Copy { of: &source, bytes }, verify::Level::Cache, cancel)?;
            }
            cancel.check()?;
            let mode =
                from.stat(&self.name).named("lstat")?.map_or(PRIVATE, |stat| stat.access.mode & COPIED);
            sys::set_mode(&copy, mode, &|now, wanted| parent.bears(now, wanted))?;
            sys::close(copy).named("close")
        };
        copy().map_err(|error: Error| match error.kind() {
            ErrorKind::Aborted => error,
            _ => error.about(self.path.join(&self.name)),
        })
    }
}

struct Copier<'crew, 'scope, 'env> {
    crew: &'crew mut Crew<'scope, 'env, Work>,
    cancel: &'crew Cancel,
    /// There are directories that their owner may not write to.
    closed: bool,
}

impl Visitor<Pair> for Copier<'_, '_, '_> {
    fn look(&mut self, level: &Arc<Pair>, path: &Path) -> Result<Vec<OsString>> {
        let path: Arc<Path> = path.into();
        let mut directories = Vec::new();
        let entries =
            retry_transient(|| level.from.entries().named("scandir")).map_err(|error| error.about(&*path))?;
        for (name, _) in entries {
            self.cancel.check()?;
            // What a killed process has left, or what is not finished: the next write in the copy would remove it there.
            if names::is_temp(&name) {
                continue;
            }
            let about = |error: Error| error.about(path.join(&name));
            // Gone since: as if it had been removed before.
            let Some(stat) = level.from.stat(&name).named("lstat").map_err(about)? else { continue };
            match stat.kind {
                Kind::File => self.crew.give(Work { level: level.clone(), name, path: path.clone() })?,
                Kind::Directory => {
                    copy_dir(level, &name, stat.access.mode | OWNER).map_err(about)?;
                    self.closed |= stat.access.mode & OWNER != OWNER;
                    directories.push(name);
                }
                Kind::Symlink => {
                    let target = level.from.read_link(&name).named("readlink").map_err(about)?;
                    let to_directory = level.from.links_to_directory(&name);
                    level.to.make_link(&target, &name, to_directory).named("symlink").map_err(about)?;
                }
                Kind::Other(what) => return Err(about(ErrorKind::NotRegular { what }.into())),
            }
        }
        Ok(directories)
    }

    fn left(&mut self, _level: &Pair, _name: &OsStr, _path: &Path) -> Result<()> {
        Ok(())
    }
}

fn copy_dir(level: &Pair, name: &OsStr, mode: u32) -> Result<()> {
    level.to.make_dir_with(name, OWNER).named("mkdir")?;
    set_dir_mode(level, name, mode)
}

fn set_dir_mode(level: &Pair, name: &OsStr, mode: u32) -> Result<()> {
    let dir = retry_transient(|| level.to.open_own_child(name).named("open"))?;
    let given = dir.stat_self().named("fstat")?.access.mode & SET_GROUP;
    let bears = |now, wanted| level.parent.bears(now, wanted);
    Ok(sys::set_mode(&dir.as_file().named("open")?, mode & COPIED | given, &bears)?)
}

/// Takes rights away from the copies of directories that deny them to their owners.
struct Closer;

impl Visitor<Pair> for Closer {
    fn look(&mut self, level: &Arc<Pair>, path: &Path) -> Result<Vec<OsString>> {
        let entries = level.to.entries().named("scandir").map_err(|error| error.about(path))?;
        Ok(entries
            .into_iter()
            .filter(|(_, kind)| *kind == Some(Kind::Directory))
            .map(|(name, _)| name)
            .collect())
    }

    fn left(&mut self, level: &Pair, name: &OsStr, path: &Path) -> Result<()> {
        let about = |error: Error| error.about(path);
        match level.from.stat(name).named("lstat").map_err(about)? {
            Some(stat) if stat.kind == Kind::Directory && stat.access.mode & OWNER != OWNER => {
                set_dir_mode(level, name, stat.access.mode).map_err(about)
            }
            _ => Ok(()),
        }
    }
}
