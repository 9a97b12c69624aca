//! What the model's owner of a group does about its writes, and what it checks of them and of what calls are told.

use std::rc::Rc;
use std::time::Duration;

use super::super::{Does, End, Part, Shared, numbers};
use super::{Event, World, Write};
use crate::index::group::{Member, Verdict, Written};

impl World {
    pub(super) fn begin_write(&mut self, write: Write) {
        let mut expected = self.snapshot.0.clone();
        self.applied.iter().for_each(|call| call.model(&mut expected));
        assert_eq!(numbers(&write.index.borrow()), expected, "not what one call after the other makes");
        assert!(!self.applied.iter().any(Member::is_aborted), "an aborted call is written");
        assert_eq!(write.sole.is_some(), self.applied.len() == 1);
        if !write.index.borrow().contains(&Part::NoText) {
            return self.within(5, Event::WriteEnds(write));
        }
        self.refuse(Does::NoText);
        self.group().refused();
    }

    fn refuse(&mut self, does: Does) {
        match &*self.applied {
            [sole] => {
                assert_eq!(sole.does, does);
                sole.state.borrow_mut().ran = Some(self.now);
                self.failed_have_to_run_again();
                self.see("refused alone");
            }
            _ => {
                self.have_to_run_again(None);
                self.see("bisected");
            }
        }
        self.applied.clear();
    }

    pub(super) fn end_write(&mut self, write: Write) {
        let fails = self.faults && self.rng.u32(0..6) == 0;
        let is_late = fails && self.rng.bool();
        let written = if is_late || self.version != self.snapshot.1 {
            self.see(if is_late { "late" } else { "changed" });
            self.have_to_run_again(None);
            if is_late { Written::Late(End::TimedOut, self.now) } else { Written::Changed }
        } else if write.index.borrow().contains(&Part::NoJson) {
            self.refuse(Does::NoJson);
            Written::Invalid(End::Invalid)
        } else if write.sole.is_some_and(|call| call.is_aborted()) {
            self.failed_have_to_run_again();
            Written::Failed(End::Aborted)
        } else if fails {
            self.failed_have_to_run_again();
            Written::Failed(End::Lost)
        } else {
            self.version += 1;
            self.stored = numbers(&write.index.borrow());
            self.written = std::mem::take(&mut self.applied);
            self.see(if self.written.len() > 1 { "written together" } else { "written alone" });
            Written::Done(End::Stored)
        };
        let reopens = write.keep || !matches!(written, Written::Done(_) | Written::Failed(_));
        self.applied.clear();
        self.is_held = reopens && !(self.faults && self.rng.u32(0..6) == 0);
        if self.is_held {
            self.snapshot = (self.stored.clone(), self.version);
        }
        let (now, held) = (self.now, if self.is_held { Ok(()) } else { Err(End::Lost) });
        self.group().written(written, held, now);
    }

    pub(super) fn tell(&mut self, calls: &[Shared], verdict: Verdict<End>) {
        let end = match verdict {
            Verdict::Settled(end) => end,
            Verdict::Aborted => End::Aborted,
            Verdict::TimedOut { .. } => End::TimedOut,
            Verdict::Finished => End::Finished,
        };
        if end == End::Stored {
            let written = std::mem::take(&mut self.written);
            assert!(calls.iter().map(Rc::as_ptr).eq(written.iter().map(Rc::as_ptr)));
        } else {
            assert!(self.in_tick || !self.is_held, "a failure is told while the index is held");
        }
        assert!(end != End::Lost || self.faults);
        for call in calls {
            self.see(format!("{end:?}"));
            assert!(call.may_end(end, self.now), "{call:?} is told {end:?}");
            if end == End::Stored {
                assert!(self.last_stored < call.number, "the order is another");
                self.last_stored = call.number;
            }
            let mut state = call.state.borrow_mut();
            let waits_since = if end == End::TimedOut { call.deadline } else { state.ran };
            let has_waited = waits_since.is_some_and(|since| self.now > since + Duration::from_secs(1));
            assert!(!has_waited, "{call:?} has waited for long");
            assert_eq!(state.end.replace(end), None, "{call:?} is told twice");
        }
    }
}
