//! Until a patch is in the index. Of all processes that wait for that one folds, and goes on for as long as it has patches of
//! its own. The others look at its ledger now and then, and one of them takes over when that stays as it is. If all folded,
//! each would read each delta, and all but one would lose their swap: ten processes of ten patches a second do not get
//! anywhere so.
//!
//! That two fold at the same time costs requests and nothing else, so clocks and guesses are good enough here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Place;
use super::fold::{Folded, fold_once, look};
use crate::protocol::clock::now;
use crate::protocol::limits::Stop;
use crate::protocol::release::remove_all;
use crate::protocol::{Error, Kind, Limits, Store};

/// What comes meanwhile shares a fold or a look.
const LINGER: Duration = Duration::from_millis(200);

/// For so long, and up to twice as long, a ledger stays as it is before another process takes over: at least the first, and
/// twice the time between the last two changes of it, at most the second.
const AT_REST: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(4));

/// Nobody is folding if the ledger is older than this, by clocks of two machines and in whole seconds.
const LONG_AGO: Duration = Duration::from_secs(3);

/// The folds of an index that this process makes: one at a time, for all that wait.
pub struct Folder {
    store: Arc<dyn Store>,
    key: String,
    state: Mutex<State>,
}

/// What this process knows of the index.
#[derive(Default)]
struct State {
    folded: Option<Folded>,
    /// When it changed last, as far as this process has looked.
    changed: Option<Instant>,
    /// When this process folds; none: not before it has looked.
    due: Option<Instant>,
}

impl Folder {
    /// For the index with this key.
    pub fn new(store: Arc<dyn Store>, key: String) -> Self {
        Self { store, key, state: Mutex::default() }
    }

    /// Waits until the index holds what is at this place, and folds if no other process does.
    pub async fn settle(&self, place: &Place, limits: &Limits) -> Result<Folded, Error> {
        // After a request that has succeeded it is the others that leave no time, and not a store that is out of reach.
        let mut has_reached = false;
        let late = |error: Error, has_reached: bool| match error.kind {
            Kind::TimedOut if has_reached => Error { kind: Kind::Contended, ..error },
            _ => error,
        };
        loop {
            let mut state = limits.wait(self.state.lock()).await.map_err(stopped)?;
            let known = state.folded.as_ref().filter(|folded| folded.has(place));
            if let Some(folded) = known {
                return Ok(folded.clone());
            }
            limits.linger(LINGER).await.map_err(|stop| late(stopped(stop), has_reached))?;
            if state.due.is_some_and(|due| due <= Instant::now()) {
                state.due = None;
                if let Some((folded, over)) = fold_once(&self.store, &self.key, limits)
                    .await
                    .map_err(|error| late(error, has_reached))?
                {
                    state.note(folded);
                    state.due = Some(Instant::now());
                    // The next fold need not wait for that.
                    drop(state);
                    let _ = remove_all(self.store.as_ref(), over, limits).await;
                }
            } else if let Some(folded) = look(self.store.as_ref(), &self.key, state.folded.as_ref(), limits)
                .await
                .map_err(|error| late(error, has_reached))?
            {
                state.note(folded);
            }
            has_reached = true;
        }
    }
}

impl State {
    fn note(&mut self, folded: Folded) {
        let now = Instant::now();
        let is_other = self.folded.as_ref().is_none_or(|known| known.id != folded.id);
        let between = self.changed.map_or(Duration::ZERO, |changed| now - changed);
        if is_other {
            self.changed = Some(now);
        }
        if is_other || self.due.is_none() {
            let at_rest = (between * 2).clamp(AT_REST.0, AT_REST.1).mul_f64(1.0 + fastrand::f64());
            self.due = Some(now + if is_recent(&folded) { at_rest } else { Duration::ZERO });
        }
        self.folded = Some(folded);
    }
}

fn is_recent(folded: &Folded) -> bool {
    folded.at.is_some_and(|at| now().duration_since(at).is_ok_and(|age| age < LONG_AGO))
}

fn stopped(stop: Stop) -> Error {
    Error::of(match stop {
        Stop::Aborted => Kind::Aborted,
        Stop::Used => Kind::TimedOut,
    })
}
