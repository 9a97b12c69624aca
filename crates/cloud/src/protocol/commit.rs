//! One commit: read, then replace exactly what was read, once.

mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};

use super::limits::Stop;
use super::signature::{RING, new_id, nonce, without_nonce};
use super::{Error, Failure, Kind, Limits, Object, Reply, Signature, Store, Version};

/// How often credentials may be asked for in vain: a metadata service has its moments, but who has none wants to
/// hear that soon.
const CREDENTIAL_TRIES: u32 = 3;

#[cfg(any(test, feature = "mutants"))]
pub(super) use steps::Mutant;

/// A commit that is done.
#[derive(Clone, Debug)]
pub struct Done {
    /// The version that holds it: its own, or after `recovered` perhaps a later one.
    pub version: Version,
    /// How many writes were sent.
    pub attempts: u32,
    /// How often another version was there first.
    pub conflicts: u32,
    /// Its reply was lost, and the object says that it has landed.
    pub recovered: bool,
    /// How it is known that the store has the bytes that were sent.
    pub verified: Verified,
}

/// What the verification consisted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The store's digest of what it received.
    Checksum,
    /// The bytes were read back.
    Readback,
    /// Nothing: later commits were there before it could be looked at.
    No,
}

/// What an object is to become: one id for all tries, so that they count as one.
pub struct Commit {
    store: Arc<dyn Store>,
    key: String,
    /// Until something may have been written.
    limits: Limits,
    /// From then on.
    limits_in_doubt: Limits,
    in_doubt: Arc<AtomicBool>,
    /// Whether white space may be appended.
    json: bool,
    id: u64,
    base: Option<Option<Object>>,
    /// What the object had seen before the first try that may have landed.
    unsure: Option<u64>,
    ledger: Option<u64>,
    attempts: u32,
    conflicts: u32,
    /// How many pauses there were since the last success of any kind.
    pauses: u32,
    credential_tries: u32,
    last: Reply,
    #[cfg(any(test, feature = "mutants"))]
    pub(super) mutant: Option<Mutant>,
}

/// Looks after a commit from outside.
#[derive(Clone, Debug)]
pub struct Doubt {
    id: u64,
    is: Arc<AtomicBool>,
}

impl Doubt {
    /// What a caller is told that does not wait for the end; `None`: nothing was written so far.
    pub fn error(&self) -> Option<Error> {
        self.is.load(Ordering::Relaxed).then(|| Error::of(Kind::UnknownOutcome { id: self.id }))
    }
}

/// What has become of a try in doubt.
enum Look {
    /// It has landed.
    Landed(Object),
    /// It has not, and what it was to replace is gone: it cannot any more.
    Gone,
    /// Nothing has happened yet.
    Same,
}

impl Commit {
    /// `json`: the object is JSON text, whose white space does not matter.
    pub fn new(store: Arc<dyn Store>, key: String, limits: Limits, json: bool) -> Self {
        Self {
            store,
            key,
            limits_in_doubt: limits.clone(),
            limits,
            in_doubt: Arc::default(),
            json,
            id: new_id(),
            base: None,
            unsure: None,
            ledger: None,
            attempts: 0,
            conflicts: 0,
            pauses: 0,
            credential_tries: 0,
            last: Reply::default(),
            #[cfg(any(test, feature = "mutants"))]
            mutant: Mutant::of_environment(),
        }
    }

    /// The newest version; `None`: there is no such object. `body: false` asks for its head only.
    pub async fn read(&mut self, body: bool) -> Result<Option<Object>, Error> {
        if self.conflicts > 0 {
            self.pause().await?;
        }
        let mut object = self.get(body).await?;
        self.base = Some(object.clone());
        if let Some(object) = &mut object
            && self.json
        {
            let length = without_nonce(&object.body, &Signature::parse(&object.metadata));
            object.body.truncate(length);
        }
        Ok(object)
    }

    /// The next version names this ledger.
    pub fn set_ledger(&mut self, ledger: u64) {
        self.ledger = Some(ledger);
    }

    /// No write begins outside `limits`; what has become of one is looked for as long as `in_doubt` allows.
    pub fn set_limits(&mut self, limits: Limits, in_doubt: Limits) {
        (self.limits, self.limits_in_doubt) = (limits, in_doubt);
    }

    /// Tells during [`Self::replace_if`] whether something may have been written.
    pub fn doubt(&self) -> Doubt {
        Doubt { id: self.id, is: self.in_doubt.clone() }
    }

    fn limits(&self) -> &Limits {
        if self.unsure.is_some() { &self.limits_in_doubt } else { &self.limits }
    }

    /// Whether the object that was read last is there.
    pub fn has_base(&self) -> bool {
        matches!(self.base, Some(Some(_)))
    }

