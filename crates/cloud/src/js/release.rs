//! Releases: staged file by file, published at once.

use std::collections::HashMap;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Either, PromiseRaw, Uint8Array};
use napi_derive::napi;

use super::call::Call;
use super::place::Place;
use super::{Outcome, bytes, refuse};
use crate::protocol::{self, read_release};
use crate::store::{Bucket, Target};

/// A release that is being written.
#[napi]
pub struct Staging {
    staging: Arc<protocol::Staging>,
    bucket: Arc<Bucket>,
    target: Target,
    call: protocol::Limits,
}

/// A release that is live.
#[napi(object)]
pub struct Published {
    /// Its name.
    pub release: String,
    /// How the pointer was swapped.
    pub outcome: Outcome,
    /// How many files it has.
    pub files: u32,
    /// The releases that were removed.
    pub swept: Vec<String>,
}

/// What readers find.
#[napi(object)]
pub struct Release {
    /// Its name.
    pub release: String,
    /// The version of the pointer.
    pub version: String,
    /// The URL of its folder, with a slash at the end.
    pub url: String,
    /// Sizes by path.
    pub files: HashMap<String, f64>,
}

#[napi]
impl Staging {
    /// Nothing is written yet.
    #[napi(constructor)]
    pub fn new(place: &Place, call: &Call) -> Self {
        let (bucket, target, call) = (place.bucket.clone(), place.target.clone(), call.limits.clone());
        let staging = Arc::new(protocol::Staging::new(bucket.clone(), target.key.clone(), call.clone()));
        Self { staging, bucket, target, call }
    }

    /// Writes a file of it.
    #[napi]
    pub fn put<'env>(
        &self,
        env: &'env Env,
        path: String,
        data: Either<String, Uint8Array>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let (staging, bucket, body) = (self.staging.clone(), self.bucket.clone(), bytes(&data));
        let (folder, limits) = (self.target.key.clone(), self.call.clone());
        env.spawn_future(async move {
            let put = async {
                bucket.ensure_fit(&folder, &limits).await?;
                staging.put(&path, body).await
            };
            put.await.map_err(|error| refuse(&error))
        })
    }

    /// Makes it the live one.
    #[napi]
    pub fn publish<'env>(&self, env: &'env Env, keep: u32) -> napi::Result<PromiseRaw<'env, Published>> {
        let (staging, bucket) = (self.staging.clone(), self.bucket.clone());
        let (folder, limits) = (self.target.key.clone(), self.call.clone());
        env.spawn_future(async move {
            let published = async {
                bucket.ensure_fit(&folder, &limits).await?;
                staging.publish(keep as usize).await
            };
            let protocol::Published { release, done, files, swept } =
                published.await.map_err(|error| refuse(&error))?;
            let files = u32::try_from(files).unwrap_or(u32::MAX);
            Ok(Published { release, outcome: done.into(), files, swept })
        })
    }
}

#[napi]
impl Place {
    /// The live release of this folder, or nothing.
    #[napi]
    pub fn read_release<'env>(
        &self,
        env: &'env Env,
        call: &Call,
    ) -> napi::Result<PromiseRaw<'env, Option<Release>>> {
        let (bucket, target, limits) = (self.bucket.clone(), self.target.clone(), call.limits.clone());
        env.spawn_future(async move {
            let found =
                read_release(bucket.as_ref(), &target.key, &limits).await.map_err(|error| refuse(&error))?;
            Ok(found.map(|found| Release {
                release: found.release,
                version: found.version.name().to_owned(),
                url: target.url(&found.folder),
                #[allow(clippy::cast_precision_loss, reason = "JavaScript has no other number")]
                files: found.files.into_iter().map(|(path, size)| (path, size as f64)).collect(),
            }))
        })
    }
}
