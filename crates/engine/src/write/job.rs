//! A write on its way through workers: resolve the path, wait for the turn, commit, flush the directory.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::place::moved;
use crate::dir::{Resolve, Target};
use crate::error::{ErrorKind, Result};
use crate::job::{After, Job, Step};
use crate::process::{Inside, Ticket, Turn, UnderWay, buffer_pool};
use crate::transaction::pending;
use crate::write::commit;
use crate::write::committing::Committing;
use crate::write::options::{Options, Receipt};
use crate::write::overtake::{Pending, overtaken};
use crate::write::published::{Published, Settled};

/// One write.
pub struct WriteJob {
    stage: Stage,
    how: How,
}

impl WriteJob {
    /// For a call that has its rank among all of this process.
    pub fn new(
        path: PathBuf,
        data: Data,
        ticket: Ticket,
        options: Options,
        mkdir: bool,
        cancel: Cancel,
    ) -> Self {
        let (inside, call) = (ticket.made_inside(), Pending::new(ticket.rank()));
        let under_way = (data.size() <= SHORT).then(UnderWay::begin);
        let how = How { options, mkdir, cancel, inside, call, under_way, moves: 0, since: Instant::now() };
        Self { stage: Stage::Called(path, ticket, data), how }
    }
}

struct How {
    options: Options,
    mkdir: bool,
    cancel: Cancel,
    /// What the call is made inside of.
    inside: Inside,
    call: Pending,
    /// Of a short write that does not wait for its turn.
    under_way: Option<UnderWay>,
    /// How often the directory was replaced meanwhile.
    moves: u32,
    since: Instant,
}

/// The file by the caller's path, and by one without links.
struct Paths {
    given: PathBuf,
    real: PathBuf,
}

enum Stage {
    /// The path is to be resolved, and the data to be encoded.
    Called(PathBuf, Ticket, Data),
    /// It is our turn. A call that waits keeps paths, not the directory: a thousand that wait would
    /// keep a thousand descriptors.
    Ready(Paths, Turn, Vec<u8>),
    /// The file is written, in a directory that is not at its place any more.
    Moved(PathBuf, Turn, Vec<u8>, Receipt),
}

/// How often a file is written anew because its directory was replaced meanwhile.
pub(crate) const MAX_MOVES: u32 = 64;

/// A file up to this size takes about as long to write as one of no bytes, which is two flushes.
const SHORT: usize = 64 << 10;

impl Job for WriteJob {
    type Output = Receipt;

    fn is_short(&self) -> bool {
        match &self.stage {
            Stage::Called(_, _, data) => data.size() <= SHORT,
            Stage::Ready(_, _, data) | Stage::Moved(_, _, data, _) => data.len() <= SHORT,
        }
    }

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        let resolve = |path: &Path, mkdir, exclusive| {
            how.cancel.check()?;
            Target::resolve(path, Resolve { mkdir, exclusive })?.to_write()
        };
        let exclusive = how.options.exclusive;
        let found = match &stage {
            Stage::Called(path, ticket, _) => ticket.follow(path, || resolve(path, how.mkdir, exclusive)),
            // Where it was when the call joined its queue; only if it is not there any more, where the caller said.
            Stage::Ready(paths, turn, _) => match resolve(&paths.real, false, exclusive) {
                Ok(target) if target.key() == *turn.key() => Ok(target),
                _ => resolve(&paths.given, how.mkdir, exclusive),
            },
            // What is there may be this call's own file.
            Stage::Moved(given, ..) => resolve(given, how.mkdir, false),
        };
        let target = match found {
            Ok(target) => target,
            Err(error) if error.is_transient() => return Step::Again(Self { stage, how }, error),
            Err(error) => return Step::Done(Err(error)),
        };
        let is_clear = match pending::is_in_the_way(&target.dir, how.since) {
            Ok(is_in_the_way) => !is_in_the_way,
            Err(error) => return Step::Again(Self { stage, how }, error),
        };
        match stage {
            // If it is to look again, then with its turn: so it keeps its place in the order of calls, and holds up none of other files.
            Stage::Called(path, ticket, data) => enqueue(path, &target, ticket, data, how, is_clear),
            stage if !is_clear => Step::Wait(Box::pin(async move {
                tokio::time::sleep(pending::PAUSE).await;
                After::Run(Self { stage, how })
            })),
            Stage::Ready(paths, turn, data) if *turn.key() == target.key() => {
                write(paths, &target, turn, data, how)
            }
            Stage::Ready(paths, _turn, data) => {
                let ticket = Ticket::take().inside(how.inside.clone());
                enqueue(paths.given, &target, ticket, Data::Bytes(data), how, true)
            }
            // It was moved, and so was a link on the caller's path, which leads there again.
            Stage::Moved(_, turn, _, receipt) if *turn.key() == target.key() => Step::Done(Ok(receipt)),
            Stage::Moved(..) if how.moves >= MAX_MOVES => Step::Done(Err(moved())),
            // Before the turn is passed on, and so before all calls that have waited for it.
            Stage::Moved(given, _turn, data, _) => {
                let how = How { moves: how.moves + 1, ..how };
                let ticket = Ticket::take().inside(how.inside.clone());
                enqueue(given, &target, ticket, Data::Bytes(data), how, true)
            }
        }
    }
}

