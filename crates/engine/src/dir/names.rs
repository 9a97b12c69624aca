//! The names that this library gives to files of its own, all hidden, all beside the file they serve:
//!
//! - `.NAME.XXXXXXXXXXXX.atomic-tmp` (twelve random letters and digits): a file on its way to NAME;
//! - `.NAME.XXXXXXXXXXXX.atomic-old`: a directory that was NAME, on its way to where it is to be kept; never
//!   swept, because it may be the only copy;
//! - `.XXXXXXXXXXXX.XXXXXXXXXXXX.atomic-tmp` (twice the same): the guard of the directory with these characters in its
//!   temp name, which is not swept as long as the guard is locked;
//! - `.NAME.RRRRPPPPXXXX.atomic-txn`: a file that a transaction has staged; R are the characters of its root, P those of the
//!   process that made it;
//! - `.NAME.RRRRRRRRHHHH.atomic-txn`: a file whose name a transaction is about to remove, until it is known which file that is; H is a hash of NAME
//!   and of the transaction's number;
//! - `.NAME.XXXXXXXXXXXX.atomic-lost`: what a transaction that had to be recovered would have written to NAME, which
//!   somebody else had changed by then; never swept;
//! - `.NAME.lock`: the sidecar lock of the index NAME.
//!
//! NAME is cut where the whole would not fit into 255 bytes (Windows: UTF-16 units); a lock's name then carries a
//! hash of it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use crate::sys;

const TEMP_SUFFIX: &str = ".atomic-tmp";
const OLD_SUFFIX: &str = ".atomic-old";
const TRANSACTION_SUFFIX: &str = ".atomic-txn";
const LOST_SUFFIX: &str = ".atomic-lost";
const LOCK_SUFFIX: &str = ".lock";
const RANDOM: usize = 12;
/// How long a name can be, in the unit in which [`sys::cut`] counts.
pub const NAME_MAX: usize = 255;

/// Calls `make` with unpredictable temp names for `name` until one is free.
///
/// # Errors
/// Those of `make`, other than that the name is taken.
pub fn with_temp_name<T>(
    name: &OsStr,
    make: impl FnMut(&OsStr) -> io::Result<T>,
) -> io::Result<(OsString, T)> {
    with_name(name, "", TEMP_SUFFIX, make)
}

/// As [`with_temp_name`], for a directory that is not to be swept.
///
/// # Errors
/// As [`with_temp_name`].
pub fn with_old_name<T>(
    name: &OsStr,
    make: impl FnMut(&OsStr) -> io::Result<T>,
) -> io::Result<(OsString, T)> {
    with_name(name, "", OLD_SUFFIX, make)
}

/// As [`with_temp_name`], for a file that a transaction stages. `tags`: of its root, and of this process.
///
/// # Errors
/// As [`with_temp_name`].
pub fn with_transaction_name<T>(
    name: &OsStr,
    tags: &str,
    make: impl FnMut(&OsStr) -> io::Result<T>,
) -> io::Result<(OsString, T)> {
    with_name(name, tags, TRANSACTION_SUFFIX, make)
}

/// As [`with_temp_name`], for a file that a transaction could not give its name.
///
/// # Errors
/// As [`with_temp_name`].
pub fn with_lost_name<T>(
    name: &OsStr,
    make: impl FnMut(&OsStr) -> io::Result<T>,
) -> io::Result<(OsString, T)> {
    with_name(name, "", LOST_SUFFIX, make)
}

/// The tags of a file that a transaction has staged: of its root, and of the process.
pub fn transaction(name: &OsStr) -> Option<(&str, &str)> {
    random_part(name, TRANSACTION_SUFFIX).map(|random| (&random[..4], &random[4..8]))
}

/// The name that a file has while the transaction of that `number` takes `name` away. It follows from these, so that a recovery finds the file, and none that an
/// earlier transaction has left. Instead of the characters of a process it has those of the `root` once more.
pub fn away(name: &OsStr, root: &str, number: u64) -> OsString {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = fnv1a(&[name.as_encoded_bytes(), &number.to_le_bytes()].concat());
    let mut away = OsString::from(".");
    away.push(sys::cut(name, NAME_MAX - ".".len() - ".".len() - RANDOM - TRANSACTION_SUFFIX.len()));
    away.push(".");
    away.push(root.repeat(2));
    for _ in 2 * root.len()..RANDOM {
        away.push(char::from(LETTERS[(hash % 62) as usize]).to_string());
        hash /= 62;
    }
    away.push(TRANSACTION_SUFFIX);
    away
}

/// Whether a name is one of [`away`].
pub fn is_away(name: &OsStr) -> bool {
    transaction(name).is_some_and(|(root, process)| root == process)
}

