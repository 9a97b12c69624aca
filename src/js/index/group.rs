//! Group commit: updates of one index that are read, changed and written as one.
//!
//! The call that has the turn and the lock leads. Its function gets the parsed index, then the function
//! of the next call in line, and so on, each what the one before it left; the result is written once,
//! and only then all of them hear of it. A function that fails may have changed the index by half, and may
//! have failed at what those before it left there that no JSON would be. So the index is parsed anew, those
//! before it run again and are written without it, and it runs once more, on what they wrote: whoever fails
//! then would have failed alone.

use std::cell::RefCell;
use std::rc::Rc;

use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::index::job::{Committed, Opened, Release};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::call::{Call, Order};
use crate::js::index::members::{Members, Turn, tell};
use crate::js::index::stringify;
use crate::js::task;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::{Result, Thrown};
use crate::js::value::{copy, data};

/// Those before an async function do not wait longer for it: they are written without it, and it runs
/// again, first of the rest. Those after it are asked as often whether they still want to wait.
const PATIENCE_MS: f64 = 100.0;

/// A text this large takes some 20 ms to parse, and then more to print.
const LARGE: usize = 8 << 20;

/// Updates that share the index at the moment.
pub struct Group(RefCell<Members>);

impl Group {
    /// Starts with `leader`, who has `opened` the index.
    pub fn lead(env: &Env, leader: &Rc<Call>, opened: Opened) {
        leader.has_index_after(opened.waited);
        let group = Rc::new(Self(RefCell::new(Members::new(leader, opened))));
        group.go_on(env);
    }

    /// The current turn.
    pub fn turn(&self) -> Turn {
        self.0.borrow().turn
    }

    /// Whether that turn is not over yet.
    pub fn is_at(&self, turn: Turn) -> bool {
        self.0.borrow().is_at(turn)
    }

    /// Whether other calls wait for the one that has the index.
    pub fn has_others(&self) -> bool {
        self.0.borrow().has_others()
    }

