//! From a path to the file that it means: an open directory and a name in it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dir::directory::Directory;
use crate::dir::names;
use crate::dir::place::{Place, is_at, moved};
use crate::dir::spelling::fold;
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::process::Key;
use crate::steps::{self, Step};
use crate::sys::{self, Dir, FileId, Kind, Obstacle, Stat};
pub use crate::sys::{LONGEST_PATH, bytes_beyond_text, path_from_bytes};

/// As many links as Linux itself follows.
const MAX_LINKS: usize = 40;

/// How often a path is followed again whose directory was replaced. A file system that has another number for a
/// directory each time has no place for it.
const MAX_MOVES: u32 = 8;

/// The file that a path means, links followed.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) dir: Arc<Directory>,
    pub(crate) name: OsString,
    /// Where the links led, for messages.
    path: PathBuf,
    /// Where the directory was then.
    pub(crate) place: Place,
}

/// What to do on the way.
#[derive(Clone, Copy, Debug)]
pub struct Resolve {
    /// Make missing directories.
    pub mkdir: bool,
    /// Anything by that name is refused (`O_EXCL`), even a symbolic link that leads nowhere.
    pub exclusive: bool,
}

impl Target {
    /// Follows `path`, which is absolute, to the file it means; the file need not be there.
    ///
    /// # Errors
    /// Those of open(2) with `O_CREAT`: `ENOENT`, `ENOTDIR`, `EACCES`, `EISDIR`, `ELOOP`,
    /// `ENAMETOOLONG`, …; `EEXIST` when exclusive; [`ErrorKind::NotRegular`].
    pub fn resolve(path: &Path, how: Resolve) -> Result<Self> {
        Self::follow(path, how, file_name, regular)
    }

    /// Follows `path`, which is absolute, to the directory it means; it need not be there.
    ///
    /// # Errors
    /// Those of [`Target::resolve`], but `ENOTDIR` for a file, and `EBUSY` for what cannot be renamed: a path that
    /// ends in `.` or `..`, the root, a mount point.
    pub fn resolve_directory(path: &Path, mkdir: bool) -> Result<Self> {
        let target = Self::follow(path, Resolve { mkdir, exclusive: false }, directory_name, directory)?;
        if target.dir.mounted(&target.name) == Some(true) {
            return Err(Error::raw("rename", sys::EBUSY).advise(Advice::MountedDirectory));
        }
        target.to_write()
    }

    /// The same, for a caller that is about to write it.
    ///
    /// # Errors
    /// `EINVAL` if it has a name of those that are swept.
    pub fn to_write(self) -> Result<Self> {
        self.check_written().map(|()| self)
    }

    /// As [`Target::to_write`], for a caller that has it already.
    ///
    /// # Errors
    /// As there.
    pub fn check_written(&self) -> Result<()> {
        if names::is_swept(&self.name) { Err(Error::swept("open")) } else { Ok(()) }
    }

    /// As `Directory::check_lets_go`, with the file that is not to be replaced.
    ///
    /// # Errors
    /// As there.
    pub fn check_lets_go(&self) -> Result<()> {
        self.dir.check_lets_go().map_err(|error| error.with_dest(self.path().to_owned()))
    }

    fn follow(
        path: &Path,
        how: Resolve,
        name_of: fn(Option<&Arc<Directory>>, &Path) -> Result<OsString>,
        check: fn(Option<Stat>) -> Result<Option<Stat>>,
    ) -> Result<Self> {
        let _during = steps::begin(Step::Resolve);
        let mut base: Option<Arc<Directory>> = None;
        let mut path = path.to_owned();
        let mut shown = path.clone();
        let mut moves = 0;
        for _ in 0..=MAX_LINKS {
            let name = name_of(base.as_ref(), &path)?;
            let parent = path.parent().unwrap_or(Path::new(""));
            let dir = Directory::open(base.as_ref(), parent, how.mkdir)?;
            match dir.stat(&name).map_err(|error| Error::system("open", error))? {
                Some(_) if how.exclusive => return Err(Error::raw("open", sys::EEXIST)),
                Some(stat) if stat.kind == Kind::Symlink => {
                    if dir.file_system().has_magic_links {
                        check(Some(Stat {
                            kind: Kind::Other("an open file, by its link in /proc"),
                            ..stat
                        }))?;
                    }
                    path = dir.read_link(&name).map_err(|error| Error::system("readlink", error))?;
                    shown.pop();
                    shown.push(&path);
                    base = Some(dir);
                }
                stat => {
                    check(stat)?;
                    let place = Place::of(&dir, dir.id(), shown.parent().unwrap_or(Path::new("")));
                    if place.is_none() && moves < MAX_MOVES {
                        // It was replaced a moment ago. What is there now is found by the whole path.
                        (path, base) = (shown.clone(), None);
                        moves += 1;
                        continue;
                    }
                    return Ok(Self { dir, name, path: shown, place: place.unwrap_or_default() });
                }
            }
        }
        Err(Error::raw("open", sys::ELOOP))
    }

