//! A transaction of which all is known before its files are found: no function runs under its locks, so one worker does all of it. The thread that
//! has called would only pass it on from one worker to the next one, twice, which costs it as much as four writes.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::{CommitJob, Committed, Find, FindJob, Found, LockJob, Locked, Wanted, What};
use crate::cancel::Cancel;
use crate::data::Data;
use crate::error::ErrorKind;
use crate::job::{After, Job, Step};
use crate::process::Inside;
use crate::transaction::recover::Recovered;
use crate::write::Options;

/// Finds files, takes their turns and commits what they get.
pub struct AtOnceJob {
    stage: Stage,
    how: How,
}

/// A file that gets this content.
pub struct ToWrite {
    /// Absolute.
    pub path: PathBuf,
    /// Make missing directories.
    pub mkdir: bool,
    /// Its content.
    pub data: Arc<Data>,
    /// How.
    pub options: Options,
}

struct How {
    contents: Vec<(Arc<Data>, Options)>,
    flush: bool,
    inside: Inside,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
    finding: Finding,
    recovered: Option<Recovered>,
    waited: Duration,
}

/// What came of it.
pub struct AtOnce {
    /// `None`: two paths are of one file, and no file was written. What it is to be follows from the order of the changes, which is not known here.
    pub committed: Option<Committed>,
    /// What was recovered on the way.
    pub recovered: Option<Recovered>,
    /// From the call on, until all turns had come.
    pub waited: Duration,
}

/// Whether a job has found its files, or was given up before: what comes first counts. From then on it ends by itself when it is cancelled or its time is up;
/// until then it may be held up by a disk that does not answer.
#[derive(Clone, Debug, Default)]
pub struct Finding(Arc<OnceLock<bool>>);

impl Finding {
    fn is_over(&self) -> bool {
        *self.0.get_or_init(|| true)
    }

    /// Whether the job does nothing any more.
    pub fn give_up(&self) -> bool {
        !self.0.get_or_init(|| false)
    }
}

enum Stage {
    Find(FindJob),
    Lock(LockJob),
    Commit(CommitJob),
    /// On a worker again.
    Next(Box<dyn FnOnce(How) -> Step<AtOnceJob> + Send>),
}

impl AtOnceJob {
    /// `root` is absolute.
    pub fn new(
        root: PathBuf,
        files: Vec<ToWrite>,
        flush: bool,
        inside: Inside,
        timeout: Duration,
        cancel: Cancel,
        finding: Finding,
    ) -> Self {
        let (mut paths, mut contents) = (Vec::new(), Vec::new());
        for ToWrite { path, mkdir, data, options } in files {
            paths.push(Find { path, mkdir, is_directory: false });
            contents.push((data, options));
        }
        let (since, recovered, waited) = (Instant::now(), None, Duration::ZERO);
        let how = How { contents, flush, inside, since, timeout, cancel, finding, recovered, waited };
        Self { stage: Stage::Find(FindJob::new(root, paths, None, None)), how }
    }
}

impl How {
    /// With what one of the jobs has come to.
    fn go_on<J: Job>(
        self,
        step: Step<J>,
        stage: fn(J) -> Stage,
        next: fn(Self, J::Output) -> Step<AtOnceJob>,
    ) -> Step<AtOnceJob> {
        let how = self;
        match step {
            Step::Done(Ok(output)) => next(how, output),
            Step::Done(Err(error)) => Step::Done(Err(error)),
            Step::Again(job, error) => Step::Again(AtOnceJob { stage: stage(job), how }, error),
            Step::Wait(waiting) => Step::Wait(Box::pin(async move {
                let stage = match waiting.await {
                    After::Run(job) => stage(job),
                    After::Done(Ok(output)) => Stage::Next(Box::new(move |how| next(how, output))),
                    After::Done(Err(error)) => return After::Done(Err(error)),
                };
                After::Run(AtOnceJob { stage, how })
            })),
        }
    }