/// The name that [`with_temp_name`] would have made for `name` when it made `temp`.
pub fn temp_name_like(temp: &OsStr, name: &OsStr) -> OsString {
    let temp = temp.to_string_lossy();
    let end = temp.len() - (".".len() + RANDOM + TEMP_SUFFIX.len()).min(temp.len());
    let mut like = OsString::from(".");
    like.push(sys::cut(name, NAME_MAX - ".".len() - (temp.len() - end)));
    like.push(temp.get(end..).unwrap_or_default());
    like
}

fn with_name<T>(
    name: &OsStr,
    tags: &str,
    suffix: &str,
    mut make: impl FnMut(&OsStr) -> io::Result<T>,
) -> io::Result<(OsString, T)> {
    let mut prefix = OsString::from(".");
    prefix.push(sys::cut(name, NAME_MAX - ".".len() - ".".len() - RANDOM - suffix.len()));
    prefix.push(".");
    prefix.push(tags);
    let (made, path) = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(suffix)
        .rand_bytes(RANDOM - tags.len())
        // It would unlink by path; the name is relative to an open directory.
        .disable_cleanup(true)
        .make_in("/", |path| make(file_name(path)))?
        .into_parts();
    Ok((file_name(&path).to_owned(), made))
}

fn file_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// Whether a name is one of ours for a file that is not finished.
pub fn is_temp(name: &OsStr) -> bool {
    random_part(name, TEMP_SUFFIX).is_some()
}

/// What a name is for that only this library gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// A file on its way, a tree that is being built, or a guard.
    Temp,
    /// A directory that was replaced.
    Old,
    /// A file that a transaction has staged.
    Staged,
    /// What a transaction could not give its name.
    Lost,
    /// A sidecar lock, if it says so: other programs have files of such names.
    Lock,
}

/// What a name is for, if it is one of ours.
pub fn ours(name: &OsStr) -> Option<Ours> {
    let suffixes = [
        (TEMP_SUFFIX, Ours::Temp),
        (OLD_SUFFIX, Ours::Old),
        (TRANSACTION_SUFFIX, Ours::Staged),
        (LOST_SUFFIX, Ours::Lost),
    ];
    let found = suffixes.into_iter().find(|(suffix, _)| random_part(name, suffix).is_some());
    let is_lock = || {
        let bytes = name.as_encoded_bytes();
        bytes.starts_with(b".")
            && bytes.ends_with(LOCK_SUFFIX.as_bytes())
            && bytes.len() > ".".len() + LOCK_SUFFIX.len()
    };
    found.map(|(_, ours)| ours).or_else(|| is_lock().then_some(Ours::Lock))
}

/// Whether what has this name is taken for what a killed process has left, and removed.
pub fn is_swept(name: &OsStr) -> bool {
    random_part(name, TEMP_SUFFIX).or(random_part(name, TRANSACTION_SUFFIX)).is_some()
}

/// The guard of the directory with this temp name.
pub fn guard(temp: &OsStr) -> OsString {
    let random = random_part(temp, TEMP_SUFFIX).unwrap_or_default();
    format!(".{random}.{random}{TEMP_SUFFIX}").into()
}

/// The random characters of a name with this suffix.
fn random_part<'name>(name: &'name OsStr, suffix: &str) -> Option<&'name str> {
    let (rest, random) = name
        .as_encoded_bytes()
        .strip_prefix(b".")?
        .strip_suffix(suffix.as_bytes())?
        .split_last_chunk::<RANDOM>()?;
    let ours = rest.ends_with(b".") && random.iter().all(u8::is_ascii_alphanumeric);
    ours.then(|| std::str::from_utf8(random).ok()).flatten()
}

/// The sidecar lock of the index `name`.
pub fn lock(name: &OsStr) -> OsString {
    let mut lock = OsString::from(".");
    if name.len() + ".".len() + LOCK_SUFFIX.len() <= NAME_MAX {
        lock.push(name);
    } else {
        // Of all names that a case-insensitive directory takes for this one, as far as they are ASCII.
        let hash = format!(".{:016x}", fnv1a(name.to_ascii_lowercase().as_encoded_bytes()));
        lock.push(sys::cut(name, NAME_MAX - ".".len() - hash.len() - LOCK_SUFFIX.len()));
        lock.push(hash);
    }
    lock.push(LOCK_SUFFIX);
    lock
}

