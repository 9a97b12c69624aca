//! Memory for large copies, kept for a while for the next one.
//!
//! The system clears every page before it hands it out, and a virtual machine has to get it from its host first:
//! copying 32 MiB took 3 to 20 ms into fresh memory, and 1.3 ms into memory that was used before.
//!
//! It pays on every file system alike, because it saves page faults and not work of the disk. Without it, replacing
//! files took 1.3 to 1.5 times the CPU time for 1 MiB, 16 at once (230 faults a file instead of none), 1.2 to 1.5 times
//! for 32 MiB one at a time, and the same within noise for 32 MiB, 16 at once, which is more than is kept. It changes
//! nothing for 1 MiB one at a time: the allocator keeps one such block itself. (Linux 6.18 in a virtual machine: ext4
//! mounted `discard` on its disk, ext4 with a journal and xfs in images on tmpfs. Not measured on bare metal.)

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::process::thread::lock;
use crate::sys;

/// The allocator itself keeps smaller blocks.
const LARGE: usize = 1 << 20;
/// How many bytes are kept in all.
const MOST: usize = 64 << 20;
/// A block that was not used for this long is given back to the system, after twice that at the latest.
const IDLE: Duration = Duration::from_secs(1);

static KEPT: Mutex<Kept> = Mutex::new(Kept { blocks: Vec::new(), seen: 0, watched: false });

struct Kept {
    /// Empty vectors; the oldest first.
    blocks: Vec<Vec<u8>>,
    /// How many of them were there at the last look.
    seen: usize,
    /// A thread looks at them regularly.
    watched: bool,
}

/// An empty vector with capacity for `length` elements, which are to be filled in at once. `None`: there is no memory for them, which Rust's own
/// containers end the process for.
///
/// A large one asks for huge pages: of the time to copy 32 MiB into fresh memory, three fifths are
/// page faults, one for each 4 KiB.
pub fn try_room<T>(length: usize) -> Option<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(length).ok()?;
    sys::prefer_huge_pages(room.spare_capacity_mut());
    Some(room)
}

/// As [`try_room`], in memory that was [kept](keep) if there is some.
pub fn try_room_for_bytes(length: usize) -> Option<Vec<u8>> {
    let kept = if length < LARGE { None } else { kept().take(length) };
    kept.or_else(|| try_room(length))
}

/// For all of a file of so many bytes, and one more, so that its end is found without another allocation.
///
/// # Errors
/// `ENOMEM`.
pub fn room_to_read(size: u64) -> Result<Vec<u8>> {
    let length = usize::try_from(size).ok().and_then(|size| size.checked_add(1));
    length.and_then(try_room).ok_or_else(Error::no_memory)
}

/// # Errors
/// `ENOMEM`.
pub fn copy_text(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::no_memory())?;
    copy.push_str(text);
    Ok(copy)
}

