//! Until a patch is in the index. Of all processes that wait for that one folds, and goes on for as long as it has patches of
//! its own. The others look at its ledger now and then, and one of them takes over when that stays as it is. If all folded,
//! each would read each delta, and all but one would lose their swap: ten processes of ten patches a second do not get
//! anywhere so.
//!
//! That two fold at the same time costs requests and nothing else, so guesses are good enough here.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fold::{Fold, Folded, fold_once, look};
use super::listing::Start;
use super::{Place, delta};
use crate::protocol::limits::Stop;
use crate::protocol::release::remove_all;
use crate::protocol::{Error, Kind, Limits, Object, Store, retry};

/// What comes meanwhile shares a fold or a look.
const LINGER: Duration = Duration::from_millis(200);

/// For so long, and up to twice as long, a ledger stays as it is before another process takes over: at least the first, and
/// twice the time between the last two changes of it, at most the second.
const AT_REST: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(4));

/// Nobody is folding if the ledger was that much older than a patch when it came, in whole seconds of the store's clock.
const LONG_AGO: Duration = Duration::from_secs(3);

/// What was seen longer ago does not tell any more which process folds.
const FRESH: Duration = Duration::from_secs(1);

/// The folds of an index that this process makes: one at a time, for all that wait.
pub struct Folder {
    store: Arc<dyn Store>,
    key: String,
    state: Mutex<State>,
    removals: std::sync::Mutex<JoinSet<()>>,
}

/// What this process knows of the index.
#[derive(Default)]
struct State {
    folded: Option<Folded>,
    /// When this process has looked or folded last.
    seen: Option<Instant>,
    /// When the ledger changed last, as far as this process has looked.
    changed: Option<Instant>,
    /// When this process folds; none: not before it has looked.
    due: Option<Instant>,
    /// With which session its next fold begins.
    from: Option<String>,
}

impl Folder {
    /// For the index with this key.
    pub fn new(store: Arc<dyn Store>, key: String) -> Self {
        Self { store, key, state: Mutex::default(), removals: std::sync::Mutex::default() }
    }

    /// Waits until the index holds what is at this place, and folds if no other process does. The tries of the limits are
    /// those of the patch's own request, and are not counted here.
    pub async fn settle(&self, place: &Place, limits: &Limits) -> Result<Folded, Error> {
        self.wait(place, &limits.with_any_tries()).await.map_err(Error::after_acceptance)
    }

    async fn wait(&self, place: &Place, limits: &Limits) -> Result<Folded, Error> {
        // After a request that has succeeded it is the others that leave no time, and not a store that is out of reach.
        let mut has_reached = false;
        let late = |error: Error, has_reached: bool| match error.kind {
            Kind::TimedOut if has_reached => Error { kind: Kind::Contended, ..error },
            _ => error,
        };
        let mut is_first = true;
        loop {
            let mut state =
                limits.wait(self.state.lock()).await.map_err(|stop| late(stopped(stop), has_reached))?;
            if let Some(folded) = state.with(place) {
                return Ok(folded);
            }
            if std::mem::take(&mut is_first) {
                state.forget_what_is_old();
            }
            limits.linger(LINGER).await.map_err(|stop| late(stopped(stop), has_reached))?;
            match self.step(&mut state, place, limits).await {
                Ok(()) => has_reached = true,
                // The next look at the index tells.
                Err(Error { kind: Kind::UnknownOutcome { .. } | Kind::Conflict, .. }) => {}
                Err(error) => return Err(late(error, has_reached)),
            }
            state.seen = Some(Instant::now());
            // At once: a call whose patch is there does not have to wait for its turn again.
            if let Some(folded) = state.with(place) {
                return Ok(folded);
            }
        }
    }

    /// Folds, or looks at what another process has folded.
    async fn step(&self, state: &mut State, place: &Place, limits: &Limits) -> Result<(), Error> {
        if state.due.is_some_and(|due| due <= Instant::now()) {
            state.due = None;
            let from = state.from.take();
            let start = Start { from: from.as_deref(), own: Some(&place.0) };
            if let Some(Fold { folded, over, next }) =
                fold_once(&self.store, &self.key, start, limits).await?
            {
                state.note(folded, false);
                (state.due, state.from) = (Some(Instant::now()), next);
                self.remove(over, limits);
            }
        } else if let Some(folded) =
            look(self.store.as_ref(), &self.key, state.folded.as_ref(), limits).await?
        {
            // It is new, or its age does not matter.
            let is_known = state.due.is_some() || folded.has(place);
            let is_recent = is_known || self.is_recent(&folded, place, limits).await?;
            state.note(folded, is_recent);
        }
        Ok(())
    }

    /// Whether a process was folding when this patch came. The store's clock has both times: that of the machine may differ.
    async fn is_recent(&self, folded: &Folded, place: &Place, limits: &Limits) -> Result<bool, Error> {
        let Some(at) = folded.at else { return Ok(false) };
        let key = delta(&self.key, place);
        let delta = retry(limits, || self.store.get(&key, false)).await?;
        // One that is gone was folded meanwhile.
        let is_old = |delta: Object| delta.modified.duration_since(at).is_ok_and(|before| before >= LONG_AGO);
        Ok(!delta.is_some_and(is_old))
    }

    /// Neither the next fold nor a call has to wait for that.
    fn remove(&self, over: Vec<String>, limits: &Limits) {
        let (store, limits) = (self.store.clone(), limits.without_abort());
        let mut removals = self.removals();
        while removals.try_join_next().is_some() {}
        removals.spawn(async move {
            let _ = remove_all(store.as_ref(), over, &limits).await;
        });
    }

    /// Waits until what folds have made superfluous is removed. A process that ends before leaves that to the next fold.
    pub async fn tidied(&self) {
        let mut removals = std::mem::take(&mut *self.removals());
        while removals.join_next().await.is_some() {}
    }

    fn removals(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What was folded last, if it has what is at this place.
    fn with(&self, place: &Place) -> Option<Folded> {
        self.folded.as_ref().filter(|folded| folded.has(place)).cloned()
    }

    fn forget_what_is_old(&mut self) {
        if self.seen.is_some_and(|seen| seen.elapsed() > FRESH) {
            (self.changed, self.due) = (None, None);
        }
    }

    fn note(&mut self, folded: Folded, is_recent: bool) {
        let now = Instant::now();
        let is_other = self.folded.as_ref().is_none_or(|known| known.id != folded.id);
        let between = self.changed.map_or(Duration::ZERO, |changed| now - changed);
        if is_other {
            self.changed = Some(now);
        }
        if is_other || self.due.is_none() {
            let at_rest = (between * 2).clamp(AT_REST.0, AT_REST.1).mul_f64(1.0 + fastrand::f64());
            self.due = Some(now + if is_recent { at_rest } else { Duration::ZERO });
        }
        self.folded = Some(folded);
    }
}

fn stopped(stop: Stop) -> Error {
    Error::of(match stop {
        Stop::Aborted => Kind::Aborted,
        Stop::Used => Kind::TimedOut,
    })
}
