//! What `packages/cloud` calls. An error crosses as JSON in the reason of a rejection: the package makes the public
//! one of it, with the stack of its caller.

mod call;
mod commit;
mod patch;
mod place;
mod release;

use bytes::Bytes;
use napi::bindgen_prelude::{Either, Uint8Array};

use crate::protocol::{Done, Error, Kind, Verified, Version};

/// The bytes as of the call: JavaScript may change its own afterwards.
fn bytes(data: &Either<String, Uint8Array>) -> Bytes {
    match data {
        Either::A(text) => Bytes::copy_from_slice(text.as_bytes()),
        Either::B(bytes) => Bytes::copy_from_slice(bytes),
    }
}

fn name(version: &Version) -> String {
    version.name().to_owned()
}

const fn verified(verified: Verified) -> Option<&'static str> {
    match verified {
        Verified::Checksum => Some("checksum"),
        Verified::Readback => Some("readback"),
        Verified::No => None,
    }
}

fn refuse(error: &Error) -> napi::Error {
    napi::Error::from_reason(described(error))
}

fn described(error: &Error) -> String {
    let about = serde_json::json!({
        "code": error.code(),
        "text": error.to_string(),
        "status": error.reply.status,
        "requestId": error.reply.request_id,
        // `null`: nobody knows.
        "committed": match error.kind {
            Kind::UnknownOutcome { .. } => None,
            Kind::Corrupt | Kind::NotYet(_) => Some(true),
            _ => Some(false),
        },
    });
    about.to_string()
}

/// What a write has done.
#[napi_derive::napi(object)]
pub struct Outcome {
    /// `false`: the bytes were there already.
    pub written: bool,
    /// The version with these bytes.
    pub version: String,
    /// How many writes were sent.
    pub attempts: u32,
    /// How often another version was there first.
    pub conflicts: u32,
    /// The reply was lost, and the object says that the write has landed.
    pub recovered: bool,
    /// `checksum`, `readback`, or nothing.
    pub verified: Option<String>,
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        Self {
            written: true,
            version: name(&done.version),
            attempts: done.attempts,
            conflicts: done.conflicts,
            recovered: done.recovered,
            verified: verified(done.verified).map(str::to_owned),
        }
    }
}
