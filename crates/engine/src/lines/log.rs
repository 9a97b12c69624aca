//! A file of lines, open under its lock: appending to it, and taking back what could not be appended as a whole.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use crate::dir::Target;
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::lines::options::AppendOptions;
use crate::lines::rotate::numbered;
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::steps;
use crate::sys::{self, Dir, Kind, Stat};
use crate::write::options::Create;
use crate::write::verify::read_fully;
use crate::write::{Attempt, Level, Staged};

const ALL: u32 = 0o666;
const PRIVATE: u32 = 0o600;
const CHUNK: usize = 256 << 10;

/// A file that is open to be appended to.
pub struct Log<'a> {
    target: &'a Target,
    pub file: File,
    /// It was made just now.
    pub is_new: bool,
}

/// Where a text is in its file.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub end: u64,
    pub flushed: bool,
    pub verified: Option<Level>,
}

/// What of a text is in the file by now.
#[derive(Clone, Copy, Debug)]
struct Written {
    bytes: usize,
    /// Where it ends; before the first piece, where that is to begin.
    end: u64,
    /// A piece is not right behind what was to be before it: a program without the lock has written there, or cut the file.
    is_apart: bool,
}

impl Written {
    /// A write has taken `some` bytes, after which the position is `end`. Returns whether they are apart. Those that have not
    /// moved it are not there at all, which the read-back finds out.
    fn add(&mut self, some: usize, end: u64) -> bool {
        let is_apart = end != self.end && end != self.end + some as u64;
        self.bytes += some;
        self.end = end;
        self.is_apart |= is_apart;
        is_apart
    }
}

impl<'a> Log<'a> {
    /// Opens the file of `target`, or makes it.
    ///
    /// # Errors
    /// Those of open(2); [`ErrorKind::NotRegular`].
    pub fn open(target: &'a Target, options: &AppendOptions) -> Result<Self> {
        loop {
            match target.dir.open_to_append(&target.name) {
                Err(error) if error.raw_os_error() == Some(sys::ENOENT) => {
                    match Self::make(target, options) {
                        // A program without the lock was faster.
                        Err(error) if error.errno_of("open") == Some(sys::EEXIST) => {}
                        made => return made,
                    }
                }
                opened => {
                    let file = opened.named("open")?;
                    if Dir::stat_file(&file).named("fstat")?.0 != Kind::File {
                        let what = "not the file that it was a moment ago";
                        return Err(ErrorKind::NotRegular { what }.into());
                    }
                    return Ok(Self { target, file, is_new: false });
                }
            }
        }
    }

    fn make(target: &'a Target, options: &AppendOptions) -> Result<Self> {
        let Target { dir, name, .. } = target;
        // What was rotated just now, or by a call that was killed before it had made the next file.
        let first = numbered(name, 1);
        let model = match options.rotate {
            Some(_) => dir.stat(&first).named("stat")?.filter(|stat: &Stat| stat.kind == Kind::File),
            None => None,
        };
        if model.is_none() && options.mode.is_none() {
            return Self::made_in_place(target, ALL, |_| Ok(()));
        }
        let bears = |now, wanted| dir.bears(now, wanted);
        let set = |file: &File| -> Result<()> {
            match (&model, options.mode) {
                (Some(model), mode) => sys::inherit(file, dir, &first, &model.access, mode, &bears)?,
                (None, Some(mode)) => sys::set_mode(file, mode, &bears)?,
                (None, None) => {}
            }
            Ok(())
        };
        match Self::make_aside(target, set) {
            // Nothing has been made.
            Err(error) if matches!(error.kind(), ErrorKind::NoExclusive) => {
                Self::made_in_place(target, PRIVATE, set)
            }
            made => made,
        }
    }

    /// The file has its access before it has its name, so a kill in between leaves none that others cannot use.
    fn make_aside(target: &'a Target, set: impl Fn(&File) -> Result<()>) -> Result<Self> {
        let how = Create { exclusive: true, by_rename: false };
        loop {
            let mut staged = Staged::new(target, true, how.exclusive)?;
            set(staged.file())?;
            match staged.publish(target, None, how)? {
                Attempt::Published(_) => break,
                Attempt::Taken => return Err(Error::raw("open", sys::EEXIST)),
                // From now on with a temp name.
                Attempt::Restage => staged.discard(),
            }
        }
        let file = target.dir.open_to_append(&target.name).named("open")?;
        sys::hold(&file);
        Ok(Self { target, file, is_new: true })
    }

