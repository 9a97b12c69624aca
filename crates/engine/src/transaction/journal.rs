//! The journal of a root, as bytes: a block that says how far transactions have come, and the record of the last one.
//! `docs/transactions.md` has the layout. Everything is little-endian, and each of the two parts has a checksum.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::dir::names;
use crate::mutant::{Step, leaves_out};
use crate::sys::path_from_bytes;

/// Where the record begins: no sector has a part of the state and a part of the record.
pub const RECORD_AT: u64 = 4096;
/// How long a new journal is: most records fit, so that writing one changes no metadata.
pub const LENGTH: usize = 64 << 10;
/// How long the state is.
pub const STATE_LENGTH: usize = 40;
/// How long a record is before its operations.
pub const HEAD_LENGTH: usize = 56;
/// No record has more operations.
pub const MOST_OPS: usize = 4096;
const LONGEST_PAYLOAD: usize = 16 << 20;

const STATE_MAGIC: &[u8; 8] = b"ATOMTXS1";
const RECORD_MAGIC: &[u8; 8] = b"ATOMTXN1";

/// The characters that names of one root or of one process have in common.
pub type Tag = [u8; 4];

/// How far transactions have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Transactions up to this one need nothing any more.
    pub finished: u64,
    /// All names of transactions up to this one stand, flushed or not. After a power cut that may not be so.
    pub applied: u64,
    /// Told apart from other roots by this.
    pub root: Tag,
}

/// A transaction that is committed, if all that it needs is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in this root, from 1.
    pub txid: u64,
    /// The root's file system and inode. Others: the tree was copied.
    pub home: (u64, u64),
    /// What is to become of which file.
    pub ops: Vec<Op>,
}

/// What is to become of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Where it is, relative to the root: real, without links.
    pub dir: PathBuf,
    /// Its name.
    pub name: OsString,
    /// The staged file beside it, and what is in it; `None`: the file is to be removed.
    pub staged: Option<(OsString, Mark)>,
    /// An index: its lock is held by the transaction, and by who recovers it.
    pub is_index: bool,
    /// What was there before; `None`: nothing.
    pub old: Option<OldMark>,
}

/// What tells a staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// 0 where files have none.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// XXH3-128 of its bytes; `None` for another name of a file, which its inode tells.
    pub hash: Option<u128>,
}

/// What tells the file that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldMark {
    /// 0 where files have none.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i128,
    /// Nanoseconds since 1970.
    pub changed: i128,
    /// XXH3-128 of its bytes, if they were looked at.
    pub hash: Option<u128>,
}

/// What is in a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<T> {
    /// This.
    Whole(T),
    /// Nothing that counts: it was never written, or not to its end.
    None,
    /// Something that this version does not know.
    Foreign,
}

impl State {
    /// The block.
    pub fn encode(&self) -> [u8; STATE_LENGTH] {
        let mut block = [0; STATE_LENGTH];
        block[..8].copy_from_slice(STATE_MAGIC);
        block[8..16].copy_from_slice(&self.finished.to_le_bytes());
        block[16..24].copy_from_slice(&self.applied.to_le_bytes());
        block[24..28].copy_from_slice(&self.root);
        let sum = xxh3_64(&block[..32]);
        block[32..].copy_from_slice(&sum.to_le_bytes());
        block
    }

    /// What a block says.
    pub fn decode(block: &[u8]) -> Content<Self> {
        let Some(block) = block.first_chunk::<STATE_LENGTH>() else { return Content::None };
        if block[..8] != *STATE_MAGIC {
            return if block[..7] == STATE_MAGIC[..7] { Content::Foreign } else { Content::None };
        }
        let mut reader = Reader(&block[8..]);
        let read = (|| {
            Some((
                reader.number::<8>()?,
                reader.number::<8>()?,
                reader.take(4)?,
                reader.take(4)?,
                reader.number::<8>()?,
            ))
        })();
        match read {
            Some((finished, applied, root, _, sum))
                if sum == xxh3_64(&block[..32]) && root.iter().all(u8::is_ascii_alphanumeric) =>
            {
                let mut tag = Tag::default();
                tag.copy_from_slice(root);
                Content::Whole(Self { finished, applied, root: tag })
            }
            _ => Content::None,
        }
    }
}

const REMOVE: u8 = 1;
const INDEX: u8 = 2;
const HAD_OLD: u8 = 4;
const OLD_HASH: u8 = 8;
const LINK: u8 = 16;

