//! The parts of replacing a directory that run on workers: up to the empty directory that is to be filled, and from the
//! full one on.

use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::error::{Error, ErrorKind};
use crate::job::{After, Job, Step};
use crate::process::{Inside, Key, Ticket, Turn};
use crate::steps;
use crate::tree::copy::Source;
use crate::tree::staging::Staging;
use crate::tree::{self, Committed, Permit, TreeOptions, TreeReceipt};

/// A directory to be filled, and the turn for what it is to replace.
pub struct Site {
    staging: Staging,
    turn: Turn,
}

impl Site {
    /// Which directory it is for.
    pub fn key(&self) -> &Key {
        self.turn.key()
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.staging.path()
    }
}

/// From the call to the empty directory.
pub struct OpenJob {
    stage: Called,
    options: TreeOptions,
    /// What the call is made inside of.
    inside: Inside,
    cancel: Cancel,
}

enum Called {
    Now(PathBuf, Ticket),
    /// It is our turn. A call that waits keeps paths, not open directories: the caller's, and one without links.
    Ready {
        given: PathBuf,
        real: PathBuf,
        turn: Turn,
    },
}

impl OpenJob {
    /// For a call that has its rank among all calls.
    pub fn new(path: PathBuf, ticket: Ticket, options: TreeOptions, cancel: Cancel) -> Self {
        let inside = ticket.made_inside();
        Self { stage: Called::Now(path, ticket), options, inside, cancel }
    }

    fn find(&self) -> Result<Target, Error> {
        self.cancel.check()?;
        match &self.stage {
            Called::Now(path, ticket) => {
                ticket.follow(path, || Target::resolve_directory(path, self.options.mkdir))
            }
            // Where it was when the call joined its queue; only if it is not there any more, where the caller said.
            Called::Ready { given, real, turn } => match Target::resolve_directory(real, false) {
                Ok(target) if target.key() == *turn.key() => Ok(target),
                _ => Target::resolve_directory(given, self.options.mkdir),
            },
        }
    }
}

impl Job for OpenJob {
    type Output = Site;

    fn run(self) -> Step<Self> {
        let target = match self.find() {
            Ok(target) => target,
            Err(error) if error.is_transient() => return Step::Again(self, error),
            Err(error) => return Step::Done(Err(error)),
        };
        let Self { stage, options, inside, cancel } = self;
        let (given, ticket) = match stage {
            Called::Now(path, ticket) => (path, ticket),
            Called::Ready { given, turn, real } if *turn.key() == target.key() => {
                return match Staging::new(&target, &options) {
                    Ok(staging) => Step::Done(Ok(Site { staging, turn })),
                    Err(error) if error.is_transient() => Step::Again(
                        Self { stage: Called::Ready { given, real, turn }, options, inside, cancel },
                        error,
                    ),
                    Err(error) => Step::Done(Err(error)),
                };
            }
            Called::Ready { given, .. } => (given, Ticket::take().inside(inside.clone())),
        };
        let mut place = ticket.join(target.key());
        let real = target.real_path();
        if let Some(turn) = place.try_turn() {
            return Self { stage: Called::Ready { given, real, turn }, options, inside, cancel }.run();
        }
        Step::Wait(Box::pin(async move {
            tokio::select! {
                turn = place.turn() => {
                    turn.map(|turn| Self { stage: Called::Ready { given, real, turn }, options, inside, cancel }).into()
                }
                () = cancel.cancelled() => After::Done(Err(ErrorKind::Aborted.into())),
            }
        }))
    }
}

/// What a tree is to be copied from.
pub struct Copy {
    /// Where.
    pub from: PathBuf,
    /// What the caller calls it.
    pub shown: String,
    /// Read back and compare.
    pub verify: bool,
}

/// From the full directory to the answer.
pub struct CommitJob {
    stage: Stage,
    cancel: Cancel,
}

enum Stage {
    Filled(Site, Option<Copy>),
    Permitted(Site, Option<Copy>, Permit),
}

impl CommitJob {
    /// With `copy`, the directory is filled first.
    pub fn new(site: Site, copy: Option<Copy>, cancel: Cancel) -> Self {
        Self { stage: Stage::Filled(site, copy), cancel }
    }
}

impl Job for CommitJob {
    type Output = TreeReceipt;

    fn run(self) -> Step<Self> {
        let Self { stage, cancel } = self;
        match stage {
            Stage::Filled(site, copy) => match tree::try_permit() {
                Some(permit) => Self { stage: Stage::Permitted(site, copy, permit), cancel }.run(),
                None => Step::Wait(Box::pin(async move {
                    let permit = tree::permit().await;
                    permit.map(|permit| Self { stage: Stage::Permitted(site, copy, permit), cancel }).into()
                })),
            },
            Stage::Permitted(site, copy, permit) => {
                let committed = commit(site, copy, &cancel);
                drop(permit);
                match committed {
                    Ok(committed) if committed.has_leftover() => Step::Wait(Box::pin(async move {
                        tokio::time::sleep(tree::GRACE).await;
                        After::Done(tree::on_own_thread(|| committed.clear()).await)
                    })),
                    Ok(committed) => Step::Done(Ok(committed.clear())),
                    Err(error) => Step::Done(Err(error)),
                }
            }
        }
    }
}

/// The turn passes on with the swap: what is left to do concerns no other call.
fn commit(site: Site, copy: Option<Copy>, cancel: &Cancel) -> Result<Committed, Error> {
    let Site { mut staging, turn } = site;
    let _turn = turn;
    if let Some(Copy { from, shown, verify }) = copy {
        let _during = steps::begin(steps::Step::Stage);
        let copied = Source::open(&from, shown).and_then(|source| {
            source.check_apart(&staging)?;
            source.copy_to(&mut staging, verify, cancel)
        });
        if let Err(error) = copied {
            staging.discard();
            return Err(error);
        }
    }
    staging.commit(cancel)
}

/// Removes a directory that is not wanted any more.
pub struct DiscardJob(pub Site);

impl Job for DiscardJob {
    type Output = ();

    fn run(self) -> Step<Self> {
        let Site { staging, turn } = self.0;
        Step::Wait(Box::pin(async move {
            let gone = tree::on_own_thread(move || staging.discard()).await;
            drop(turn);
            After::Done(gone)
        }))
    }
}
