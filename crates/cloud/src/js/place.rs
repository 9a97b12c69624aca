//! A place in a bucket, and what can be done there.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Either, PromiseRaw, Uint8Array};
use napi_derive::napi;

use super::call::Call;
use super::{Outcome, bytes, name, refuse};
use crate::protocol::{Error, Kind, Store, WriteOptions, Written, remove, retry, write};
use crate::store::{Bucket, Target, connect, epoch};

/// An object or a folder of a bucket.
#[napi]
pub struct Place {
    pub(super) target: Target,
    pub(super) bucket: Arc<Bucket>,
    endpoint: String,
}

/// An object with its text.
#[napi(object)]
pub struct Text {
    /// Without what the protocol has appended.
    pub text: String,
    /// Its version.
    pub version: String,
}

/// An object of a listing.
#[napi(object)]
pub struct Item {
    /// Its URL.
    pub path: String,
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: f64,
    /// As of the listing, where that tells it.
    pub version: Option<String>,
    /// In milliseconds since 1970, by the store's clock.
    pub modified: f64,
}

#[napi]
impl Place {
    /// `folder`: a prefix, to which a slash is added.
    #[napi(constructor)]
    pub fn new(url: String, folder: bool, endpoint: Option<String>) -> napi::Result<Self> {
        let target = Target::parse(&url).map_err(|error| refuse(&error))?;
        let target =
            if folder { target.folder() } else { target.object().map_err(|error| refuse(&error))? };
        let bucket = connect(&target, endpoint.as_deref()).map_err(|error| refuse(&error))?;
        Ok(Self { target, bucket, endpoint: endpoint.unwrap_or_default() })
    }

    /// The same for two places that are the same object.
    #[napi(getter)]
    pub fn key(&self) -> String {
        format!("{} {}", self.target.url(&self.target.key), self.endpoint)
    }

    /// The object as text, or nothing.
    #[napi]
    pub fn read<'env>(&self, env: &'env Env, call: &Call) -> napi::Result<PromiseRaw<'env, Option<Text>>> {
        let mut commit = self.commit(call, true);
        env.spawn_future(async move {
            let object = commit.read(true).await.map_err(|error| refuse(&error))?;
            object.map(text).transpose()
        })
    }

    /// Writes the object as a whole.
    #[napi]
    #[allow(clippy::too_many_arguments, reason = "options of JavaScript, by position")]
    pub fn write<'env>(
        &self,
        env: &'env Env,
        call: &Call,
        data: Either<String, Uint8Array>,
        if_version: Option<String>,
        exclusive: bool,
        if_changed: bool,
        backup: Option<&Place>,
    ) -> napi::Result<PromiseRaw<'env, Outcome>> {
        let backup = backup.map(|backup| self.backup_key(backup)).transpose()?;
        let options = WriteOptions { if_version, exclusive, if_changed, backup };
        let (bucket, key, limits, body) =
            (self.bucket.clone(), self.target.key.clone(), call.limits.clone(), bytes(&data));
        env.spawn_future(async move {
            let done = async {
                bucket.ensure_fit(&key, &limits).await?;
                write(bucket, &key, body, &options, &limits).await
            };
            match done.await.map_err(|error| refuse(&error))? {
                Written::Done(done) => Ok(done.into()),
                Written::Same(version) => Ok(Outcome {
                    written: false,
                    version: name(&version),
                    attempts: 0,
                    conflicts: 0,
                    recovered: false,
                    verified: Some("readback".into()),
                }),
            }
        })
    }

    /// Removes the object; `false`: there was none.
    #[napi]
    pub fn remove<'env>(
        &self,
        env: &'env Env,
        call: &Call,
        if_version: Option<String>,
    ) -> napi::Result<PromiseRaw<'env, bool>> {
        let (bucket, key, limits) = (self.bucket.clone(), self.target.key.clone(), call.limits.clone());
        env.spawn_future(async move {
            remove(bucket.as_ref(), &key, if_version.as_deref(), &limits)
                .await
                .map_err(|error| refuse(&error))
        })
    }

    /// A page of the objects whose keys begin as this place's, after this key.
    #[napi]
    pub fn list<'env>(
        &self,
        env: &'env Env,
        call: &Call,
        after: Option<String>,
    ) -> napi::Result<PromiseRaw<'env, Vec<Item>>> {
        let (bucket, target, limits) = (self.bucket.clone(), self.target.clone(), call.limits.clone());
        env.spawn_future(async move {
            let page = retry(&limits, || bucket.list(&target.key, after.as_deref()))
                .await
                .map_err(|error| refuse(&error))?;
            let item = |entry: crate::protocol::Entry| Item {
                path: target.url(&entry.key),
                #[allow(clippy::cast_precision_loss, reason = "JavaScript has no other number")]
                size: entry.size as f64,
                version: Some(name(&entry.version)).filter(|name| !name.is_empty()),
                modified: epoch(entry.modified),
                key: entry.key,
            };
            Ok(page.into_iter().map(item).collect())
        })
    }

    pub(super) fn backup_key(&self, backup: &Self) -> napi::Result<String> {
        if !Arc::ptr_eq(&self.bucket, &backup.bucket) || self.target.key == backup.target.key {
            return Err(refuse(&Error::invalid("`backup` is to be another object of the same bucket")));
        }
        Ok(backup.target.key.clone())
    }

    pub(super) fn commit(&self, call: &Call, json: bool) -> crate::protocol::Commit {
        crate::protocol::Commit::new(self.bucket.clone(), self.target.key.clone(), call.limits.clone(), json)
    }
}

pub(super) fn text(object: crate::protocol::Object) -> napi::Result<Text> {
    let version = name(&object.version);
    let text = String::from_utf8(object.body.into()).map_err(|_| refuse(&Error::of(Kind::NotText)))?;
    Ok(Text { text, version })
}
