//! Patches: into the inbox, and from there into the index.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::call::Call;
use super::place::Place;
use super::refuse;
use crate::protocol::patch::{Change, Inbox, fold};
use crate::protocol::{Error, Store};

/// One session for each index: calls of a process share requests, and its patches have one order.
static INBOXES: LazyLock<Mutex<HashMap<String, Arc<Inbox>>>> = LazyLock::new(Mutex::default);

/// Where a patch is.
#[napi(object)]
pub struct Accepted {
    /// Of which session it is a delta.
    pub session: String,
    /// Which one.
    pub number: f64,
}

/// What a fold has left behind.
#[napi(object)]
pub struct Folded {
    /// The number of the last delta of each session that the index holds.
    pub seen: HashMap<String, f64>,
    /// The version of the index.
    pub version: Option<String>,
}

#[napi]
impl Place {
    /// Puts a change, `{ set, delete }` as JSON, into the inbox of this index.
    #[napi]
    pub fn patch<'env>(
        &self,
        env: &'env Env,
        call: &Call,
        change: String,
    ) -> napi::Result<PromiseRaw<'env, Accepted>> {
        let (bucket, target, limits) = (self.bucket.clone(), self.target.clone(), call.limits.clone());
        let inbox = INBOXES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(self.key())
            .or_insert_with(|| Arc::new(Inbox::new(self.bucket.clone(), self.target.key.clone())))
            .clone();
        let change: Change =
            serde_json::from_str(&change).map_err(|error| refuse(&Error::invalid(error.to_string())))?;
        // Here, on the caller's thread: threads of the runtime would not keep the order of the calls.
        let ticket = inbox.queue(change);
        env.spawn_future(async move {
            let put = match bucket.ensure_fit(&target.key, &limits).await {
                Ok(()) => inbox.send(ticket, &limits).await,
                Err(error) => inbox.give_up(ticket, error).await,
            };
            let (session, number) = put.map_err(|error| refuse(&error))?;
            #[allow(clippy::cast_precision_loss, reason = "JavaScript has no other number")]
            Ok(Accepted { session, number: number as f64 })
        })
    }

    /// Folds the inbox into the index.
    #[napi]
    pub fn fold<'env>(&self, env: &'env Env, call: &Call) -> napi::Result<PromiseRaw<'env, Folded>> {
        let store: Arc<dyn Store> = self.bucket.clone();
        let (key, limits) = (self.target.key.clone(), call.limits.clone());
        env.spawn_future(async move {
            let folded = fold(&store, &key, &limits).await.map_err(|error| refuse(&error))?;
            #[allow(clippy::cast_precision_loss, reason = "JavaScript has no other number")]
            let seen = folded.seen().map(|(session, last)| (session.to_owned(), last as f64)).collect();
            Ok(Folded { seen, version: folded.version.map(|version| version.name().to_owned()) })
        })
    }
}
