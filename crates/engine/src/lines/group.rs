//! Jobs for one file that are done together: one lock, one write, one flush. The call that has the turn takes those along
//! that wait right behind it, whatever threads they come from, so the order of the calls stays.
//!
//! A call that waits leaves its lines where the others of its process find them. Whoever takes them tells it what came of it,
//! or gives them back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::IndexFile;
use crate::lines::append::Done;
use crate::lines::bunch::{MOST_BYTES, MOST_CALLS};
use crate::lines::options::{AppendOptions, Appended, Lines, Torn};
use crate::process::{CallId, lock, try_room_for_bytes};
use crate::stats;
use crate::steps::{self, Steps};

/// What the calls of a job come to, in their order. Calls that were made together fail with one error.
pub type Outcome = std::result::Result<Vec<Appended>, Arc<Error>>;

/// What the calls of a job want.
#[derive(Debug)]
pub struct Wish {
    pub lines: Lines,
    pub options: Arc<AppendOptions>,
    pub cancel: Cancel,
}

/// What a call that was taken along hears.
pub enum Told {
    Done(Outcome),
    /// Nothing was done: it is to begin anew.
    Again(Wish),
}

struct Waiting {
    wish: Wish,
    tell: oneshot::Sender<Told>,
}

static WAITING: Mutex<Option<HashMap<CallId, Waiting>>> = Mutex::new(None);

/// A number that no other call has: those of updates count from 0.
fn next_id() -> CallId {
    const FIRST: CallId = 1 << 63;
    static ISSUED: AtomicU64 = AtomicU64::new(FIRST);
    ISSUED.fetch_add(1, Ordering::Relaxed)
}

/// The place of a call among those that wait. Dropped, its lines are gone from there.
pub struct Seat {
    pub id: CallId,
    told: oneshot::Receiver<Told>,
}

impl Seat {
    /// Leaves `wish` to be found.
    pub fn take(wish: Wish) -> Self {
        let (id, (tell, told)) = (next_id(), oneshot::channel());
        lock(&WAITING).get_or_insert_default().insert(id, Waiting { wish, tell });
        Self { id, told }
    }

    /// The call's own lines, now that it has the turn.
    ///
    /// # Errors
    /// None but for a bug.
    pub fn leave(self) -> Result<Wish> {
        find(self.id).map(|waiting| waiting.wish).ok_or_else(lost)
    }

    /// Waits for what came of it, once another call has taken the lines.
    ///
    /// # Errors
    /// That of a panic in the other call.
    pub async fn told(mut self) -> Result<Told> {
        (&mut self.told).await.map_err(|_| lost())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(find(self.id));
    }
}

fn find(id: CallId) -> Option<Waiting> {
    lock(&WAITING).as_mut()?.remove(&id)
}

fn suits(id: CallId, options: &AppendOptions, room: usize) -> bool {
    let waiting = lock(&WAITING);
    let Some(Waiting { wish, .. }) = waiting.as_ref().and_then(|waiting| waiting.get(&id)) else {
        return false;
    };
    *wish.options == *options && wish.lines.text.len() <= room
}

fn lost() -> Error {
    ErrorKind::Panic("an append was lost".to_owned()).into()
}

/// Those of its calls that anyone wants to know.
fn steps_of(wish: &Wish) -> impl Iterator<Item = &Arc<Steps>> {
    wish.lines.parts.iter().filter_map(|part| part.steps.as_ref())
}

/// Calls that are made together. The first one leads.
pub struct Group {
    leader: Wish,
    /// When the file was theirs.
    ready: Instant,
    followers: Vec<(Waiting, Instant)>,
    /// Whether a part of it may have been done.
    pub begun: bool,
}

impl Group {
    /// Of the call that has turn and lock.
    pub fn of(leader: Wish) -> Self {
        Self { leader, ready: Instant::now(), followers: Vec::new(), begun: false }
    }

