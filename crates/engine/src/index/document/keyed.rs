//! Which items of an array have a key: what finds records without looking at all of them.
//!
//! What is in it may be out of date, and two keys may have one hash: an item is asked for its key. So an item whose key changes is added once more, and
//! nothing has to be taken out. Many items may have one key (a status), so each is linked to the one that was learnt before it.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::index::options::Numbers;

/// In the place of an item that is gone, and at the end of a chain.
const NONE: u32 = u32::MAX;
/// So many links may be out of date, however few records there are.
const OUTDATED: usize = 64;
/// One part in so many is left free, so that a patch waits for no copy of all.
const SLACK: usize = 16;

/// From the keys of records to the items that have them.
#[derive(Debug)]
pub struct Keyed {
    /// The name of the member that is the key.
    pub member: String,
    /// How their numbers are taken.
    pub numbers: Numbers,
    /// What hashes are made with: nobody is to know which keys have the same.
    pub seed: u64,
    heads: HashTable<Head>,
    links: Vec<Link>,
}

/// The items whose keys have a hash.
#[derive(Clone, Copy, Debug)]
struct Head {
    hash: u32,
    /// The one that was learnt last.
    link: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    item: u32,
    /// The one that was learnt before it.
    before: u32,
}

impl Head {
    /// A table goes by the first and by the last bits.
    fn spread(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

impl Keyed {
    /// For so many items, none of which is known yet.
    pub fn new(member: &str, numbers: Numbers, count: usize) -> Self {
        let room = count + count / SLACK;
        Self {
            member: member.to_owned(),
            numbers,
            seed: fastrand::u64(..),
            heads: HashTable::with_capacity(room),
            links: Vec::with_capacity(room),
        }
    }

    /// The item has a key with this hash.
    pub fn learn(&mut self, hash: u64, item: usize) {
        let link = self.links.len() as u32;
        let head = Head { hash: (hash >> 32) as u32, link };
        let before = match self.heads.entry(head.spread(), |other| other.hash == head.hash, Head::spread) {
            Entry::Occupied(mut known) => {
                let before = std::mem::replace(&mut known.get_mut().link, link);
                if self.links[before as usize].item as usize == item {
                    known.get_mut().link = before;
                    return;
                }
                before
            }
            Entry::Vacant(place) => {
                place.insert(head);
                NONE
            }
        };
        self.links.push(Link { item: item as u32, before });
    }

    /// The items whose keys may have this hash, in no order, and maybe more than once.
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = usize> {
        let head = Head { hash: (hash >> 32) as u32, link: NONE };
        let mut next =
            self.heads.find(head.spread(), |other| other.hash == head.hash).map_or(NONE, |head| head.link);
        let chain = std::iter::from_fn(move || {
            let link = self.links.get(next as usize)?;
            next = link.before;
            Some(link.item)
        });
        chain.filter(|item| *item != NONE).map(|item| item as usize)
    }

    /// Whether more of it is out of date than not: it is made anew when it is needed, among so many items.
    pub fn is_outdated(&self, count: usize) -> bool {
        self.links.len() > 2 * count + OUTDATED
    }

    /// Items have other positions now; `None`: one is gone.
    pub fn moved(&mut self, to: impl Fn(usize) -> Option<usize>) {
        for link in self.links.iter_mut().filter(|link| link.item != NONE) {
            link.item = to(link.item as usize).map_or(NONE, |item| item as u32);
        }
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + self.member.len()
            + self.heads.allocation_size()
            + self.links.capacity() * size_of::<Link>()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.links.len()
    }
}
