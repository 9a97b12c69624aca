//! Fingerprints of the images that the choices of one epoch make. There are many times more choices than writes, so no image is made
//! for one: a page that a single write touches is hashed once, and one that several touch once for each order of those that are in.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::states::{Choice, apply};
use crate::disk::pages::{PAGE, Pages};
use crate::disk::recorder::Entry;

/// One epoch of a log, over the image that the earlier flushes left.
#[derive(Debug)]
pub struct Fingerprints<'a> {
    log: &'a [Entry],
    below: &'a Pages,
    start: usize,
    writes: Vec<Touched>,
    /// By a page and the writes that follow each other there.
    shared: HashMap<(u64, Vec<usize>), u64>,
}

/// What one write touches.
#[derive(Debug, Default)]
struct Touched {
    /// Its first page.
    first: u64,
    /// Pages that no other write touches, and their parts of a fingerprint.
    own: Vec<(u64, u64)>,
    /// The sum of these.
    sum: u64,
    shared: Vec<u64>,
}

impl<'a> Fingerprints<'a> {
    pub fn new(log: &'a [Entry], epoch: Range<usize>, below: &'a Pages) -> Self {
        let start = epoch.start;
        let images: Vec<Pages> = epoch
            .map(|at| {
                let mut image = Pages::default();
                apply(&log[at], None, &mut image, below);
                image
            })
            .collect();
        let mut touches: HashMap<u64, usize> = HashMap::new();
        for (number, _) in images.iter().flat_map(Pages::numbered) {
            *touches.entry(number).or_default() += 1;
        }
        let touched = |(at, image): (usize, &Pages)| {
            let mut touched = Touched::default();
            if let Entry::Write(position, _) = &log[start + at] {
                touched.first = position / PAGE as u64;
            }
            for (number, page) in image.numbered() {
                if touches[&number] > 1 {
                    touched.shared.push(number);
                } else {
                    touched.own.push((number, Pages::part(number, page, below)));
                }
            }
            touched.sum = sum(touched.own.iter().map(|(_, part)| *part));
            touched
        };
        let writes = images.iter().enumerate().map(touched).collect();
        Self { log, below, start, writes, shared: HashMap::new() }
    }

    /// What [`Pages::fingerprint`] says of the image that the choice makes.
    pub fn of(&mut self, Choice { written, torn }: &Choice) -> u64 {
        let mut total: u64 = 0;
        let mut shared: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (i, at) in written.iter().enumerate() {
            let write = &self.writes[at - self.start];
            let torn = torn.filter(|_| i + 1 == written.len());
            let is_in = |number: u64| torn.is_none_or(|torn| torn.has(number - write.first));
            total = total.wrapping_add(match torn {
                None => write.sum,
                Some(_) => sum(write.own.iter().filter(|(number, _)| is_in(*number)).map(|(_, part)| *part)),
            });
            for number in write.shared.iter().filter(|number| is_in(**number)) {
                shared.entry(*number).or_default().push(*at);
            }
        }
        let Self { log, below, shared: known, .. } = self;
        let parts = shared.into_iter().map(|(number, writes)| {
            *known.entry((number, writes)).or_insert_with_key(|(number, writes)| {
                let mut image = Pages::default();
                writes.iter().for_each(|at| apply(&only(&log[*at], *number), None, &mut image, below));
                image.fingerprint(below)
            })
        });
        total.wrapping_add(sum(parts))
    }
}

fn sum(parts: impl Iterator<Item = u64>) -> u64 {
    parts.fold(0, u64::wrapping_add)
}

/// What an entry does to one of its pages.
fn only(entry: &Entry, number: u64) -> Entry {
    let page = number * PAGE as u64..(number + 1) * PAGE as u64;
    let within = |at: u64, len: u64| at.max(page.start)..(at + len).min(page.end);
    match entry {
        Entry::Write(at, data) => {
            let part = within(*at, data.len() as u64);
            Entry::Write(part.start, data[(part.start - at) as usize..(part.end - at) as usize].into())
        }
        Entry::Zero(at, len) => {
            let part = within(*at, *len);
            Entry::Zero(part.start, part.end - part.start)
        }
        Entry::Flush | Entry::Message(_) => entry.clone(),
    }
}
