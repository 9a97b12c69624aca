//! The seam of the base package's group commit: read, then replace what was read.

use std::sync::Arc;

use bytes::Bytes;
use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use tokio::sync::Mutex;

use super::call::{Call, duration};
use super::place::{Place, Text, text};
use super::{Outcome, described, refuse};
use crate::protocol::{self, Doubt, Limits, copy};
use crate::store::Bucket;

/// One commit of an index.
#[napi]
pub struct IndexCommit {
    commit: Arc<Mutex<protocol::Commit>>,
    bucket: Arc<Bucket>,
    key: String,
    backup: Option<String>,
    limits: Limits,
    doubt: Doubt,
}

#[napi]
impl IndexCommit {
    /// Nothing is asked of the store yet.
    #[napi(constructor)]
    pub fn new(place: &Place, call: &Call, backup: Option<&Place>) -> napi::Result<Self> {
        let commit = place.commit(call, true);
        Ok(Self {
            doubt: commit.doubt(),
            commit: Arc::new(Mutex::new(commit)),
            bucket: place.bucket.clone(),
            key: place.target.key.clone(),
            backup: backup.map(|backup| place.backup_key(backup)).transpose()?,
            limits: call.limits.clone(),
        })
    }

    /// The newest text with its version, or nothing.
    #[napi]
    pub fn read<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<Text>>> {
        let commit = self.commit.clone();
        env.spawn_future(async move {
            let object = commit.lock().await.read(true).await.map_err(|error| refuse(&error))?;
            object.map(text).transpose()
        })
    }

    /// The error of a call that does not wait for `replaceIf` any longer, as JSON; nothing: nothing was written so far.
    #[napi(getter)]
    pub fn doubt(&self) -> Option<String> {
        self.doubt.error().as_ref().map(described)
    }

    /// Replaces what was read last; nothing: another version is there. Nothing is written after `write_ms`, and what has become
    /// of a write is looked for until `doubt_ms`: by default until the end of the call.
    #[napi]
    pub fn replace_if<'env>(
        &self,
        env: &'env Env,
        text: String,
        write_ms: Option<f64>,
        doubt_ms: Option<f64>,
    ) -> napi::Result<PromiseRaw<'env, Option<Outcome>>> {
        let (commit, bucket, key) = (self.commit.clone(), self.bucket.clone(), self.key.clone());
        let backup = self.backup.clone();
        let lasting =
            |ms: Option<f64>| ms.map_or_else(|| self.limits.clone(), |ms| self.limits.lasting(duration(ms)));
        let (limits, in_doubt) = (lasting(write_ms), lasting(doubt_ms));
        env.spawn_future(async move {
            let done = async {
                bucket.ensure_fit(&key, &limits).await?;
                let mut commit = commit.lock().await;
                commit.set_limits(limits.clone(), in_doubt);
                if let Some(backup) = backup.filter(|_| commit.has_base()) {
                    copy(bucket.as_ref(), &key, &backup, &limits).await?;
                }
                commit.replace_if(Bytes::from(text)).await
            };
            Ok(done.await.map_err(|error| refuse(&error))?.map(Into::into))
        })
    }
}
