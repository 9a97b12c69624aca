//! An index that is an object in a store, where it can be read, and be replaced on the condition that it still is what was
//! read. How that is done is for the caller to know; here is what updates of it have in common with those of a file: the queue of
//! the calls, and the checks of the texts.

use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::data::Data;
use crate::error::{Error, ErrorKind, Result};
use crate::index::json;
use crate::index::options::UpdateOptions;
use crate::index::text::Text;
use crate::job::{After, Job, Step};
use crate::lock::holder::Timeout;
use crate::lock::wait::enqueue;
use crate::process::{CallId, Called, FollowerPlace, Key, Ticket};

/// From the call to its turn among the calls of this process for the same object.
pub struct QueueJob {
    place: FollowerPlace,
    timeout: Duration,
    cancel: Cancel,
}

impl QueueJob {
    /// For the call `id` with this ticket, which is willing to wait for `timeout`.
    pub fn new(id: CallId, key: Key, ticket: Ticket, timeout: Duration, cancel: Cancel) -> Self {
        Self { place: ticket.join_as_follower(key, Default::default(), id), timeout, cancel }
    }
}

impl Job for QueueJob {
    type Output = Called;

    fn run(mut self) -> Step<Self> {
        if let Err(error) = self.cancel.check() {
            return Step::Done(Err(error));
        }
        if let Some(called) = self.place.try_called() {
            return Step::Done(Ok(called));
        }
        Step::Wait(Box::pin(async move {
            let mut since = Instant::now();
            let called = enqueue(self.place, self.timeout, &self.cancel, &mut since).await;
            After::Done(
                called.and_then(|called| {
                    called.ok_or_else(|| Error::from(Timeout::of_object(since.elapsed())))
                }),
            )
        }))
    }
}

/// Checks what was read. `None`: there is no such object.
pub struct ReadJob {
    text: Option<Data>,
    options: UpdateOptions,
}

impl ReadJob {
    /// For a text as JavaScript has it.
    pub fn new(text: Option<Data>, options: UpdateOptions) -> Self {
        Self { text, options }
    }
}

impl Job for ReadJob {
    type Output = Option<Text>;

    fn run(self) -> Step<Self> {
        let check = |text: Data| Text::check(text.into_bytes()?, &self.options);
        Step::Done(self.text.map(check).transpose())
    }
}

/// From what the functions have made to the text that is to replace `old`.
pub struct PrepareJob {
    old: Option<Text>,
    next: Data,
    options: UpdateOptions,
    cancel: Cancel,
}

/// What is to be done with a text.
pub struct Prepared {
    /// What it is to replace.
    pub old: Option<Text>,
    /// The text, laid out; `None`: it says what the old one says.
    pub next: Result<Option<String>>,
}

impl PrepareJob {
    /// `next` is laid out here as far as `JSON.stringify` could not.
    pub fn new(old: Option<Text>, next: Data, options: UpdateOptions, cancel: Cancel) -> Self {
        Self { old, next, options, cancel }
    }
}

impl Job for PrepareJob {
    type Output = Prepared;

    fn run(self) -> Step<Self> {
        let Self { old, next, options, cancel } = self;
        let next = cancel.check().and_then(|()| prepare(old.as_ref(), next, &options));
        Step::Done(Ok(Prepared { old, next }))
    }
}

/// # Errors
/// [`ErrorKind::InvalidJson`], [`ErrorKind::TooLong`].
fn prepare(old: Option<&Text>, next: Data, options: &UpdateOptions) -> Result<Option<String>> {
    let invalid = |reason: &str| Error::from(ErrorKind::InvalidJson { reason: reason.to_owned() });
    let next = next.into_json()?;
    let layout = old.map(|old| old.layout.clone()).unwrap_or_default();
    let next = layout.apply(next, options.space.as_ref())?;
    json::check_length(&next, options.longest)?;
    options.format.check_made(&next)?;
    if old.is_some_and(|old| old.says(&next, options)) {
        return Ok(None);
    }
    String::from_utf8(next).map(Some).map_err(|_| invalid("invalid UTF-8"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn run<J: Job>(job: J) -> Result<J::Output> {
        let Step::Done(done) = job.run() else { panic!("it waits") };
        done
    }

    fn read(text: &str) -> Option<Text> {
        run(ReadJob::new(Some(Data::Bytes(text.into())), UpdateOptions::default())).unwrap()
    }

    fn prepared(old: Option<Text>, next: &str) -> Option<String> {
        let job = PrepareJob::new(old, Data::Bytes(next.into()), UpdateOptions::default(), Cancel::default());
        run(job).unwrap().next.unwrap()
    }

    #[test]
    fn a_text_keeps_its_layout_and_is_not_replaced_by_what_says_the_same() {
        let old = "\u{feff}{\r\n\t\"a\": 1\r\n}\r\n";
        assert_eq!(prepared(read(old), "{\n\t\"a\": 1\n}"), None);
        assert_eq!(prepared(read(old), "{\n\t\"a\": 2\n}").unwrap(), old.replace('1', "2"));
        assert_eq!(prepared(None, "{}").unwrap(), "{}");
    }

    #[test]
    fn a_text_is_checked_on_its_way_in_and_out() {
        let code = |text: &str| {
            let job = ReadJob::new(Some(Data::Bytes(text.into())), UpdateOptions::default());
            run(job).unwrap_err().code()
        };
        assert_eq!(code("{"), "ERR_ATOMIC_CORRUPT_INDEX");
        assert_eq!(code("[1161888007138312192]"), "ERR_ATOMIC_LOSSY_INDEX");
        let job =
            PrepareJob::new(None, Data::Bytes(b"x".into()), UpdateOptions::default(), Cancel::default());
        assert!(run(job).unwrap().next.unwrap_err().is_texts_fault());
    }
}