    /// The file at `path`, which is absolute, if its parent is spelled as that of this one and was followed a moment ago. `None`: it is
    /// not, or there is a link by that name; then it is to be [resolved](Target::resolve).
    ///
    /// # Errors
    /// Those of [`Target::resolve`].
    pub(crate) fn beside(&self, path: &Path) -> Result<Option<Self>> {
        let name = file_name(None, path)?;
        if path.parent() != self.path.parent() {
            return Ok(None);
        }
        let stat = self.dir.stat(&name).map_err(|error| Error::system("open", error))?;
        if stat.as_ref().is_some_and(|stat| stat.kind == Kind::Symlink) {
            return Ok(None);
        }
        regular(stat)?;
        Ok(Some(Self { dir: self.dir.clone(), name, path: path.to_owned(), place: self.place.clone() }))
    }

    /// The file `name` in a directory that was reopened.
    pub(crate) fn again(dir: Arc<Directory>, name: OsString, path: PathBuf) -> Self {
        Self { dir, name, path, place: Place::default() }
    }

    /// Opens the directory anew, by its path: what a network file system has cached of it is looked at again then.
    ///
    /// # Errors
    /// `ENOENT` if its path means another one by now.
    pub fn open_anew(&self) -> Result<()> {
        let mut path = self.real_path();
        path.pop();
        let anew = Dir::open(&path).and_then(|dir| dir.id()).named("open")?;
        if anew == *self.dir.id() { Ok(()) } else { Err(moved()) }
    }

    /// Whether the directory was replaced or moved since the path was followed.
    pub fn is_moved(&self) -> bool {
        !self.place.holds(self.dir.id())
    }

