//! One bucket, with its probe.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    Attribute, Attributes, CopyOptions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, UpdateVersion,
};
use tokio::sync::OnceCell;

use super::reply::failure;
use super::target::folder_of;
use super::wire::{Seen, digest, watch, watch_delete};
use crate::protocol::{
    self, Condition, Entry, Error, Failure, Limits, Object, Put, Reply, Store, Version, probe,
};

/// Azure wants the name of an identifier.
const METADATA: Attribute = Attribute::Metadata(Cow::Borrowed("atomic"));

/// The most that a listing gives at once.
const PAGE: usize = 1000;

/// For how long a URL holds that is used at once.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// A bucket or container of a store.
pub struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Versions are generations: GCS.
    pub(super) by_generation: bool,
    /// Azure: `object_store` deletes in batches, which have no conditions, so a DELETE is a request of our own.
    pub(super) signer: Option<Arc<dyn Signer>>,
    /// Signing costs no request.
    pub(super) signs_here: bool,
    /// For that. A client reads the certificates of the system, which takes longer than a request.
    pub(super) http: LazyLock<reqwest::Client>,
    pub(super) probed: OnceCell<()>,
}

impl Bucket {
    /// Sees once whether the bucket keeps conditions, on an object beside this key.
    pub async fn ensure_fit(&self, key: &str, limits: &Limits) -> Result<(), Error> {
        self.probed.get_or_try_init(|| probe(self, folder_of(key), limits)).await.copied()
    }

    fn version(&self, etag: Option<String>, version: Option<String>) -> Version {
        if self.by_generation {
            Version { etag: None, generation: version }
        } else {
            Version { etag, generation: None }
        }
    }

    fn entry(&self, meta: ObjectMeta) -> Entry {
        let version = self.version(meta.e_tag, meta.version);
        Entry { key: meta.location.into(), size: meta.size, version, modified: meta.last_modified.into() }
    }

    /// A request of our own, by a URL that is signed for it.
    async fn delete_signed(
        &self,
        signer: &dyn Signer,
        path: &Path,
        version: Option<&Version>,
    ) -> Result<bool, Failure> {
        let not_sent = |error: object_store::Error| failure(&error, &Seen::default());
        let url = signer.signed_url(reqwest::Method::DELETE, path, SIGNED_FOR).await.map_err(not_sent)?;
        let reply = |status, text: String| Reply { status, text, ..Reply::default() };
        let mut request = self.http.delete(url);
        if let Some(etag) = version.and_then(|version| version.etag.as_deref()) {
            request = request.header("if-match", etag);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| Failure::Unsure(reply(None, error.without_url().to_string())))?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => Ok(true),
            404 => Ok(false),
            409 | 412 => Err(Failure::Conflict(reply(Some(status), String::new()))),
            429 => Err(Failure::Refused(reply(Some(status), String::new()))),
            500.. => Err(Failure::Unsure(reply(Some(status), String::new()))),
            _ => Err(Failure::Final(reply(Some(status), String::new()))),
        }
    }
}

/// A key that would be changed on the way is refused: it would be another object, which listings show under another key.
fn path(key: &str) -> Result<Path, Failure> {
    let refuse = |text| Failure::Final(Reply { text, ..Reply::default() });
    let path = Path::parse(key).map_err(|error| refuse(error.to_string()))?;
    if path.as_ref() != key {
        let text = format!("the key '{key}' cannot be used: leave out the slash at its beginning or its end");
        return Err(refuse(text));
    }
    Ok(path)
}

/// A folder: empty, or with a slash at its end.
fn prefix(folder: &str) -> Result<Option<Path>, Failure> {
    let name = folder.strip_suffix('/').filter(|name| !name.is_empty()).unwrap_or(folder);
    (!folder.is_empty()).then(|| path(name)).transpose()
}