    pub fn options(&self) -> &Arc<AppendOptions> {
        &self.leader.options
    }

    /// The signal of the call that leads.
    pub fn cancel(&self) -> &Cancel {
        &self.leader.cancel
    }

    /// Takes those along that wait by now, and lets those go that were aborted.
    pub fn gather(&mut self, file: &IndexFile) {
        let mut room = MOST_BYTES.saturating_sub(self.bytes());
        while self.calls() < MOST_CALLS
            && let Some(id) = file.turn().take_follower(file.name(), |id| suits(id, self.options(), room))
        {
            // `None`: its thread has ended this very moment.
            let Some(taken) = find(id) else { continue };
            room = room.saturating_sub(taken.wish.lines.text.len());
            // What it waits for from now on is done for it.
            steps_of(&taken.wish).for_each(|steps| steps.end());
            self.followers.push((taken, Instant::now()));
        }
        let aborted = self.followers.extract_if(.., |(taken, _)| taken.wish.cancel.is_cancelled());
        for (taken, _) in aborted {
            drop(taken.tell.send(Told::Done(Err(Arc::new(ErrorKind::Aborted.into())))));
        }
    }

    /// Does `work` for all of them; its steps count in full for each call.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut wanted = self.wishes().flat_map(steps_of).peekable();
        let shared = wanted.peek().map(|_| Steps::new());
        let done = steps::scope(shared.as_ref(), work);
        if let Some(shared) = shared {
            wanted.for_each(|steps| steps.add(&shared));
        }
        done
    }

    fn calls(&self) -> usize {
        self.wishes().map(|wish| wish.lines.parts.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.wishes().map(|wish| wish.lines.text.len()).sum()
    }

    fn wishes(&self) -> impl Iterator<Item = &Wish> {
        [&self.leader].into_iter().chain(self.followers.iter().map(|(taken, _)| &taken.wish))
    }

    /// All lines, in the order of the calls.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = try_room_for_bytes(self.bytes()).ok_or_else(Error::no_memory)?;
        text.extend_from_slice(&self.leader.lines.text);
        for (taken, _) in &self.followers {
            text.extend_from_slice(&taken.wish.lines.text);
        }
        Ok(text)
    }

    /// Tells the others what came of it, and returns what came of the call that leads.
    pub fn settle(mut self, done: Result<Done>, torn: Option<Torn>) -> Outcome {
        let done = done.map_err(|error| Arc::new(error.with_torn(torn.clone())));
        let calls = self.calls();
        if done.is_ok() {
            let lines = self.wishes().flat_map(|wish| &wish.lines.parts).map(|part| part.lines).sum();
            stats::appended(calls, lines, self.bytes() as u64);
        }
        let mut at = done.as_ref().map_or(0, |done| done.offset);
        let mut outcome = |lines: &Lines, ready: Instant| {
            let done = done.clone()?;
            let appended = lines.parts.iter().map(|part| {
                let offset = at;
                at += part.bytes;
                Appended {
                    lines: part.lines,
                    bytes: part.bytes,
                    offset,
                    durable: done.durable,
                    verified: done.verified,
                    rotated: done.rotated,
                    torn: torn.clone(),
                    calls,
                    waited: ready.duration_since(part.since),
                }
            });
            Ok(appended.collect())
        };
        let own = outcome(&self.leader.lines, self.ready);
        for (taken, ready) in std::mem::take(&mut self.followers) {
            let its = outcome(&taken.wish.lines, ready);
            drop(taken.tell.send(Told::Done(its)));
        }
        own
    }
}

/// A thread that ends, or a panic, keeps no call from its answer.
impl Drop for Group {
    fn drop(&mut self) {
        for (Waiting { wish, tell }, _) in std::mem::take(&mut self.followers) {
            let told = if self.begun { Told::Done(Err(Arc::new(lost()))) } else { Told::Again(wish) };
            drop(tell.send(told));
        }
    }
}