    /// The file beside it whose name ends in that as well.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let mut target = self.clone();
        target.name.push(suffix);
        target.path.as_mut_os_string().push(suffix);
        target
    }

    /// The file `name` beside it.
    pub fn named(&self, name: OsString) -> Self {
        Self { path: self.path.with_file_name(&name), name, ..self.clone() }
    }

    /// What is under the name now.
    ///
    /// # Errors
    /// `EISDIR`, or [`ErrorKind::NotRegular`], if it is not a regular file.
    pub fn existing(&self) -> Result<Option<Stat>> {
        let stat = self.dir.stat(&self.name).map_err(|error| Error::system("open", error))?;
        regular(stat)
    }

    /// # Errors
    /// `EBUSY` or `EPERM` if it is known that nothing can take the place of the file that is there.
    pub fn check_replaceable(&self) -> Result<()> {
        match self.dir.obstacle(&self.name) {
            None => Ok(()),
            Some(obstacle) => Err(self.rename_failed(io::Error::from_raw_os_error(match obstacle {
                Obstacle::MountPoint => sys::EBUSY,
                Obstacle::Immutable | Obstacle::Sticky => sys::EPERM,
            }))),
        }
    }

    /// The error of a rename to this file, with what is known about the cause.
    pub fn rename_failed(&self, error: io::Error) -> Error {
        self.explain(Error::system("rename", error).with_dest(self.path.clone()))
    }

    /// An error of a call that would change this file or its name, with what is known about the cause.
    pub fn explain(&self, error: Error) -> Error {
        let ErrorKind::System { source, .. } = error.kind() else { return error };
        let obstacle = match source.raw_os_error() {
            // Nothing else keeps a regular file busy.
            Some(sys::EBUSY) if self.dir.mounted(&self.name).is_none() => Some(Obstacle::MountPoint),
            Some(sys::EBUSY | sys::EPERM) => self.dir.obstacle(&self.name),
            _ => None,
        };
        match obstacle {
            None => error,
            Some(obstacle) => error.advise(obstacle.into()),
        }
    }

    /// The directory that is under the name now.
    ///
    /// # Errors
    /// `ENOTDIR` if it is something else.
    pub fn existing_directory(&self) -> Result<Option<Stat>> {
        directory(self.dir.stat(&self.name).named("open")?)
    }

    /// By what the locks of several indexes are taken in one [order](crate::lock::order).
    pub(crate) fn lock_order(&self) -> (Option<FileId>, OsString) {
        (Some(self.dir.id().clone()), self.name.clone())
    }

    /// The queue to join before changing this file.
    pub fn key(&self) -> Key {
        Key::File(self.dir.id().clone(), fold(&self.name))
    }

    /// Whether the other one is the same file, perhaps by another spelling of its name.
    ///
    /// # Errors
    /// Those of stat(2) and mkdir(2).
    pub fn is_same(&self, other: &Self) -> Result<bool> {
        Ok(self.dir.id() == other.dir.id() && self.dir.is_one_name(&self.name, &other.name)?)
    }

    /// A path that still means this file when a link on the caller's path has been switched: for a call that
    /// has to wait, and closes the directory meanwhile.
    pub fn real_path(&self) -> PathBuf {
        self.place.path().map_or_else(|| self.path.clone(), |dir| dir.join(&self.name))
    }

    /// What a caller would call it whose own file at `given`, which is absolute, is in the same directory; else its path without links.
    pub fn path_beside(&self, given: &Path) -> PathBuf {
        match given.parent() {
            Some(folder) if is_at(self.dir.id(), folder) == Some(true) => folder.join(&self.name),
            _ => self.real_path(),
        }
    }

    /// The resolved path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Passes on what is a regular file, or nothing.
fn regular(stat: Option<Stat>) -> Result<Option<Stat>> {
    match stat.as_ref().map(|stat| stat.kind) {
        None | Some(Kind::File) => Ok(stat),
        Some(Kind::Directory) => Err(Error::raw("open", sys::EISDIR)),
        // It became a symbolic link after it was resolved.
        Some(Kind::Symlink) => Err(Error::raw("open", sys::ELOOP)),
        Some(Kind::Other(what)) => Err(ErrorKind::NotRegular { what }.into()),
    }
}

/// Passes on what is a directory, or nothing.
fn directory(stat: Option<Stat>) -> Result<Option<Stat>> {
    match stat.as_ref().map(|stat| stat.kind) {
        None | Some(Kind::Directory) => Ok(stat),
        Some(Kind::Symlink) => Err(Error::raw("open", sys::ELOOP)),
        Some(Kind::File | Kind::Other(_)) => Err(Error::raw("open", sys::ENOTDIR)),
    }
}

/// The last component, if it is a name that a directory can be renamed to.
fn directory_name(_: Option<&Arc<Directory>>, path: &Path) -> Result<OsString> {
    if path.as_os_str().is_empty() {
        return Err(Error::raw("open", sys::ENOENT));
    }
    match path.file_name() {
        Some(name) if !sys::ends_in_dots(path.as_os_str()) => usable(name),
        _ => Err(Error::raw("rename", sys::EBUSY)),
    }
}

/// A name, unless the system would take it for something else than a file in its directory.
fn usable(name: &OsStr) -> Result<OsString> {
    if sys::is_reserved(name) {
        return Err(Error::raw("open", sys::EINVAL).advise(Advice::Reserved));
    }
    Ok(name.to_owned())
}

/// The last component, if it can be a file's name.
fn file_name(base: Option<&Arc<Directory>>, path: &Path) -> Result<OsString> {
    if path.as_os_str().is_empty() {
        return Err(Error::raw("open", sys::ENOENT));
    }
    match path.file_name() {
        Some(name) if !sys::names_directory(path.as_os_str()) => usable(name),
        Some(_) => Err(Error::raw("open", sys::EISDIR)),
        // `/` or `..`
        None => Directory::open(base, path, false).and_then(|_| Err(Error::raw("open", sys::EISDIR))),
    }
}
