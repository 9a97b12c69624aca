//! Whether a store keeps what the protocol relies on. It finds servers that ignore conditions, not those that lose
//! races between two requests that keep them.

use bytes::Bytes;

use super::limits::Stop;
use super::{Condition, Error, Failure, Kind, Limits, Reply, Store, Version};

/// Tries conditional writes on an object of its own in this folder. Once for each bucket and process is enough.
pub async fn probe(store: &dyn Store, folder: &str, limits: &Limits) -> Result<(), Error> {
    let mut last = Reply::default();
    for n in 1.. {
        let stopped = |stop, reply| Error {
            kind: if stop == Stop::Aborted { Kind::Aborted } else { Kind::TimedOut },
            reply,
        };
        // A name of its own each time: what a lost reply has left must not look like a broken condition.
        let key = format!("{folder}.atomic-probe-{:016x}", fastrand::u64(..));
        let result = limits.request(async { Ok(tests(store, &key).await) }).await;
        // Best effort: an empty object with a telling name is left otherwise.
        let removed = limits.request(store.delete(&key, None)).await;
        let failure = match result.map_err(|stop| stopped(stop, last.clone()))? {
            Ok(Ok(())) if matches!(removed, Ok(Ok(_))) => absent(store, &key, limits).await,
            Ok(other) => other,
            Err(failure) => Err(Problem::Failed(failure)),
        };
        match failure {
            Ok(()) => return Ok(()),
            Err(Problem::Unfit(test)) => return Err(Error::of(Kind::Unfit { test })),
            Err(Problem::Failed(Failure::Refused(reply) | Failure::Unsure(reply))) => last = reply,
            Err(Problem::Failed(Failure::NoCredentials(reply))) if n < 3 => last = reply,
            Err(Problem::Failed(failure)) => return Err(failure.into()),
        }
        limits.take_failure().map_err(|stop| stopped(stop, last.clone()))?;
        limits.pause(n).await.map_err(|stop| stopped(stop, last.clone()))?;
    }
    unreachable!("the loop ends with an answer or with its limits")
}

enum Problem {
    Unfit(String),
    Failed(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn unfit<T>(test: &str) -> Result<T, Problem> {
    Err(Problem::Unfit(test.into()))
}

async fn tests(store: &dyn Store, key: &str) -> Result<(), Problem> {
    let put = |text: &'static str, condition| {
        store.put(key, Bytes::from_static(text.as_bytes()), text.into(), condition)
    };
    let first = put("1", Condition::Absent).await?.version;
    if first == Version::default() {
        return unfit("a write returns no version");
    }
    match put("2", Condition::Absent).await {
        Err(Failure::Conflict(_)) => {}
        Ok(_) => return unfit("a second creation of an object succeeds"),
        Err(failure) => return Err(failure.into()),
    }
    let second = put("3", Condition::Is(first.clone())).await?.version;
    match put("4", Condition::Is(first)).await {
        Err(Failure::Conflict(_)) => {}
        Ok(_) => return unfit("an update of a version that is gone succeeds"),
        Err(failure) => return Err(failure.into()),
    }
    let Some(object) = store.get(key, true).await? else {
        return unfit("an object that was written is not found");
    };
    if object.body != "3" {
        return unfit("an object reads back as other bytes than were written");
    }
    if object.metadata != "3" {
        return unfit("the metadata of an object is not kept");
    }
    if object.version != second {
        return unfit("a write and a read tell different versions of the same object");
    }
    Ok(())
}

/// An update of what is not there must not make it.
async fn absent(store: &dyn Store, key: &str, limits: &Limits) -> Result<(), Problem> {
    let version =
        Version { etag: Some("\"00000000000000000000000000000000\"".into()), generation: Some("1".into()) };
    let put = store.put(key, Bytes::from_static(b"5"), "5".into(), Condition::Is(version));
    match limits.request(put).await {
        Ok(Err(Failure::Conflict(_))) => Ok(()),
        Ok(Err(failure)) => Err(failure.into()),
        Ok(Ok(_)) => {
            let _ = limits.request(store.delete(key, None)).await;
            unfit("an update of an object that does not exist makes one")
        }
        Err(_) => Err(Failure::Unsure(Reply::default()).into()),
    }
}
