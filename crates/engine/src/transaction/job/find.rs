//! Finding the files of transactions.

use std::path::PathBuf;

use crate::error::Result;
use crate::job::{Job, Step};
use crate::transaction::recover;
use crate::transaction::session::Session;

/// Finds the files of transactions.
pub struct FindJob {
    root: PathBuf,
    paths: Vec<Find>,
}

/// What is to be found.
pub struct Find {
    /// Absolute.
    pub path: PathBuf,
    /// Make missing directories.
    pub mkdir: bool,
    /// It is a directory, to be made.
    pub is_directory: bool,
}

/// What was found: a position for each path (those of directories mean nothing), or why not.
pub struct Found {
    /// What to go on with.
    pub session: Session,
    /// As the paths.
    pub files: Vec<Result<usize>>,
}

impl FindJob {
    /// `root` is absolute.
    pub fn new(root: PathBuf, paths: Vec<Find>) -> Self {
        Self { root, paths }
    }

    fn find(&self) -> Result<Found> {
        let mut session = Session::open(&self.root)?;
        if let Some(recovered) = recover::attempt(&session.root)? {
            session.note(recovered);
        }
        let find = |Find { path, mkdir, is_directory }: &Find| match is_directory {
            true => session.make_directory(path).map(|()| 0),
            false => session.find(path, *mkdir),
        };
        let files: Vec<_> = self.paths.iter().map(find).collect();
        match files.into_iter().map(transient).collect::<Result<_>>() {
            Ok(files) => Ok(Found { session, files }),
            Err(error) => Err(error),
        }
    }
}

/// What passes by itself is a failure of the job.
pub fn transient<T>(found: Result<T>) -> Result<Result<T>> {
    match found {
        Err(error) if error.is_transient() => Err(error),
        found => Ok(found),
    }
}

impl Job for FindJob {
    type Output = Found;

    fn run(self) -> Step<Self> {
        match self.find() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            found => Step::Done(found),
        }
    }
}
