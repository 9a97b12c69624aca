//! Patches: into the inbox, and from there into the index.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::call::Call;
use super::place::Place;
use super::refuse;
use crate::protocol::Error;
use crate::protocol::patch::{Change, Folder, Inbox};

/// Both sides of an inbox in this process: its calls share requests and folds, and its patches have one order.
struct Sides {
    inbox: Inbox,
    folder: Folder,
}

static INBOXES: LazyLock<Mutex<HashMap<String, Arc<Sides>>>> = LazyLock::new(Mutex::default);

/// Where a patch is.
#[napi(object)]
pub struct Accepted {
    /// Of which session it is a delta.
    pub session: String,
    /// Which one.
    pub number: f64,
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
        let sides = self.sides();
        let change: Change =
            serde_json::from_str(&change).map_err(|error| refuse(&Error::invalid(error.to_string())))?;
        // Here, on the caller's thread: threads of the runtime would not keep the order of the calls.
        let ticket = sides.inbox.queue(change);
        env.spawn_future(async move {
            let put = match bucket.ensure_fit(&target.key, &limits).await {
                Ok(()) => sides.inbox.send(ticket, &limits).await,
                Err(error) => sides.inbox.give_up(ticket, error).await,
            };
            let (session, number) = put.map_err(|error| refuse(&error))?;
            #[allow(clippy::cast_precision_loss, reason = "JavaScript has no other number")]
            Ok(Accepted { session, number: number as f64 })
        })
    }

    /// Waits until the index holds this delta, and folds if no other process does. Returns the version of the index.
    #[napi]
    pub fn settle<'env>(
        &self,
        env: &'env Env,
        call: &Call,
        accepted: Accepted,
    ) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let (sides, limits) = (self.sides(), call.limits.clone());
        env.spawn_future(async move {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u64")]
            let place = (accepted.session, accepted.number as u64);
            let folded = sides.folder.settle(&place, &limits).await.map_err(|error| refuse(&error))?;
            Ok(folded.version.map(|version| version.name().to_owned()))
        })
    }

    /// Waits until what folds have made superfluous is removed: the process stays for as long.
    #[napi]
    pub fn tidied<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let sides = self.sides();
        env.spawn_future(async move {
            sides.folder.tidied().await;
            Ok(())
        })
    }
}

impl Place {
    fn sides(&self) -> Arc<Sides> {
        let make = || {
            let (store, key) = (self.bucket.clone(), self.target.key.clone());
            Sides { inbox: Inbox::new(store.clone(), key.clone()), folder: Folder::new(store, key) }
        };
        let mut inboxes = INBOXES.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.entry(self.key()).or_insert_with(|| Arc::new(make())).clone()
    }
}