impl Record {
    /// A record with these bytes for its operations, and the right checksum.
    #[cfg(any(test, fuzzing))]
    pub fn forged(count: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = RECORD_MAGIC.to_vec();
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[7; 24]);
        bytes.extend_from_slice(&sum(&bytes, payload).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    /// The record, or `None` if it would be too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        for op in &self.ops {
            op.encode(&mut payload)?;
        }
        if payload.len() > LONGEST_PAYLOAD || self.ops.len() > MOST_OPS {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEAD_LENGTH + payload.len());
        bytes.extend_from_slice(RECORD_MAGIC);
        bytes.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.ops.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(&self.txid.to_le_bytes());
        bytes.extend_from_slice(&self.home.0.to_le_bytes());
        bytes.extend_from_slice(&self.home.1.to_le_bytes());
        bytes.extend_from_slice(&sum(&bytes, &payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        Some(bytes)
    }

    /// How many bytes follow the head, if it is one of this version's.
    pub fn payload_length(head: &[u8]) -> Option<usize> {
        let mut reader = Reader(head.strip_prefix(RECORD_MAGIC)?);
        usize::try_from(reader.number::<4>()?).ok().filter(|length| *length <= LONGEST_PAYLOAD)
    }

    /// What a journal has from [`RECORD_AT`] on.
    pub fn decode(bytes: &[u8]) -> Content<Self> {
        if bytes.len() < HEAD_LENGTH || bytes[..8].iter().all(|byte| *byte == 0) {
            return Content::None;
        }
        if bytes[..8] != *RECORD_MAGIC {
            return Content::Foreign;
        }
        let mut reader = Reader(&bytes[8..]);
        let head = (|| {
            let length = reader.number::<4>()?;
            let count = reader.number::<4>()?;
            let txid = reader.number::<8>()?;
            let home = (reader.number::<8>()?, reader.number::<8>()?);
            let sum = u128::from_le_bytes(reader.take(16)?.try_into().ok()?);
            Some((length, count, txid, home, sum, reader.take(usize::try_from(length).ok()?)?))
        })();
        let Some((_, count, txid, home, expected, payload)) = head else { return Content::None };
        if sum(&bytes[..40], payload) != expected && !leaves_out(Step::Checksum) {
            return Content::None;
        }
        let mut reader = Reader(payload);
        let ops = (0..count).map(|_| Op::decode(&mut reader)).collect::<Option<Vec<_>>>();
        // The checksum is right, so it was written so: by a version that this one does not know.
        ops.filter(|_| reader.0.is_empty())
            .map_or(Content::Foreign, |ops| Content::Whole(Self { txid, home, ops }))
    }
}

/// Over the head without the sum itself, and all that follows.
fn sum(head: &[u8], payload: &[u8]) -> u128 {
    let mut all = Xxh3::new();
    all.update(head);
    all.update(payload);
    all.digest128()
}

const SECOND: i128 = 1_000_000_000;

impl Op {
    fn encode(&self, to: &mut Vec<u8>) -> Option<()> {
        let is_link = self.staged.as_ref().is_some_and(|(_, new)| new.hash.is_none());
        let flag = |is, flag| if is { flag } else { 0 };
        to.push(
            flag(self.staged.is_none(), REMOVE)
                | flag(self.is_index, INDEX)
                | flag(self.old.is_some(), HAD_OLD)
                | flag(self.old.is_some_and(|old| old.hash.is_some()), OLD_HASH)
                | flag(is_link, LINK),
        );
        let none = OsString::new();
        let staged = self.staged.as_ref().map_or(&none, |(name, _)| name);
        for text in [self.dir.as_os_str(), &self.name, staged] {
            let bytes = text.as_encoded_bytes();
            to.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_le_bytes());
            to.extend_from_slice(bytes);
        }
        let new = self.staged.as_ref().map_or(Mark { inode: 0, size: 0, hash: None }, |(_, new)| *new);
        to.extend_from_slice(&new.inode.to_le_bytes());
        to.extend_from_slice(&new.size.to_le_bytes());
        to.extend_from_slice(&new.hash.unwrap_or_default().to_le_bytes());
        let old = self.old.unwrap_or(OldMark { inode: 0, size: 0, modified: 0, changed: 0, hash: None });
        to.extend_from_slice(&old.inode.to_le_bytes());
        to.extend_from_slice(&old.size.to_le_bytes());
        for time in [old.modified, old.changed] {
            for part in [time.div_euclid(SECOND), time.rem_euclid(SECOND)] {
                to.extend_from_slice(&i64::try_from(part).unwrap_or_default().to_le_bytes());
            }
        }
        to.extend_from_slice(&old.hash.unwrap_or_default().to_le_bytes());
        Some(())
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let flags = from.take(1)?[0];
        if flags & !(REMOVE | INDEX | HAD_OLD | OLD_HASH | LINK) != 0 {
            return None;
        }
        let mut text = || {
            let length = usize::try_from(from.number::<2>()?).ok()?;
            path_from_bytes(from.take(length)?.to_vec())
        };
        let (dir, name, staged) = (text()?, text()?.into_os_string(), text()?.into_os_string());
        let new = (from.number::<8>()?, from.number::<8>()?, from.hash()?);
        let old = (from.number::<8>()?, from.number::<8>()?, from.time()?, from.time()?, from.hash()?);
        let is = |flag| flags & flag != 0;
        let staged = (!is(REMOVE))
            .then(|| (staged, Mark { inode: new.0, size: new.1, hash: (!is(LINK)).then_some(new.2) }));
        let (inode, size, modified, changed, hash) = old;
        let old = is(HAD_OLD).then(|| OldMark {
            inode,
            size,
            modified,
            changed,
            hash: is(OLD_HASH).then_some(hash),
        });
        let op = Self { dir, name, staged, is_index: is(INDEX), old };
        op.stays_below().then_some(op)
    }

    /// Whether all that it names is below the root, and the staged file is one of ours.
    fn stays_below(&self) -> bool {
        let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
        let is_name = |name: &OsString| {
            let mut parts = Path::new(name).components();
            parts.next().is_some_and(is_normal)
                && parts.next().is_none()
                && !name.as_encoded_bytes().contains(&0)
        };
        self.dir.components().all(is_normal)
            && is_name(&self.name)
            && self
                .staged
                .as_ref()
                .is_none_or(|(staged, _)| is_name(staged) && names::transaction(staged).is_some())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.take(N)?);
        Some(u64::from_le_bytes(bytes))
    }

    fn hash(&mut self) -> Option<u128> {
        Some(u128::from_le_bytes(self.take(16)?.try_into().ok()?))
    }

    fn time(&mut self) -> Option<i128> {
        let (seconds, nanos) = (self.number::<8>()?.cast_signed(), i128::from(self.number::<8>()?));
        (nanos < SECOND).then_some(i128::from(seconds) * SECOND + nanos)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
