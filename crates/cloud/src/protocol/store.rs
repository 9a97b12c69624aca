//! What the protocol asks of a store, and in which terms it fails.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

/// A store's name for one state of an object: S3 and Azure compare the `ETag`, GCS the generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The `ETag`, with its quotes.
    pub etag: Option<String>,
    /// The generation, or the version of a bucket with versioning.
    pub generation: Option<String>,
}

impl Version {
    /// As callers see it: without quotes, which Azure leaves out of listings.
    pub fn name(&self) -> &str {
        self.etag.as_ref().or(self.generation.as_ref()).map_or("", |name| name.trim_matches('"'))
    }

    /// Whether a caller means this version.
    pub fn is_named(&self, name: &str) -> bool {
        self.name() == name.trim_matches('"')
    }
}

/// An object as of one moment: body, version and metadata come in one response.
#[derive(Clone, Debug)]
pub struct Object {
    /// Empty if only the head was asked for.
    pub body: Bytes,
    /// How many bytes the object has.
    pub size: u64,
    /// The version that the condition of the next write names.
    pub version: Version,
    /// What [`crate::protocol::Signature`] reads.
    pub metadata: String,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// An object of a listing.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// As of the listing.
    pub version: Version,
    /// By the store's clock.
    pub modified: SystemTime,
}

/// When a write is to happen.
#[derive(Clone, Debug)]
pub enum Condition {
    /// In any case: for objects that have a name of their own.
    None,
    /// If there is no such object.
    Absent,
    /// If the object is at this version.
    Is(Version),
}

/// A write that the store has acknowledged.
#[derive(Clone, Debug)]
pub struct Put {
    /// The version that it made.
    pub version: Version,
    /// Whether the store's own digest of what it received is that of what was sent.
    pub checked: bool,
}

/// What a store said, or that it said nothing.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The HTTP status.
    pub status: Option<u16>,
    /// Under which name the store has the request in its logs.
    pub request_id: Option<String>,
    /// Its words, without credentials.
    pub text: String,
    /// What a person can do about it, where the words are known.
    pub advice: Option<&'static str>,
}

/// How a request failed, by what may have happened to the object.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The condition does not hold: nothing was written.
    Conflict(Reply),
    /// Nothing was written; the same request may succeed later.
    Refused(Reply),
    /// Nothing was written, and the same request will fail again.
    Final(Reply),
    /// There is no such bucket or container.
    NoBucket(Reply),
    /// There are no credentials, so no request was made.
    NoCredentials(Reply),
    /// It may have been done, it may be done later, or never.
    Unsure(Reply),
}

impl Failure {
    /// What the store said.
    pub fn reply(self) -> Reply {
        match self {
            Self::Conflict(reply)
            | Self::Refused(reply)
            | Self::Final(reply)
            | Self::NoBucket(reply)
            | Self::NoCredentials(reply)
            | Self::Unsure(reply) => reply,
        }
    }
}

/// A bucket. No method tries twice: a second try of a write whose reply was lost is the protocol's decision.
#[async_trait]
pub trait Store: Send + Sync {
    /// The object, or only its head.
    async fn get(&self, key: &str, body: bool) -> Result<Option<Object>, Failure>;
    /// Writes the object with this metadata if the condition holds.
    async fn put(
        &self,
        key: &str,
        body: Bytes,
        metadata: String,
        condition: Condition,
    ) -> Result<Put, Failure>;
    /// Removes the object, if it is at this version. `false`: there was none, as far as the store tells.
    async fn delete(&self, key: &str, version: Option<Version>) -> Result<bool, Failure>;
    /// Up to 1,000 objects below a folder, in the order of their keys, after this key.
    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Failure>;
    /// Makes `to` what `from` is.
    async fn copy(&self, from: &str, to: &str) -> Result<(), Failure>;
}