    fn found(mut self, Found { mut session, files, .. }: Found) -> Step<AtOnceJob> {
        if !self.finding.is_over() {
            return Step::Done(Err(ErrorKind::Aborted.into()));
        }
        self.recovered = session.recovered.take();
        let mut is_each_its_own = true;
        for (nth, found) in files.into_iter().enumerate() {
            match found {
                // A new session gives its files their positions in their order.
                Ok(at) => is_each_its_own &= at == nth,
                // A second search might find what this one has made.
                Err(error) => return Step::Done(Err(error.of_entry(nth))),
            }
        }
        if !is_each_its_own {
            return self.over(None);
        }
        let Self { inside, timeout, cancel, .. } = &self;
        let lock = LockJob::new(session, Vec::new(), Vec::new(), inside.clone(), *timeout, cancel.clone());
        self.go_on(lock.run(), Stage::Lock, Self::locked)
    }

    fn locked(mut self, Locked { mut session, .. }: Locked) -> Step<AtOnceJob> {
        self.waited = self.since.elapsed();
        self.recovered = session.recovered.take().or(self.recovered);
        let contents = std::mem::take(&mut self.contents).into_iter().enumerate();
        let wanted =
            contents.map(|(at, (data, options))| Wanted { at, what: What::Write(data, options, None) });
        let commit = CommitJob::new(session, wanted.collect(), self.flush, self.timeout, self.cancel.clone());
        self.go_on(commit.run(), Stage::Commit, |how, committed| how.over(Some(committed)))
    }

    fn over(self, committed: Option<Committed>) -> Step<AtOnceJob> {
        Step::Done(Ok(AtOnce { committed, recovered: self.recovered, waited: self.waited }))
    }
}

impl Job for AtOnceJob {
    type Output = AtOnce;

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        match stage {
            Stage::Find(job) => how.go_on(job.run(), Stage::Find, How::found),
            Stage::Lock(job) => how.go_on(job.run(), Stage::Lock, How::locked),
            Stage::Commit(job) => {
                how.go_on(job.run(), Stage::Commit, |how, committed| how.over(Some(committed)))
            }
            Stage::Next(next) => next(how),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    fn run(root: PathBuf, names: &[&str], finding: &Finding) -> Step<AtOnceJob> {
        let file = |name: &&str| ToWrite {
            path: root.join(name),
            mkdir: false,
            data: Arc::new(Data::Bytes(b"new".to_vec())),
            options: Options::default(),
        };
        let files = names.iter().map(file).collect();
        let (inside, timeout) = (Inside::default(), Duration::from_secs(1));
        AtOnceJob::new(root, files, false, inside, timeout, Cancel::default(), finding.clone()).run()
    }

    #[test]
    fn what_was_given_up_before_its_files_were_found_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let given_up = Finding::default();
        assert!(given_up.give_up());
        let Step::Done(Err(error)) = run(dir.path().into(), &["a"], &given_up) else { panic!("went on") };
        assert_eq!(error.code(), "ABORT_ERR");
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn it_is_not_given_up_any_more_once_its_files_were_found() {
        let dir = tempfile::tempdir().unwrap();
        let finding = Finding::default();
        let Step::Done(Ok(done)) = run(dir.path().into(), &["a", "b"], &finding) else { panic!("waits") };
        assert!(matches!(done.committed, Some(Committed::Done(Some(1), receipts, _)) if receipts.len() == 2));
        assert!(!finding.give_up());
        assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"new");
    }

    #[test]
    fn two_paths_of_one_file_are_left_to_those_who_know_more() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a", "./a"];
        let Step::Done(Ok(done)) = run(dir.path().into(), &names, &Finding::default()) else {
            panic!("fails")
        };
        assert!(done.committed.is_none());
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn the_first_path_that_is_wrong_is_what_it_fails_with() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a", "none/b", "../c", "./a"];
        let Step::Done(Err(error)) = run(dir.path().into(), &names, &Finding::default()) else {
            panic!("goes on")
        };
        assert_eq!((error.code(), error.entry()), ("ENOENT", Some(1)));
        assert!(!dir.path().join("a").exists());
    }
}