    /// The id of the commit.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Puts this in the place of what was read last. `None`: another version is there, and nothing was written.
    pub async fn replace_if(&mut self, body: Bytes) -> Result<Option<Done>, Error> {
        let Some(base) = self.base.clone() else {
            return Err(Error::invalid("read() comes before replaceIf()"));
        };
        let text = self.signed(body);
        let before = base.as_ref().map_or_else(Signature::default, |base| Signature::parse(&base.metadata));
        let mut after = before.next(self.id);
        after.ledger = self.ledger.or(after.ledger);
        let condition = self.condition(base.as_ref());
        loop {
            self.limits().take_write().map_err(|stop| self.stopped(stop))?;
            self.attempts += 1;
            self.in_doubt.store(true, Ordering::Relaxed);
            let put = self.store.put(&self.key, text.clone(), after.to_string(), condition.clone());
            match self.limits_in_doubt.request(put).await {
                // The request may be on its way.
                Err(stop) => {
                    self.unsure.get_or_insert(before.seq);
                    return Err(self.stopped(stop));
                }
                Ok(Ok(put)) => {
                    self.unsure = None;
                    let verified = if put.checked {
                        Verified::Checksum
                    } else {
                        self.read_back(&put.version, &text).await?
                    };
                    return Ok(Some(self.done(put.version, false, verified)));
                }
                Ok(Err(Failure::Conflict(reply))) => {
                    self.last = reply;
                    self.conflicts += 1;
                    if self.unsure.is_none() {
                        self.in_doubt.store(false, Ordering::Relaxed);
                        return Ok(None);
                    }
                    // The earlier try may be what is in the way.
                }
                Ok(Err(Failure::Unsure(reply))) => {
                    self.last = reply;
                    self.unsure.get_or_insert(before.seq);
                }
                Ok(Err(failure)) => {
                    self.in_doubt.store(self.unsure.is_some(), Ordering::Relaxed);
                    self.retry_or(failure)?;
                    self.pause().await?;
                    continue;
                }
            }
            // At once: the more commits of others come between, the less the ring still tells.
            match self.look(&before, base.as_ref()).await? {
                Look::Landed(object) => {
                    self.unsure = None;
                    let own = Signature::parse(&object.metadata).ring.first() == Some(&self.id);
                    let verified = match own {
                        true if object.body == text => Verified::Readback,
                        true => return Err(Error::of(Kind::Corrupt)),
                        false => Verified::No,
                    };
                    return Ok(Some(self.done(object.version, true, verified)));
                }
                Look::Gone => {
                    self.unsure = None;
                    self.in_doubt.store(false, Ordering::Relaxed);
                    self.conflicts = self.conflicts.max(1);
                    return Ok(None);
                }
                // The same request again: should both land, the second one fails its condition.
                Look::Same => self.pause_in_doubt().await?,
            }
        }
    }

    /// Whether the try in doubt has landed.
    async fn look(&mut self, before: &Signature, base: Option<&Object>) -> Result<Look, Error> {
        let now = self.get(true).await?;
        let seen = now.as_ref().map_or_else(Signature::default, |now| Signature::parse(&now.metadata));
        let remembers = self.reads_ring() && seen.ring.contains(&self.id);
        if remembers && let Some(now) = now {
            return Ok(Look::Landed(now));
        }
        if now.as_ref().map(|now| &now.version) == base.map(|base| &base.version) {
            return Ok(Look::Same);
        }
        // Between the two numbers the ring would have its id. Otherwise so many commits came in between that it has
        // been forgotten, or a program without a ring has written or removed the object.
        let told = before.seq + 1..=before.seq + RING as u64;
        if told.contains(&seen.seq) || !self.checks_seq() { Ok(Look::Gone) } else { Err(self.unknown()) }
    }

    /// Gets the object, however often it takes.
    async fn get(&mut self, body: bool) -> Result<Option<Object>, Error> {
        loop {
            match self
                .limits()
                .request(self.store.get(&self.key, body))
                .await
                .map_err(|stop| self.stopped(stop))?
            {
                Ok(object) => return Ok(object),
                Err(Failure::Unsure(reply)) => self.last = reply,
                Err(failure) => self.retry_or(failure)?,
            }
            // A look that fails takes one of the tries as well.
            self.limits().take_try().map_err(|stop| self.stopped(stop))?;
            self.pause().await?;
        }
    }

    /// The bytes of the version that was just written. If another one is there already, nothing can be said.
    async fn read_back(&mut self, version: &Version, text: &Bytes) -> Result<Verified, Error> {
        // It is written: whatever happens from here on, the commit has succeeded.
        match self.limits_in_doubt.request(self.store.get(&self.key, true)).await {
            Ok(Ok(Some(now))) if now.version == *version && now.body != *text => {
                Err(Error::of(Kind::Corrupt))
            }
            Ok(Ok(Some(now))) if now.version == *version => Ok(Verified::Readback),
            _ => Ok(Verified::No),
        }
    }

    /// Goes on after a failure that a later try may not have.
    fn retry_or(&mut self, failure: Failure) -> Result<(), Error> {
        match failure {
            Failure::Refused(reply) => self.last = reply,
            Failure::NoCredentials(reply) if self.credential_tries + 1 < CREDENTIAL_TRIES => {
                self.credential_tries += 1;
                self.last = reply;
            }
            failure if self.unsure.is_some() => {
                self.last = failure.reply();
                return Err(self.unknown());
            }
            failure => return Err(failure.into()),
        }
        Ok(())
    }

    async fn pause(&mut self) -> Result<(), Error> {
        self.pauses += 1;
        self.limits().pause(self.pauses).await.map_err(|stop| self.stopped(stop))
    }

    fn done(&self, version: Version, recovered: bool, verified: Verified) -> Done {
        Done { version, attempts: self.attempts, conflicts: self.conflicts, recovered, verified }
    }

    fn unknown(&self) -> Error {
        Error { kind: Kind::UnknownOutcome { id: self.id }, reply: self.last.clone() }
    }

    fn stopped(&self, stop: Stop) -> Error {
        let kind = match (self.unsure, stop) {
            (Some(_), _) => return self.unknown(),
            (None, Stop::Aborted) => Kind::Aborted,
            (None, Stop::Used) if self.conflicts > 0 => Kind::Contended,
            (None, Stop::Used) => Kind::TimedOut,
        };
        Error { kind, reply: self.last.clone() }
    }

    fn signed(&self, body: Bytes) -> Bytes {
        if !self.json || !self.adds_nonce() {
            return body;
        }
        let mut text = BytesMut::from(body);
        text.extend_from_slice(&nonce(self.id));
        text.freeze()
    }
}
