//! The writing side: one session of a process, with a number for each delta. A number is used once, and the next one only
//! when the call for it has ended; so the numbers are the order of the patches, also over a failure.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::delta;
use super::text::Change;
use crate::protocol::clock::now;
use crate::protocol::limits::Stop;
use crate::protocol::signature::new_id;
use crate::protocol::{Condition, Error, Failure, Kind, Limits, Reply, Store};

/// For so long a delta is written again after a lost reply. Then it may have been folded, removed and forgotten, and would
/// be folded again; a machine that has slept, as a laptop does, must not do that.
pub const REPEAT_WITHIN: Duration = Duration::from_secs(1800);

/// Which delta holds a patch: `(session, number)`.
pub type Place = (String, u64);

struct Waiting {
    id: u64,
    change: Change,
    tell: oneshot::Sender<Result<Place, Error>>,
}

/// A change that is queued.
pub struct Ticket {
    id: u64,
    told: oneshot::Receiver<Result<Place, Error>>,
}

/// The inbox of an index, as this process writes to it. Calls that wait for a request share the next one.
pub struct Inbox {
    store: Arc<dyn Store>,
    key: String,
    waiting: Mutex<Vec<Waiting>>,
    session: AsyncMutex<(String, u64)>,
}

impl Inbox {
    /// For the index with this key.
    pub fn new(store: Arc<dyn Store>, key: String) -> Self {
        Self { store, key, waiting: Mutex::default(), session: AsyncMutex::new((new_session(), 0)) }
    }

    /// Gives a change its place in the order. It goes into the inbox with the next [`Self::send`], of any call.
    pub fn queue(&self, change: Change) -> Ticket {
        let (tell, told) = oneshot::channel();
        let id = new_id();
        self.waiting().push(Waiting { id, change, tell });
        Ticket { id, told }
    }

    /// Puts what was queued into the inbox.
    pub async fn send(&self, mut ticket: Ticket, limits: &Limits) -> Result<Place, Error> {
        let mut session = match limits.wait(self.session.lock()).await {
            Ok(session) => session,
            Err(stop) => return self.give_up(ticket, stopped(stop, false)).await,
        };
        // The call that had the session before may have taken this one along.
        if let Ok(done) = ticket.told.try_recv() {
            return done;
        }
        let group = std::mem::take(&mut *self.waiting());
        let (changes, callers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|one| (one.change, one.tell)).unzip();
        // One caller's signal must not end the request of others.
        let limits = if callers.len() > 1 { limits.without_abort() } else { limits.clone() };
        // Used up, whatever becomes of it: what comes late under it must not pass for the next one.
        session.1 += 1;
        let place = session.clone();
        let done = self.write(&place, &changes, &limits).await.map(|()| place);
        if done.as_ref().is_err_and(|error| error.kind == Kind::Conflict) {
            // A copy of this process writes in the same session: a virtual machine that was restored twice.
            *session = (new_session(), 0);
        }
        for caller in callers {
            let _ = caller.send(done.clone());
        }
        done
    }

    /// Takes a change back for this reason, unless another call has it on its way: that one will know.
    pub async fn give_up(&self, ticket: Ticket, reason: Error) -> Result<Place, Error> {
        let withdrawn = self.waiting().extract_if(.., |one| one.id == ticket.id).next().is_some();
        if withdrawn {
            return Err(reason);
        }
        ticket.told.await.unwrap_or_else(|_| Err(Error::of(Kind::UnknownOutcome { id: 0 })))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, place: &Place, changes: &[Change], limits: &Limits) -> Result<(), Error> {
        let text = serde_json::to_vec(changes).map_err(|error| Error::invalid(error.to_string()))?;
        let (key, text) = (delta(&self.key, place), Bytes::from(text));
        let (mut unsure, begun) = (false, now());
        for n in 1.. {
            limits.take_write().map_err(|stop| stopped(stop, unsure))?;
            if unsure && now().duration_since(begun).is_ok_and(|time| time > REPEAT_WITHIN) {
                return Err(Error::of(Kind::UnknownOutcome { id: 0 }));
            }
            let put = self.store.put(&key, text.clone(), String::new(), Condition::Absent);
            let mut failure = match limits.request(put).await.map_err(|stop| stopped(stop, true))? {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            if let Failure::Conflict(reply) = failure {
                // The object is there; or the store is still busy with an earlier request, which may fail (409 on S3).
                let get = limits.request(self.store.get(&key, true)).await;
                failure = match get.map_err(|stop| stopped(stop, unsure))? {
                    Ok(Some(found)) if found.body == text => return Ok(()),
                    Ok(Some(_)) => Failure::Conflict(Reply {
                        text: "another process has written a patch under this name: call again".into(),
                        ..reply
                    }),
                    Ok(None) => Failure::Refused(reply),
                    Err(failure) => failure,
                };
            }
            match failure {
                Failure::Unsure(_) => unsure = true,
                Failure::Refused(_) => {}
                Failure::NoCredentials(_) if n < 3 => {}
                failure if unsure => {
                    return Err(Error { kind: Kind::UnknownOutcome { id: 0 }, reply: failure.reply() });
                }
                failure => return Err(failure.into()),
            }
            limits.pause(n).await.map_err(|stop| stopped(stop, unsure))?;
        }
        unreachable!("the loop ends with an answer or with its limits")
    }
}

fn stopped(stop: Stop, unsure: bool) -> Error {
    Error::of(match stop {
        _ if unsure => Kind::UnknownOutcome { id: 0 },
        Stop::Aborted => Kind::Aborted,
        Stop::Used => Kind::TimedOut,
    })
}

fn new_session() -> String {
    format!("{:012x}{:04x}", new_id(), fastrand::u16(..))
}
