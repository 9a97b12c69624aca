//! Why a call failed, and what its caller can do about it.

use std::fmt;

use super::{Failure, Reply};

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A try may have landed, and the store does not tell.
    UnknownOutcome {
        /// The id of the commit, as in the metadata of the object.
        id: u64,
    },
    /// The object is not at the version that was asked for.
    Conflict,
    /// Others were faster each time, until time or tries were used up.
    Contended,
    /// The store does not do what the protocol relies on.
    Unfit {
        /// What it was to do, and what it did.
        test: String,
    },
    /// The store has no way to do it.
    Unsupported,
    /// There is no such bucket or container.
    NoBucket,
    /// There is no such object.
    Missing,
    /// There is one already.
    Exists,
    /// Not allowed, or no credentials.
    Denied,
    /// Time or tries were used up, and nothing was done.
    TimedOut,
    /// The caller's signal, before anything was done.
    Aborted,
    /// What was read back is not what was written.
    Corrupt,
    /// Text was expected.
    NotText,
    /// Patches are of the keys of an object.
    NotObject,
    /// A name or an option that cannot be used.
    Invalid,
    /// Anything else that the store says.
    Store,
    /// A patch is in the inbox, and not in the index yet, for this reason.
    NotYet(Box<Kind>),
}

/// A failed call.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// What the store said last.
    pub reply: Reply,
}

impl Error {
    /// A failure that the store has no part in.
    pub fn of(kind: Kind) -> Self {
        Self { kind, reply: Reply::default() }
    }

    /// An argument that cannot be used, and why.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self { kind: Kind::Invalid, reply: Reply { text: text.into(), ..Reply::default() } }
    }

    /// What this failure means to a caller whose patch is in the inbox already.
    pub fn after_acceptance(self) -> Self {
        Self { kind: Kind::NotYet(Box::new(self.kind)), ..self }
    }

    /// The name by which JavaScript knows it.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl Kind {
    fn code(&self) -> &'static str {
        match self {
            Kind::UnknownOutcome { .. } => "ERR_ATOMIC_UNKNOWN_OUTCOME",
            Kind::Conflict => "ERR_ATOMIC_CONFLICT",
            Kind::Contended => "ERR_ATOMIC_CONTENDED",
            Kind::Unfit { .. } => "ERR_ATOMIC_STORE_UNFIT",
            Kind::Unsupported => "ERR_ATOMIC_UNSUPPORTED",
            Kind::NoBucket | Kind::Missing => "ENOENT",
            Kind::Exists => "EEXIST",
            Kind::Denied => "EACCES",
            Kind::TimedOut => "ETIMEDOUT",
            Kind::Aborted => "ABORT_ERR",
            Kind::Corrupt => "ERR_ATOMIC_VERIFY",
            Kind::NotText | Kind::NotObject => "ERR_ATOMIC_CORRUPT_INDEX",
            Kind::Invalid => "ERR_INVALID_ARG_VALUE",
            Kind::Store => "EIO",
            Kind::NotYet(why) => why.code(),
        }
    }
}

/// A failure after which nothing was written and another try makes no sense.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Conflict(_) => Kind::Conflict,
            Failure::NoBucket(_) => Kind::NoBucket,
            Failure::NoCredentials(_) => Kind::Denied,
            Failure::Final(Reply { status: Some(401 | 403), .. }) => Kind::Denied,
            // Refused on this side: a name that no store takes.
            Failure::Final(Reply { status: None, .. }) => Kind::Invalid,
            Failure::Refused(_) | Failure::Final(_) | Failure::Unsure(_) => Kind::Store,
        };
        Self { kind, reply: failure.reply() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NotYet(why) => {
                f.write_str(
                    "the patch is accepted and will be applied: do not repeat it. It is not in the index yet: ",
                )?;
                let why = match **why {
                    Kind::TimedOut => "the store did not answer in time. Check that the endpoint can be reached",
                    Kind::Contended => {
                        "`timeout` ended before any process had folded it. Raise it, or do not wait (`wait: 'accepted'`)"
                    }
                    Kind::Aborted => "the wait for it was aborted",
                    Kind::Corrupt => "the index reads back as other bytes. Check proxies in between",
                    _ => {
                        let error = Self { kind: (**why).clone(), reply: self.reply.clone() };
                        return error.fmt(f);
                    }
                };
                f.write_str(why)
            }
            Kind::UnknownOutcome { id } => write!(
                f,
                "the store may have made this change or may make it yet: its reply was lost. Read the object before you \
                 try again (id of this commit: {id:x})"
            ),
            Kind::Conflict => f.write_str("the object is at another version: read it again, and decide anew"),
            Kind::Contended => f.write_str(
                "other writers were faster each time, and nothing was written. Try again later, raise `timeout`, or use \
                 atomicIndexPatch, which many writers can share",
            ),
            Kind::Unfit { test } => write!(
                f,
                "this store cannot be used, because it does not keep the conditions of a write ({test}). Use a store \
                 from the table in docs/cloud.md, or a newer version of this one"
            ),
            Kind::Unsupported => f.write_str("the store has no way to do this"),
            Kind::NoBucket => f.write_str("there is no such bucket or container: make it first, or check the name"),
            Kind::Missing => f.write_str("no such object"),
            Kind::Exists => f.write_str("the object exists already"),
            Kind::Denied if self.reply.advice.is_some() => f.write_str("the store refused access, or there are no credentials"),
            Kind::Denied => f.write_str(
                "the store refused access, or there are no credentials. Set the environment variables of the cloud, a \
                 profile or a role, with the right to read, write, list and delete here (S3 also says so of an object \
                 that is missing if listing is not allowed)",
            ),
            Kind::TimedOut => f.write_str(
                "no request succeeded in time, and nothing was written. Check that the endpoint can be reached and is that \
                 of the store, or raise `timeout`",
            ),
            Kind::Aborted => f.write_str("the operation was aborted, and nothing was written"),
            Kind::Corrupt => f.write_str(
                "the object was written, but reads back as other bytes. Write it again, and check proxies in between",
            ),
            Kind::NotText => f.write_str("the index is not UTF-8 text: restore a version that is"),
            Kind::NotObject => {
                f.write_str("the index is no JSON object, of which patches change the keys: restore a version that is one")
            }
            Kind::Invalid => return f.write_str(&self.reply.text),
            Kind::Store => f.write_str("the store refused the request"),
        }?;
        if let Some(advice) = self.reply.advice {
            write!(f, ". {advice}")?;
        }
        match (&self.reply.status, self.reply.text.as_str()) {
            (Some(status), "") => write!(f, " [status {status}]"),
            (Some(status), text) => write!(f, " [status {status}: {text}]"),
            (None, "") => Ok(()),
            (None, text) => write!(f, " [{text}]"),
        }
    }
}

impl std::error::Error for Error {}