/// Takes over the memory of bytes that are not needed any more.
pub fn keep(bytes: Vec<u8>) {
    if !(LARGE..=MOST).contains(&bytes.capacity()) {
        return;
    }
    let (dropped, begins) = {
        let mut kept = kept();
        (kept.add(bytes), !std::mem::replace(&mut kept.watched, true))
    };
    drop(dropped);
    // Without a thread it must be given back at once: `watch` may not sleep on the caller's.
    if begins && std::thread::Builder::new().name("atomic-memory".to_owned()).spawn(watch).is_err() {
        while give_back() {}
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    lock(&KEPT)
}

fn watch() {
    loop {
        std::thread::sleep(IDLE);
        if !give_back() {
            return;
        }
    }
}

/// Gives back the blocks that were there at the last look. `false`: none is left.
fn give_back() -> bool {
    let (idle, more) = {
        let mut kept = kept();
        let idle = kept.idle();
        kept.watched = !kept.blocks.is_empty();
        (idle, kept.watched)
    };
    // Outside the lock: freeing takes long, and JavaScript's thread may want the lock.
    drop(idle);
    more
}

impl Kept {
    /// The smallest that is large enough, and not twice as large: a call that keeps it for long would waste
    /// the rest.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let fits = |(_, size): &(usize, usize)| (length..length * 2).contains(size);
        let sizes = self.blocks.iter().map(Vec::capacity).enumerate();
        let (at, _) = sizes.filter(fits).min_by_key(|(_, size)| *size)?;
        self.seen -= usize::from(at < self.seen);
        Some(self.blocks.remove(at))
    }

    /// Returns the blocks for which there is no space any more.
    fn add(&mut self, mut block: Vec<u8>) -> Vec<Vec<u8>> {
        block.clear();
        self.blocks.push(block);
        let mut size: usize = self.blocks.iter().map(Vec::capacity).sum();
        let too_old = self.blocks.iter().take_while(|block| {
            let over = size > MOST;
            size -= block.capacity();
            over
        });
        let count = too_old.count();
        self.seen = self.seen.saturating_sub(count);
        self.blocks.drain(..count).collect()
    }

    /// Those that were there at the last call, and have not been used since.
    fn idle(&mut self) -> Vec<Vec<u8>> {
        let idle = self.blocks.drain(..self.seen).collect();
        self.seen = self.blocks.len();
        idle
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn empty() -> Kept {
        Kept { blocks: Vec::new(), seen: 0, watched: false }
    }

    fn sizes(kept: &Kept) -> Vec<usize> {
        kept.blocks.iter().map(|block| block.capacity() >> 20).collect()
    }

    fn block(megabytes: usize) -> Vec<u8> {
        Vec::with_capacity(megabytes << 20)
    }

    #[test]
    fn what_fits_best_is_used_again_and_what_is_far_too_large_is_not() {
        let mut kept = empty();
        for megabytes in [9, 5, 3] {
            assert!(kept.add(block(megabytes)).is_empty());
        }
        assert!(kept.take(10 << 20).is_none(), "too small");
        assert!(kept.take(1 << 20).is_none(), "too large");
        let mut taken = kept.take(4 << 20).unwrap();
        assert_eq!((taken.capacity() >> 20, taken.len()), (5, 0));
        taken.extend_from_slice(b"someone's");
        kept.add(taken);
        assert!(kept.take(5 << 20).unwrap().is_empty());
        assert_eq!(sizes(&kept), [9, 3]);
    }

    #[test]
    fn no_more_is_kept_than_there_is_space_for_and_the_oldest_goes_first() {
        let mut kept = empty();
        for megabytes in [20, 30, 10] {
            assert!(kept.add(block(megabytes)).is_empty());
        }
        assert_eq!(kept.add(block(40)).len(), 2);
        assert_eq!(sizes(&kept), [10, 40]);
    }

    #[test]
    fn blocks_not_used_for_a_while_are_given_back_though_the_rest_is_used() {
        let mut kept = empty();
        for megabytes in [9, 2, 5] {
            kept.add(block(megabytes));
        }
        assert!(kept.idle().is_empty(), "all are new");
        let used = kept.take(2 << 20).unwrap();
        kept.add(used);
        assert_eq!(kept.idle().len(), 2);
        assert_eq!(sizes(&kept), [2]);
        assert_eq!(kept.idle().len(), 1);
    }

    #[test]
    fn memory_is_used_again_and_is_gone_when_all_is_quiet() {
        let first = try_room_for_bytes(7 << 20).unwrap();
        let place = first.as_ptr();
        keep(first);
        assert!(kept().watched);
        let again = try_room_for_bytes(6 << 20).unwrap();
        assert_eq!((again.as_ptr(), again.capacity() >> 20), (place, 7));
        keep(again);
        let patience = std::time::Instant::now();
        while kept().watched {
            assert!(patience.elapsed() < 20 * IDLE, "it is never given back");
            std::thread::sleep(IDLE / 10);
        }
        assert!(kept().blocks.is_empty());
    }
}
