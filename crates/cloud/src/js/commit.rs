//! The seam of the base package's group commit: read, then replace what was read.

use std::sync::Arc;

use bytes::Bytes;
use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use tokio::sync::Mutex;

use super::call::Call;
use super::place::{Place, Text, text};
use super::{Outcome, refuse};
use crate::protocol::{self, Limits, copy};
use crate::store::Bucket;

/// One commit of an index.
#[napi]
pub struct IndexCommit {
    commit: Arc<Mutex<protocol::Commit>>,
    bucket: Arc<Bucket>,
    key: String,
    backup: Option<String>,
    limits: Limits,
}

#[napi]
impl IndexCommit {
    /// Nothing is asked of the store yet.
    #[napi(constructor)]
    pub fn new(place: &Place, call: &Call, backup: Option<&Place>) -> napi::Result<Self> {
        Ok(Self {
            commit: Arc::new(Mutex::new(place.commit(call, true))),
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

    /// Replaces what was read last; nothing: another version is there.
    #[napi]
    pub fn replace_if<'env>(
        &self,
        env: &'env Env,
        text: String,
    ) -> napi::Result<PromiseRaw<'env, Option<Outcome>>> {
        let (commit, bucket, key) = (self.commit.clone(), self.bucket.clone(), self.key.clone());
        let (backup, limits) = (self.backup.clone(), self.limits.clone());
        env.spawn_future(async move {
            let done = async {
                bucket.ensure_fit(&key, &limits).await?;
                let mut commit = commit.lock().await;
                if let Some(backup) = backup.filter(|_| commit.has_base()) {
                    copy(bucket.as_ref(), &key, &backup, &limits).await?;
                }
                commit.replace_if(Bytes::from(text)).await
            };
            Ok(done.await.map_err(|error| refuse(&error))?.map(Into::into))
        })
    }
}