/// FNV-1a. Every version of this library must come to the same lock, so no hasher that may change.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn temp_names_fit_and_are_recognised() {
        for name in ["a", "index.json", &"x".repeat(255), &"ü".repeat(127)] {
            let (temp, ()) = with_temp_name(name.as_ref(), |_| Ok(())).unwrap();
            assert!(sys::cut(&temp, NAME_MAX) == temp && is_temp(&temp), "{temp:?}");
            assert!(temp.to_str().is_some(), "cut between two characters: {temp:?}");
        }
    }

    #[test]
    fn the_temp_name_of_another_spelling_differs_in_the_spelling_only() {
        for (name, other) in [("a", "A"), ("Müll.json", "mÜll.json"), ("x".repeat(255).as_str(), "y")] {
            let (temp, ()) = with_temp_name(name.as_ref(), |_| Ok(())).unwrap();
            assert_eq!(temp_name_like(&temp, name.as_ref()), temp);
            let like = temp_name_like(&temp, other.as_ref());
            assert!(is_temp(&like) && like.to_str().unwrap().starts_with(&format!(".{other}.")), "{like:?}");
        }
    }

    #[test]
    fn a_taken_name_is_not_used() {
        let mut tried = Vec::new();
        let (name, ()) = with_temp_name("n".as_ref(), |name| {
            tried.push(name.to_owned());
            if tried.len() < 3 { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(()) }
        })
        .unwrap();
        assert_eq!(tried[2], name);
        assert_ne!(tried[0], tried[1]);
    }

    #[test]
    fn files_of_other_programs_are_not_taken_for_ours() {
        for name in [
            "index.json",
            ".atomic-tmp",
            ".x.atomic-tmp",
            ".x.abc.atomic-tmp",
            "x.abcdefghijkl.atomic-tmp",
            ".abcdefghijkl.atomic-tmp",
            ".x.abcdefghijk-.atomic-tmp",
        ] {
            assert!(!is_temp(name.as_ref()), "{name}");
        }
        assert!(is_temp(".x.abcdefghijkl.atomic-tmp".as_ref()));
    }

    #[test]
    fn what_is_taken_away_has_a_name_that_follows_from_its_own() {
        let (a, b) = ("x".repeat(255), format!("{}y", "x".repeat(254)));
        for name in ["from", "ü", &a] {
            let name = away(name.as_ref(), "Root", 7);
            assert!(is_away(&name) && sys::cut(&name, NAME_MAX) == name, "{name:?}");
            assert_eq!(transaction(&name), Some(("Root", "Root")));
        }
        // By the rule in docs/transactions.md, worked out by another program.
        assert_eq!(away("from".as_ref(), "Root", 7), ".from.RootRootatlM.atomic-txn");
        assert_eq!(away("index.json".as_ref(), "Root", 1000), ".index.json.RootRootMB7V.atomic-txn");
        assert_ne!(away("from".as_ref(), "Root", 7), away("from".as_ref(), "Root", 8));
        assert_ne!(away(a.as_ref(), "Root", 7), away(b.as_ref(), "Root", 7), "both are cut");
        let (staged, ()) = with_transaction_name("from".as_ref(), "RootProc", |_| Ok(())).unwrap();
        assert!(!is_away(&staged));
    }

    #[test]
    fn each_name_of_ours_says_what_it_is_for() {
        for (name, is) in [
            (".x.abcdefghijkl.atomic-tmp", Some(Ours::Temp)),
            (".x.abcdefghijkl.atomic-old", Some(Ours::Old)),
            (".x.abcdefghijkl.atomic-txn", Some(Ours::Staged)),
            (".x.abcdefghijkl.atomic-lost", Some(Ours::Lost)),
            (".index.json.lock", Some(Ours::Lock)),
            (".lock", None),
            ("index.json.lock", None),
            ("index.json.torn-1", None),
        ] {
            assert_eq!(ours(name.as_ref()), is, "{name}");
        }
    }

    #[test]
    fn a_guard_has_a_temp_name_that_follows_from_its_directorys() {
        let (temp, ()) = with_temp_name("site".as_ref(), |_| Ok(())).unwrap();
        let guarding = guard(&temp);
        assert!(is_temp(&guarding) && guarding != temp);
        assert_eq!(guard(".site.abcdefghijkl.atomic-tmp".as_ref()), ".abcdefghijkl.abcdefghijkl.atomic-tmp");
    }

    #[test]
    fn long_names_have_locks_of_their_own() {
        let (a, b) = ("x".repeat(254), format!("{}y", "x".repeat(253)));
        assert_eq!(lock("index.json".as_ref()), ".index.json.lock");
        assert!(lock(a.as_ref()).len() <= NAME_MAX);
        assert_ne!(lock(a.as_ref()), lock(b.as_ref()));
        let upper = lock(a.to_ascii_uppercase().as_ref()).to_ascii_lowercase();
        assert_eq!(upper, lock(a.as_ref()), "one name where case does not count");
    }
}