    /// The index for the function of `call`.
    pub fn index<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        {
            let mut members = self.0.borrow_mut();
            members.touched = true;
            if let Some(index) = &members.index {
                return index.get(env);
            }
        }
        let index = self.parse(env, call);
        self.0.borrow_mut().begin();
        index
    }

    fn parse<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        let text = {
            let members = self.0.borrow();
            let snapshot = members.opened.as_ref().and_then(|opened| opened.snapshot.as_ref());
            match (snapshot, &call.initial) {
                (Some(snapshot), _) => copy::string(env, &snapshot.text, snapshot.ascii)?,
                (None, Some(initial)) => copy::string_utf16(env, initial)?,
                (None, None) => return Ok(raw::undefined(env)),
            }
        };
        raw::invoke(env, &raw::global(env, c"JSON")?, c"parse", &[text])
    }

    /// Parses the index before `call` is told to change it, if that takes long. `false`: it is told at once.
    ///
    /// In between the event loop turns: it stands still for the parsing, and then for the printing, and not
    /// for both together.
    fn parse_ahead(self: &Rc<Self>, env: &Env, call: &Rc<Call>) -> bool {
        let is_large = {
            let members = self.0.borrow();
            let snapshot = members.opened.as_ref().and_then(|opened| opened.snapshot.as_ref());
            members.index.is_none() && snapshot.is_some_and(|snapshot| snapshot.text.len() >= LARGE)
        };
        if !is_large {
            return false;
        }
        // Should it fail, it does so again where the caller hears of it.
        let Ok(index) = self.parse(env, call).and_then(|index| Kept::new(env, &index)) else { return false };
        self.0.borrow_mut().index = Some(index);
        let (group, call) = (self.clone(), call.clone());
        task::later(env, move |env| {
            group.0.borrow_mut().begin();
            call.give(env, Order::Apply(group));
        });
        true
    }

    /// The turn is over, with `next` as the index.
    pub fn accept(self: &Rc<Self>, env: &Env, call: &Rc<Call>, next: Kept) {
        self.0.borrow_mut().accept(call, next);
        self.go_on(env);
    }

    /// The turn is over, with a failure.
    pub fn leave_out(self: &Rc<Self>, env: &Env, call: &Rc<Call>) {
        self.0.borrow_mut().leave_out(call);
        self.go_on(env);
    }

    /// The next turn, or the commit.
    fn go_on(self: &Rc<Self>, env: &Env) {
        let (timer, next) = {
            let mut members = self.0.borrow_mut();
            (members.timer.take(), members.next())
        };
        clear(env, timer);
        match next {
            Some(call) if self.parse_ahead(env, &call) => {}
            Some(call) => call.give(env, Order::Apply(self.clone())),
            None => self.commit(env),
        }
    }

    /// Bounds the current turn: others wait for it.
    pub fn set_timer(self: &Rc<Self>, env: &Env, turn: Turn) {
        if !self.has_others() {
            return;
        }
        // napi keeps the closure of a function that could not be made for ever, and with it the lock: in an
        // environment that is ending.
        let held = Rc::new(RefCell::new(Some(self.clone())));
        let group = held.clone();
        let late = env.create_function_from_closure::<(), (), _>("late", move |context| {
            if let Some(group) = group.take() {
                group.is_late(context.env, turn);
            }
            Ok(())
        });
        let Ok(late) = late else {
            held.take();
            return;
        };
        // SAFETY: a function of the current scope.
        let late = unsafe { Unknown::from_raw_unchecked(env.raw(), napi::JsValue::raw(&late)) };
        let timer = raw::to_js(env, PATIENCE_MS).and_then(|after| {
            let set = raw::global(env, c"setTimeout")?;
            Kept::new(env, &raw::call(env, &raw::undefined(env), &set, &[late, after])?)
        });
        self.0.borrow_mut().timer = timer.ok();
    }

    /// The function that has the turn, if it has it still, keeps others waiting.
    fn is_late(self: &Rc<Self>, env: &Env, turn: Turn) {
        if !self.is_at(turn) {
            return;
        }
        let (late, out) = {
            let mut members = self.0.borrow_mut();
            members.leave_out_late();
            (members.running(), members.take_out())
        };
        tell(env, out);
        if !self.put_off(env) {
            self.set_timer(env, turn);
        } else if let Some(late) = late {
            late.signal.interrupt(env);
        }
    }

    /// Writes those before the function that has the turn without it; it runs again, on what they wrote.
    /// `false`: there are none.
    pub fn put_off(self: &Rc<Self>, env: &Env) -> bool {
        let put_off = self.0.borrow_mut().put_off();
        if put_off {
            self.go_on(env);
        }
        put_off
    }

    /// Writes what the functions have made.
    fn commit(self: &Rc<Self>, env: &Env) {
        let (index, layout, space) = {
            let mut members = self.0.borrow_mut();
            if members.leave_out_aborted() {
                drop(members);
                return self.go_on(env);
            }
            let layout = members.opened.as_ref().map(|opened| opened.layout.clone()).unwrap_or_default();
            (members.index.take(), layout, members.space.clone())
        };
        let Some(index) = index else { return self.release(env) };
        let text =
            index.get(env).and_then(|index| stringify::stringify(env, &index, space.as_ref(), &layout));
        let data = text.and_then(|text| {
            self.0.borrow_mut().forget_base();
            let mut data = data::text(env, &text)?;
            if layout.newline {
                data.push(b'\n');
            }
            Ok(data)
        });
        match data {
            Ok(data) => self.write(env, data),
            Err(Thrown(error)) => {
                self.0.borrow_mut().refuse(Kept::new(env, &error).map_or(Order::Dismiss, Order::Reject));
                self.go_on(env);
            }
        }
    }

    fn write(self: &Rc<Self>, env: &Env, text: Data) {
        let job = self.0.borrow_mut().job(text);
        let Some(job) = job else { return };
        let group = self.clone();
        // Fails only in an environment that is ending.
        drop(task::run(env, job, move |env, outcome| group.written(env, outcome)));
    }

    fn written(self: &Rc<Self>, env: &Env, committed: std::result::Result<Committed, Error>) {
        let mut members = self.0.borrow_mut();
        let (receipt, opened) = match committed {
            Ok(Committed { receipt, opened }) => (receipt, opened),
            Err(failure) => (Err(failure), Ok(None)),
        };
        match receipt {
            Ok(Some(receipt)) => members.settle(env, Ok(receipt)),
            // A value that no JSON can have, seen only on the worker.
            Err(failure) if failure.is_invalid_json() && members.halve() => {}
            Err(failure) => members.settle(env, Err(failure)),
            // Somebody without the lock was faster. If that is so time and again, it is not for ever.
            Ok(None) => {
                members.begin_again();
                members.leave_out_late();
            }
        }
        match opened {
            Ok(Some(opened)) => {
                members.opened = Some(opened);
                drop(members);
                self.go_on(env);
            }
            lost => {
                let failure =
                    lost.err().unwrap_or_else(|| ErrorKind::Panic("an index was lost".into()).into());
                members.fail(env, failure);
                tell(env, members.take_out());
            }
        }
    }

    /// Nothing is to be written.
    fn release(&self, env: &Env) {
        let (opened, out) = {
            let mut members = self.0.borrow_mut();
            (members.opened.take(), members.take_out())
        };
        let Some(opened) = opened else { return };
        // Fails only in an environment that is ending.
        drop(task::run(env, Release(opened), move |env, _| tell(env, out)));
    }
}

fn clear(env: &Env, timer: Option<Kept>) {
    let Some(timer) = timer else { return };
    // Should it fail, the timer finds that its turn is over.
    drop(
        raw::global(env, c"clearTimeout")
            .and_then(|clear| raw::call(env, &raw::undefined(env), &clear, &[timer.get(env)?])),
    );
}
