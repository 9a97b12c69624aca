//! A whole object with bytes of the caller's. Conditional inside: a first try whose reply was lost must not come late
//! and undo what others have written since.
//!
//! One case remains: on S3 a version is a digest of the content. If others write the very bytes again that a late try was to
//! replace, it replaces them. An index cannot come back so: see [`super::signature::nonce`].

use std::sync::Arc;

use bytes::Bytes;

use super::limits::Stop;
use super::{Commit, Done, Error, Failure, Kind, Limits, Object, Reply, Store, Version};

const NOT_IMPLEMENTED: u16 = 501;

/// What is asked of a write.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Only in the place of this version: an `ETag` or a generation.
    pub if_version: Option<String>,
    /// Only if there is none yet.
    pub exclusive: bool,
    /// Not if the object has these bytes already.
    pub if_changed: bool,
    /// Where the version before is copied to.
    pub backup: Option<String>,
}

/// What a write has done.
#[derive(Clone, Debug)]
pub enum Written {
    /// These bytes are there now.
    Done(Done),
    /// They were there before.
    Same(Version),
}

/// Writes an object as a whole.
pub async fn write(
    store: Arc<dyn Store>,
    key: &str,
    body: Bytes,
    options: &WriteOptions,
    limits: &Limits,
) -> Result<Written, Error> {
    let mut commit = Commit::new(store.clone(), key.into(), limits.clone(), false);
    loop {
        let base = commit.read(options.if_changed).await?;
        refuse(base.as_ref(), options)?;
        if let Some(base) = base {
            if options.if_changed && base.body == body {
                return Ok(Written::Same(base.version));
            }
            if let Some(backup) = &options.backup {
                copy(store.as_ref(), key, backup, limits).await?;
            }
        }
        if let Some(done) = commit.replace_if(body.clone()).await? {
            return Ok(Written::Done(done));
        }
    }
}

fn refuse(base: Option<&Object>, options: &WriteOptions) -> Result<(), Error> {
    if options.exclusive && base.is_some() {
        return Err(Error::of(Kind::Exists));
    }
    match &options.if_version {
        Some(name) if !base.is_some_and(|base| base.version.is_named(name)) => Err(Error::of(Kind::Conflict)),
        _ => Ok(()),
    }
}

/// The current version under another name. It may be repeated: what it makes is what is there.
pub async fn copy(store: &dyn Store, from: &str, to: &str, limits: &Limits) -> Result<(), Error> {
    retry(limits, || store.copy(from, to)).await
}

/// Removes an object: `false` if there was none. With a version it removes that one only.
pub async fn remove(
    store: &dyn Store,
    key: &str,
    if_version: Option<&str>,
    limits: &Limits,
) -> Result<bool, Error> {
    // S3 does not tell whether there was anything to remove.
    let mut head = retry(limits, || store.get(key, false)).await?;
    if head.is_none() {
        // The reply to a HEAD has no body, which would tell a missing bucket from a missing object.
        head = retry(limits, || store.get(key, true)).await?;
    }
    let (mut unsure, mut is_conditional) = (false, true);
    loop {
        let version = match (&head, if_version) {
            (None, None) => return Ok(false),
            (Some(head), Some(name)) if head.version.is_named(name) => &head.version,
            (_, Some(_)) => return Err(Error::of(Kind::Conflict)),
            (Some(head), None) => &head.version,
        };
        limits.take_try().map_err(|stop| stopped(stop, unsure, Reply::default()))?;
        // That version only: a request that comes late must not remove what others have written since.
        let condition = is_conditional.then(|| version.clone());
        let reply = match limits.request(store.delete(key, condition)).await {
            Err(stop) => return Err(stopped(stop, true, Reply::default())),
            Ok(Ok(_)) => return Ok(true),
            // Somebody has written it meanwhile; or the earlier try has removed it, which is what was asked for.
            Ok(Err(Failure::Conflict(reply))) => {
                let now = retry(limits, || store.get(key, false)).await;
                head = now.map_err(|error| if unsure { unknown(error.reply) } else { error })?;
                if unsure {
                    return if head.is_none() { Ok(true) } else { Err(unknown(reply)) };
                }
                reply
            }
            Ok(Err(Failure::Unsure(reply))) => {
                unsure = true;
                reply
            }
            Ok(Err(Failure::Refused(reply))) => reply,
            // A store that has no such condition, and a caller who has asked for none.
            Ok(Err(Failure::Final(reply)))
                if is_conditional && if_version.is_none() && reply.status == Some(NOT_IMPLEMENTED) =>
            {
                is_conditional = false;
                reply
            }
            Ok(Err(failure)) if unsure => return Err(unknown(failure.reply())),
            Ok(Err(failure)) => return Err(failure.into()),
        };
        limits.pause(1).await.map_err(|stop| stopped(stop, unsure, reply))?;
    }
}

/// A request that may be done twice.
pub async fn retry<T, F: Future<Output = Result<T, Failure>>>(
    limits: &Limits,
    request: impl Fn() -> F,
) -> Result<T, Error> {
    let mut last = Reply::default();
    for n in 1.. {
        match limits.request(request()).await.map_err(|stop| stopped(stop, false, last.clone()))? {
            Ok(answer) => return Ok(answer),
            Err(Failure::Unsure(reply) | Failure::Refused(reply)) => last = reply,
            Err(Failure::NoCredentials(reply)) if n < 3 => last = reply,
            Err(failure) => return Err(failure.into()),
        }
        limits.take_failure().map_err(|stop| stopped(stop, false, last.clone()))?;
        limits.pause(n).await.map_err(|stop| stopped(stop, false, last.clone()))?;
    }
    unreachable!("the loop ends with an answer or with its limits")
}

fn unknown(reply: Reply) -> Error {
    Error { kind: Kind::UnknownOutcome { id: 0 }, reply }
}

fn stopped(stop: Stop, unsure: bool, reply: Reply) -> Error {
    let kind = match stop {
        _ if unsure => Kind::UnknownOutcome { id: 0 },
        Stop::Aborted => Kind::Aborted,
        Stop::Used => Kind::TimedOut,
    };
    Error { kind, reply }
}