/// `is_clear`: it may write at once if the file is free.
fn enqueue(
    given: PathBuf,
    target: &Target,
    ticket: Ticket,
    data: Data,
    mut how: How,
    is_clear: bool,
) -> Step<WriteJob> {
    // Before the data is encoded, which may take longer than all of the next call.
    let mut place = ticket.join(target.key());
    let data = match data.into_bytes() {
        Ok(data) => data,
        Err(failure) => return Step::Done(Err(failure)),
    };
    let turn = if is_clear { place.try_turn() } else { None };
    let paths = Paths { given, real: if turn.is_some() { PathBuf::new() } else { target.real_path() } };
    if let Some(turn) = turn {
        return write(paths, target, turn, data, how);
    }
    let is_short = how.under_way.take().is_some();
    Step::Wait(Box::pin(async move {
        tokio::select! {
            turn = place.turn() => turn.map(|turn| {
                how.under_way = is_short.then(UnderWay::begin);
                WriteJob { stage: Stage::Ready(paths, turn, data), how }
            }).into(),
            () = how.cancel.cancelled() => After::Done(Err(ErrorKind::Aborted.into())),
        }
    }))
}

fn write(paths: Paths, target: &Target, turn: Turn, data: Vec<u8>, mut how: How) -> Step<WriteJob> {
    let committing = Committing::begin(turn.key());
    // A file that a blocking call has made is one that an exclusive write finds.
    if !how.options.exclusive
        && let Some(receipt) = overtaken(&committing, how.call.rank())
    {
        buffer_pool::keep(data);
        return Step::Done(Ok(Receipt { written: false, ..receipt }));
    }
    let published = commit::publish(target, &data, &how.options, &how.cancel);
    drop(committing);
    let published = match published {
        Err(error) if error.is_transient() => {
            let paths = Paths { real: target.real_path(), ..paths };
            return Step::Again(WriteJob { stage: Stage::Ready(paths, turn, data), how }, error);
        }
        // In a directory that was replaced and removed meanwhile nothing can be made.
        Err(error)
            if error.is_system() && !error.committed() && how.moves < MAX_MOVES && target.is_moved() =>
        {
            how.moves += 1;
            return WriteJob { stage: Stage::Ready(paths, turn, data), how }.run();
        }
        Err(error) => return Step::Done(Err(error)),
        Ok(published) => published,
    };
    if turn.is_wanted() && !published.is_moved() {
        // The next write of the file need not wait for the flush, because its own comes later. And should the directory
        // be replaced yet, that one takes its bytes to the new one.
        buffer_pool::keep(data);
        drop(turn);
        return settle(published, |settled| Ok(settled.receipt()));
    }
    let settled = |settled| match settled {
        Ok(Settled::InPlace(receipt)) => {
            buffer_pool::keep(data);
            After::Done(Ok(receipt))
        }
        Ok(Settled::Moved(receipt)) => {
            After::Run(WriteJob { stage: Stage::Moved(paths.given, turn, data, receipt), how })
        }
        Err(error) => After::Done(Err(error)),
    };
    if published.should_coalesce() {
        return Step::Wait(Box::pin(async { settled(published.settle_coalesced().await) }));
    }
    match settled(published.settle()) {
        After::Run(job) => job.run(),
        After::Done(done) => Step::Done(done),
    }
}

/// The last step of a commit.
pub(crate) fn settle<J: Job<Output = Receipt>>(
    published: Published,
    answer: fn(Settled) -> Result<Receipt>,
) -> Step<J> {
    if published.should_coalesce() {
        Step::Wait(Box::pin(async move { After::Done(published.settle_coalesced().await.and_then(answer)) }))
    } else {
        Step::Done(published.settle().and_then(answer))
    }
}
