//! Calls for one file that were made right after each other, with no other call of the process in between: they are one
//! job, if that has not begun when they come. A thousand jobs would meet again in the queue of the file, in the same order.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::data::Data;
use crate::error::Result;
use crate::lines::options::{Lines, Part};
use crate::process::lock;
use crate::steps::{self, Steps};

/// No more is gathered than is written at once.
pub const MOST_BYTES: usize = 8 << 20;
pub const MOST_CALLS: usize = 10_000;

/// The lines of these calls.
#[derive(Clone, Debug)]
pub struct Bunch(Arc<Mutex<Option<Gathered>>>);

#[derive(Debug, Default)]
struct Gathered {
    calls: Vec<Given>,
    size: usize,
}

#[derive(Debug)]
struct Given {
    text: Data,
    count: usize,
    since: Instant,
    steps: Option<Arc<Steps>>,
}

impl Bunch {
    /// Of a call that is made now: `text` is `count` lines, each with its end.
    pub fn of(text: Data, count: usize) -> Self {
        let bunch = Self(Arc::new(Mutex::new(Some(Gathered::default()))));
        drop(bunch.add(text, count));
        bunch
    }

    /// Adds a call: the one for which this thread works.
    ///
    /// # Errors
    /// The text, if the job has begun or there is no room.
    pub fn add(&self, text: Data, count: usize) -> std::result::Result<(), Data> {
        let mut gathered = lock(&self.0);
        match &mut *gathered {
            Some(open)
                if open.calls.is_empty()
                    || open.size + text.size() <= MOST_BYTES && open.calls.len() < MOST_CALLS =>
            {
                open.size += text.size();
                open.calls.push(Given { text, count, since: Instant::now(), steps: steps::current() });
                Ok(())
            }
            _ => Err(text),
        }
    }

    /// All of them, when the job begins.
    ///
    /// # Errors
    /// Those of [`Data::into_bytes`].
    pub(super) fn close(&self) -> Result<Lines> {
        let calls = lock(&self.0).take().unwrap_or_default().calls;
        let mut lines = Lines::default();
        for Given { text, count, since, steps } in calls {
            let text = text.into_bytes()?;
            lines.parts.push(Part { bytes: text.len() as u64, lines: count, since, steps });
            if lines.text.is_empty() {
                lines.text = text;
            } else {
                lines.text.extend_from_slice(&text);
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn calls_are_gathered_until_the_job_begins() {
        let bunch = Bunch::of(Data::Bytes(b"a\n".to_vec()), 1);
        assert!(bunch.add(Data::Bytes(b"b\nc\n".to_vec()), 2).is_ok());
        let lines = bunch.close().unwrap();
        assert_eq!(lines.text, b"a\nb\nc\n");
        let parts: Vec<_> = lines.parts.iter().map(|part| (part.bytes, part.lines)).collect();
        assert_eq!(parts, [(2, 1), (4, 2)]);
        assert!(bunch.add(Data::Bytes(b"d\n".to_vec()), 1).is_err());
    }

    #[test]
    fn a_call_of_any_size_is_one_but_no_other_is_added_to_a_large_one() {
        let bunch = Bunch::of(Data::Bytes(vec![b'x'; MOST_BYTES + 1]), 1);
        assert!(bunch.add(Data::Bytes(b"b\n".to_vec()), 1).is_err());
        assert_eq!(bunch.close().unwrap().parts.len(), 1);
    }
}