    fn made_in_place(target: &'a Target, mode: u32, set: impl Fn(&File) -> Result<()>) -> Result<Self> {
        let made = target.dir.create_to_append(&target.name, mode);
        let file = made.map_err(|error| Error::not_made(error, Advice::MakesFile))?;
        let log = Self { target, file, is_new: true };
        // As the lock of the index holds a file that is there: it may get other names at once.
        sys::hold(&log.file);
        match set(&log.file) {
            Ok(()) => Ok(log),
            Err(error) => {
                log.give_up();
                Err(error)
            }
        }
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn size(&self) -> Result<u64> {
        Ok(Dir::stat_file(&self.file).named("fstat")?.1.size)
    }

    /// Whether the file has no name any more: an editor has put another one in its place.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn is_gone(&self) -> Result<bool> {
        Ok(Dir::stat_file(&self.file).named("fstat")?.1.links == 0)
    }

    /// Appends `text` to a file of `size` bytes, as `options` ask for. If that fails, nothing of it is there.
    ///
    /// # Errors
    /// Whatever fails first, [`Error::committed`] if a part of the text may be there; [`ErrorKind::Verify`].
    pub fn append(&self, text: &[u8], size: u64, options: &AppendOptions) -> Result<Placed> {
        let _during = steps::begin(steps::Step::Stage);
        let mut written = Written { bytes: 0, end: size, is_apart: false };
        self.try_append(text, size, options, &mut written).map_err(|error| {
            match self.take_back(size, written, options.flush) {
                Ok(true) => error,
                Ok(false) | Err(_) => error.after_commit().advise(Advice::Appended),
            }
        })
    }

    fn try_append(
        &self,
        text: &[u8],
        size: u64,
        options: &AppendOptions,
        written: &mut Written,
    ) -> Result<Placed> {
        let mut file = &self.file;
        // Where the system does not append by itself.
        file.seek(SeekFrom::Start(size)).named("lseek")?;
        while written.bytes < text.len() {
            match file.write(&text[written.bytes..]) {
                // A write of nothing is an error, not a loop.
                Ok(0) => return Err(std::io::Error::from(std::io::ErrorKind::WriteZero)).named("write"),
                Ok(some) => {
                    let before = written.bytes;
                    let is_apart = written.add(some, file.stream_position().named("lseek")?);
                    if is_apart && before > 0 {
                        return Err(ErrorKind::Verify {
                            offset: Some(written.end.saturating_sub(some as u64)),
                        }
                        .into());
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).named("write"),
            }
        }
        let end = written.end;
        let start = end.saturating_sub(text.len() as u64);
        let flushed =
            options.flush && (leaves_out(Step::AppendSync) || flush::file(&self.file).named("fsync")?);
        let verified = options.verify.map(|level| self.verify(text, start, level)).transpose()?;
        // Some file systems say only then that writes were lost.
        sys::flush_and_close_copy(&self.file).named("close")?;
        Ok(Placed { end, flushed, verified })
    }

    fn verify(&self, text: &[u8], start: u64, wanted: Level) -> Result<Level> {
        let _during = steps::begin(steps::Step::Verify);
        if leaves_out(Step::Verify) {
            return Ok(wanted);
        }
        let level = match wanted {
            Level::Device if sys::drop_pages(&self.file, self.size()?) => Level::Device,
            _ => Level::Cache,
        };
        let mut chunk = vec![0; text.len().min(CHUNK)];
        let mut at = start;
        for expected in text.chunks(CHUNK) {
            let got = read_fully(&self.file, &mut chunk[..expected.len()], at)?;
            if chunk[..got] != *expected {
                let alike = expected.iter().zip(&chunk[..got]).take_while(|(one, other)| one == other);
                return Err(ErrorKind::Verify { offset: Some(at + alike.count() as u64) }.into());
            }
            at += got as u64;
        }
        Ok(level)
    }

    /// Makes the file as long as it was. `false`: a program without the lock has changed it, and what is ours may be there.
    fn take_back(&self, size: u64, written: Written, flush: bool) -> Result<bool> {
        if leaves_out(Step::AppendUndo) {
            return Ok(true);
        }
        let now = self.size()?;
        let is_ours = !written.is_apart && now == written.end;
        if !is_ours && (written.bytes > 0 || now > size) {
            return Ok(false);
        }
        if now > size {
            self.file.set_len(size).named("ftruncate")?;
            // The system may have begun to write it to the disk.
            if flush {
                flush::file(&self.file).named("fsync")?;
            }
        }
        self.give_up();
        Ok(true)
    }

    /// Removes a file that was made for a text which is not in it.
    fn give_up(&self) {
        let Target { dir, name, .. } = self.target;
        if self.is_new
            && self.size().is_ok_and(|size| size == 0)
            && dir.is_same(name, &self.file).unwrap_or(false)
        {
            drop(dir.unlink(name));
        }
    }
}
