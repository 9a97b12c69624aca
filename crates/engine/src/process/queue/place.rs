//! Places in a queue, and waiting there.

use std::convert::Infallible;
use std::future;

use tokio::sync::oneshot;

use super::{Turn, update};
use crate::error::{Error, ErrorKind, Result};
use crate::process::inside::Obstacle;
use crate::process::joining::PATIENCE;
use crate::steps::{self, Step};

/// A call's place in the queue of its file, or on the way there. Dropped, it leaves the queue.
#[derive(Debug)]
pub struct Place {
    pub(super) rank: u64,
    pub(super) turn: oneshot::Receiver<Turn>,
    pub(super) obstacle: Obstacle,
}

/// A call's places in the queues of several files. Dropped, it leaves all of them.
#[derive(Debug)]
pub struct Places {
    pub(super) places: Vec<Place>,
    pub(super) joined: oneshot::Receiver<()>,
}

/// The place of a call that the one before it may take along. Dropped, it leaves the queue.
#[derive(Debug)]
pub struct FollowerPlace {
    pub(super) rank: u64,
    pub(super) joined: oneshot::Receiver<()>,
    pub(super) called: oneshot::Receiver<Called>,
    pub(super) obstacle: Obstacle,
}

/// What a call that may be taken along hears.
#[derive(Debug)]
pub enum Called {
    /// It is this call's turn.
    Turn(Turn),
    /// The call that has the turn does this call's work with its own.
    Follower,
}

impl Place {
    /// The turn, if it has come.
    pub fn try_turn(&mut self) -> Option<Turn> {
        self.turn.try_recv().ok()
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// [`ErrorKind::Reentrant`], if it waits for a call that waits for this one.
    pub async fn turn(&mut self) -> Result<Turn> {
        let _during = steps::begin(Step::Queue);
        tokio::select! {
            biased;
            // A waiter is dropped together with its closed place.
            turn = &mut self.turn => turn.map_err(|_| lost()),
            error = self.obstacle.met() => Err(error),
            never = join_in_time(self.rank) => match never {},
        }
    }
}

impl Places {
    /// All turns, if all have come.
    ///
    /// # Errors
    /// The places, if not.
    pub fn try_turns(mut self) -> std::result::Result<Vec<Turn>, Self> {
        if self.places.iter().any(|place| place.turn.is_empty()) {
            return Err(self);
        }
        Ok(self.places.iter_mut().filter_map(Place::try_turn).collect())
    }

    /// As [`FollowerPlace::joined`].
    pub async fn joined(&mut self) {
        let Some(Place { rank, .. }) = self.places.first() else { return };
        tokio::select! {
            biased;
            _ = &mut self.joined => {}
            never = join_in_time(*rank) => match never {},
        }
    }

    /// Waits for all turns.
    ///
    /// # Errors
    /// As [`Place::turn`], with the position of the key in question.
    pub async fn turns(self) -> std::result::Result<Vec<Turn>, (usize, Error)> {
        let _during = steps::begin(Step::Queue);
        // It need not wait for the other turns to be told.
        let mut obstacles = self.places.iter().map(|place| place.obstacle.clone()).enumerate();
        let (at, obstacle) = obstacles.find(|(_, obstacle)| obstacle.is_one()).unwrap_or_default();
        let turns = async {
            let mut turns = Vec::with_capacity(self.places.len());
            for (at, mut place) in self.places.into_iter().enumerate() {
                turns.push(place.turn().await.map_err(|error| (at, error))?);
            }
            Ok(turns)
        };
        tokio::select! {
            biased;
            turns = turns => turns,
            error = obstacle.met() => Err((at, error)),
        }
    }
}

impl FollowerPlace {
    /// What the call hears, if it was called.
    pub fn try_called(&mut self) -> Option<Called> {
        self.called.try_recv().ok()
    }

    /// Resolves when only calls for the same file are before this one, and no more calls that may or may
    /// not turn out to be. To be awaited once.
    pub async fn joined(&mut self) {
        let _during = steps::begin(Step::Queue);
        tokio::select! {
            biased;
            _ = &mut self.joined => {}
            never = join_in_time(self.rank) => match never {},
        }
    }

    /// Waits to be called.
    ///
    /// # Errors
    /// As [`Place::turn`].
    pub async fn called(&mut self) -> Result<Called> {
        let _during = steps::begin(Step::Queue);
        tokio::select! {
            biased;
            called = &mut self.called => called.map_err(|_| lost()),
            error = self.obstacle.met() => Err(error),
        }
    }

    /// Leaves the queue, unless this call was called just now.
    pub fn cancel(mut self) -> Option<Called> {
        self.called.close();
        self.called.try_recv().ok()
    }
}

/// Sees to it that a call joins its queue when those before it have had their time. Never resolves.
async fn join_in_time(rank: u64) -> Infallible {
    while update(|queues| {
        let notices = queues.advance();
        (queues.joining.has(rank), notices)
    }) {
        tokio::time::sleep(PATIENCE / 4).await;
    }
    future::pending().await
}

/// A waiter is dropped together with its closed place, so this is a bug.
fn lost() -> Error {
    ErrorKind::Panic("a place in the queue was lost".to_owned()).into()
}
