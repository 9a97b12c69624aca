//! A whole object with bytes of the caller's. Conditional inside: a first try whose reply was lost must not come late
//! and undo what others have written since.

use std::sync::Arc;

use bytes::Bytes;

use super::limits::Stop;
use super::{Commit, Done, Error, Failure, Kind, Limits, Object, Reply, Store, Version};

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
    let Some(head) = head else {
        return if if_version.is_some() { Err(Error::of(Kind::Conflict)) } else { Ok(false) };
    };
    let version = match if_version {
        Some(name) if !head.version.is_named(name) => return Err(Error::of(Kind::Conflict)),
        Some(_) => Some(head.version.clone()),
        None => None,
    };
    let mut unsure = false;
    loop {
        limits.take_try().map_err(|stop| stopped(stop, unsure, Reply::default()))?;
        let reply = match limits.request(store.delete(key, version.clone())).await {
            Err(stop) => return Err(stopped(stop, true, Reply::default())),
            Ok(Ok(_)) => return Ok(true),
            // The earlier try may have removed it; then this version is gone, which is what was asked for.
            Ok(Err(Failure::Conflict(_))) if unsure => match retry(limits, || store.get(key, false)).await? {
                None => return Ok(true),
                Some(_) => return Err(stopped(Stop::Used, true, Reply::default())),
            },
            Ok(Err(Failure::Unsure(reply))) => {
                unsure = true;
                reply
            }
            Ok(Err(Failure::Refused(reply))) => reply,
            Ok(Err(failure)) if unsure => return Err(stopped(Stop::Used, true, failure.reply())),
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

fn stopped(stop: Stop, unsure: bool, reply: Reply) -> Error {
    let kind = match stop {
        _ if unsure => Kind::UnknownOutcome { id: 0 },
        Stop::Aborted => Kind::Aborted,
        Stop::Used => Kind::TimedOut,
    };
    Error { kind, reply }
}