#[async_trait]
impl Store for Bucket {
    async fn get(&self, key: &str, body: bool) -> Result<Option<Object>, Failure> {
        let path = path(key)?;
        let options = GetOptions { head: !body, ..GetOptions::default() };
        let request = async {
            let result = self.store.get_opts(&path, options).await?;
            let meta = result.meta.clone();
            let metadata =
                result.attributes.get(&METADATA).map(|value| value.to_string()).unwrap_or_default();
            let bytes = if body { result.bytes().await? } else { Bytes::new() };
            Ok((meta, metadata, bytes))
        };
        match watch(request).await {
            (Ok((meta, metadata, body)), _) => {
                let Entry { size, version, modified, .. } = self.entry(meta);
                Ok(Some(Object { body, size, version, metadata, modified }))
            }
            (Err(error), seen) => match failure(&error, &seen) {
                Failure::Final(Reply { status: Some(404), .. }) => Ok(None),
                // 409 of a read: another request has the object at the moment.
                Failure::Conflict(reply) => Err(Failure::Refused(reply)),
                other => Err(other),
            },
        }
    }

    async fn put(
        &self,
        key: &str,
        body: Bytes,
        metadata: String,
        condition: Condition,
    ) -> Result<Put, Failure> {
        let path = path(key)?;
        let update = matches!(condition, Condition::Is(_));
        let mode = match condition {
            Condition::None => PutMode::Overwrite,
            Condition::Absent => PutMode::Create,
            Condition::Is(Version { etag, generation }) => {
                PutMode::Update(UpdateVersion { e_tag: etag, version: generation })
            }
        };
        let attributes = if metadata.is_empty() {
            Attributes::new()
        } else {
            Attributes::from_iter([(METADATA, metadata)])
        };
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let sent = digest(&body);
        match watch(self.store.put_opts(&path, body.into(), options)).await {
            (Ok(put), seen) => Ok(Put {
                version: self.version(put.e_tag, put.version),
                checked: seen.digests.contains(&sent),
            }),
            (Err(error), seen) => match failure(&error, &seen) {
                // What was to be updated is gone.
                Failure::Final(reply) if update && reply.status == Some(404) => Err(Failure::Conflict(reply)),
                other => Err(other),
            },
        }
    }

    async fn delete(&self, key: &str, version: Option<Version>) -> Result<bool, Failure> {
        let path = path(key)?;
        if let Some(signer) = self.signer.as_ref().filter(|_| self.signs_here || version.is_some()) {
            return self.delete_signed(signer.as_ref(), &path, version.as_ref()).await;
        }
        match watch_delete(version, self.store.delete(&path)).await {
            (Ok(()), _) => Ok(true),
            (Err(error), seen) => match failure(&error, &seen) {
                Failure::Final(Reply { status: Some(404), .. }) => Ok(false),
                other => Err(other),
            },
        }
    }

    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Failure> {
        let prefix = prefix(folder)?;
        let pages = match after {
            None => self.store.list(prefix.as_ref()),
            Some(after) => self.store.list_with_offset(prefix.as_ref(), &path(after)?),
        };
        match watch(pages.take(PAGE).try_collect::<Vec<_>>()).await {
            (Ok(entries), _) => Ok(entries.into_iter().map(|meta| self.entry(meta)).collect()),
            (Err(error), seen) => Err(failure(&error, &seen)),
        }
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let (from, to) = (path(from)?, path(to)?);
        let (done, seen) = watch(self.store.copy_opts(&from, &to, CopyOptions::default())).await;
        done.map_err(|error| failure(&error, &seen))
    }
}

/// Milliseconds since 1970, as JavaScript has it.
pub fn epoch(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the store: its configuration has the credentials.
        f.write_str("Bucket")
    }
}

const _: fn() = || {
    fn is_shared<T: Send + Sync + protocol::Store>() {}
    is_shared::<Bucket>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_would_name_another_object_is_refused() {
        for key in ["/i.json", "a//b", "a/", "/"] {
            assert!(path(key).is_err(), "{key}");
        }
        assert_eq!(path("a%20b/c?d").unwrap().as_ref(), "a%20b/c?d");
    }

    #[test]
    fn a_folder_is_not_listed_under_another_name() {
        for folder in ["/", "/a/", "a//"] {
            assert!(prefix(folder).is_err(), "{folder}");
        }
        assert_eq!(prefix("").unwrap(), None);
        assert_eq!(prefix("a/b/").unwrap().unwrap().as_ref(), "a/b");
    }
}
