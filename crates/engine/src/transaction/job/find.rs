//! Finding the files of transactions.

use std::path::PathBuf;

use crate::error::Result;
use crate::job::{Job, Step};
use crate::transaction::recover;
use crate::transaction::session::{Files, Session};

/// Finds the files of transactions.
pub struct FindJob {
    root: PathBuf,
    paths: Vec<Find>,
    session: Option<Session>,
    known: Option<Files>,
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
    /// As the paths: the position that a file has in the other session.
    pub known: Vec<Option<usize>>,
}

/// Of each path the position in this session, and that in the other one.
type Places = (Vec<Result<usize>>, Vec<Option<usize>>);

impl FindJob {
    /// `root` is absolute. With a session more files are found for that; `known` are those of another one, which is to be told from them.
    pub fn new(root: PathBuf, paths: Vec<Find>, session: Option<Session>, known: Option<Files>) -> Self {
        Self { root, paths, session, known }
    }

    fn find(&self, session: &mut Session) -> Result<Places> {
        if let Some(recovered) = recover::attempt(&session.root)? {
            session.note(recovered);
        }
        let mut files = Vec::new();
        let mut known = Vec::new();
        for Find { path, mkdir, is_directory } in &self.paths {
            let found = match is_directory {
                true => session.make_directory(path).map(|()| 0),
                false => session.find(path, *mkdir),
            };
            let found = transient(found)?;
            if let Some(files) = &self.known {
                let at = found.as_ref().ok().filter(|_| !is_directory);
                known.push(at.map_or(Ok(None), |at| session.position_in(files, *at))?);
            }
            files.push(found);
        }
        Ok((files, known))
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

    fn run(mut self) -> Step<Self> {
        let mut session = match self.session.take().map_or_else(|| Session::open(&self.root), Ok) {
            Ok(session) => session,
            Err(error) if error.is_transient() => return Step::Again(self, error),
            Err(error) => return Step::Done(Err(error)),
        };
        match self.find(&mut session) {
            Ok((files, known)) => Step::Done(Ok(Found { session, files, known })),
            // Positions that were found before stay as they are.
            Err(error) if error.is_transient() => Step::Again(Self { session: Some(session), ..self }, error),
            Err(error) => Step::Done(Err(error)),
        }
    }
}
