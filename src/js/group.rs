//! Group commit: updates of one index that are read, changed and written as one.
//!
//! The call that has the turn and the lock leads. Its function gets the parsed index, then the function
//! of the next call in line, and so on, each what the one before it left; the result is written once,
//! and only then all of them hear of it. A function that fails is left out: the index that it may have
//! half changed is parsed anew, and those that had succeeded run again.

use std::cell::RefCell;
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::call::{Call, Order, Outcome};
use super::data::Data;
use super::error::Failure;
use super::index_job::{Committed, Opened, Release};
use super::members::{Members, Turn};
use super::value::{self, Kept, Result, Thrown};
use super::{memory, stringify, task};
use crate::engine::error::ErrorKind;

/// Those before an async function do not wait longer for it: they are written without it, and it runs
/// again, first of the rest.
const PATIENCE_MS: f64 = 100.0;

/// Updates that share the index at the moment.
pub struct Group(RefCell<Members>);

impl Group {
    /// Starts with `leader`, who has `opened` the index.
    pub fn lead(env: &Env, leader: Rc<Call>, opened: Opened) {
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
        let state = self.0.borrow();
        state.turn == turn && state.running.is_some()
    }

    /// Whether other calls wait for the one that has the index.
    pub fn has_others(&self) -> bool {
        let state = self.0.borrow();
        !state.applied.is_empty() || !state.out.is_empty()
    }

    /// The index for the function of `call`.
    pub fn index<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        self.0.borrow_mut().touched = true;
        let state = self.0.borrow();
        if let Some(index) = &state.index {
            return index.get(env);
        }
        let text = match (state.opened.as_ref().and_then(|opened| opened.snapshot.as_ref()), &call.initial) {
            (Some(snapshot), _) => memory::string(env, &snapshot.text, snapshot.ascii)?,
            (None, Some(initial)) => memory::string_utf16(env, initial)?,
            (None, None) => return Ok(value::undefined(env)),
        };
        value::invoke(env, &value::global(env, c"JSON")?, c"parse", &[text])
    }

    /// The turn is over, with `next` as the index.
    pub fn accept(self: &Rc<Self>, env: &Env, call: Rc<Call>, next: Kept) {
        let timer = {
            let mut state = self.0.borrow_mut();
            state.index = Some(next);
            state.applied.push(call);
            state.timer.take()
        };
        clear(env, timer);
        self.go_on(env);
    }

    /// The turn is over, with a failure.
    pub fn leave_out(self: &Rc<Self>, env: &Env, call: Rc<Call>) {
        let timer = {
            let mut state = self.0.borrow_mut();
            if state.touched {
                state.begin_again();
            }
            state.out.push((call, Order::Dismiss));
            state.timer.take()
        };
        clear(env, timer);
        self.go_on(env);
    }

    /// The next turn, or the commit.
    fn go_on(self: &Rc<Self>, env: &Env) {
        let next = self.0.borrow_mut().next();
        match next {
            Some(call) => call.give(env, Order::Apply(self.clone())),
            None => self.commit(env),
        }
    }

    /// Bounds the current turn: others wait for it.
    pub fn set_timer(self: &Rc<Self>, env: &Env, turn: Turn) {
        if !self.has_others() {
            return;
        }
        let group = self.clone();
        let late = env.create_function_from_closure::<(), (), _>("late", move |context| {
            group.put_off(context.env, turn);
            Ok(())
        });
        let Ok(late) = late else { return };
        // SAFETY: a function of the current scope.
        let late = unsafe { Unknown::from_raw_unchecked(env.raw(), napi::JsValue::raw(&late)) };
        let timer = value::to_js(env, PATIENCE_MS).and_then(|after| {
            Kept::new(
                env,
                &value::call(
                    env,
                    &value::undefined(env),
                    &value::global(env, c"setTimeout")?,
                    &[late, after],
                )?,
            )
        });
        self.0.borrow_mut().timer = timer.ok();
    }

    /// Goes on without the function that has the turn, if it has it still.
    fn put_off(self: &Rc<Self>, env: &Env, turn: Turn) {
        if !self.is_at(turn) {
            return;
        }
        let (late, out) = {
            let mut state = self.0.borrow_mut();
            let out = std::mem::take(&mut state.out);
            let late = if state.applied.is_empty() { None } else { state.running.take() };
            if let Some(late) = &late {
                state.limit = state.applied.len();
                state.to_run.push_front(late.clone());
                state.begin_again();
            }
            (late, out)
        };
        dismiss(env, out);
        if let Some(late) = late {
            late.signal.interrupt(env);
            self.go_on(env);
        }
    }

    /// Writes what the functions have made.
    fn commit(self: &Rc<Self>, env: &Env) {
        let (index, layout, space) = {
            let mut state = self.0.borrow_mut();
            if state.leave_out_aborted() {
                drop(state);
                return self.go_on(env);
            }
            let layout = state.opened.as_ref().map(|opened| opened.layout.clone()).unwrap_or_default();
            (state.index.take(), layout, state.leader.space.clone())
        };
        let Some(index) = index else { return self.release(env) };
        let text =
            index.get(env).and_then(|index| stringify::stringify(env, &index, space.as_ref(), &layout));
        let data = text.and_then(|text| {
            // Of a large index one text at a time is enough.
            self.0.borrow_mut().forget_base();
            let mut data = Data::text(env, &text)?;
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
        drop(task::start(env, job, move |env, outcome| {
            group.written(env, outcome);
            Ok(value::undefined(env))
        }));
    }

    fn written(self: &Rc<Self>, env: &Env, committed: std::result::Result<Committed, Failure>) {
        let mut state = self.0.borrow_mut();
        let (receipt, opened) = match committed {
            Ok(Committed { receipt, opened }) => (receipt, opened),
            Err(failure) => (Err(failure), Ok(None)),
        };
        let done = match receipt {
            Ok(Some(receipt)) => Some(Ok((receipt, state.applied.len()))),
            Err(failure) => Some(Err(failure)),
            Ok(None) => None,
        };
        match done {
            Some(outcome) => {
                settle(env, state.take_applied(), Rc::new(outcome));
            }
            None => {
                state.begin_again();
                state.leave_out_late();
            }
        }
        match opened {
            Ok(Some(opened)) => {
                state.opened = Some(opened);
                drop(state);
                self.go_on(env);
            }
            lost => {
                let failure =
                    lost.err().unwrap_or_else(|| ErrorKind::Panic("an index was lost".into()).into());
                let rest = std::mem::take(&mut state.to_run);
                settle(env, rest, Rc::new(Err(failure)));
                dismiss(env, std::mem::take(&mut state.out));
            }
        }
    }

    /// Nothing is to be written.
    fn release(&self, env: &Env) {
        let (opened, out) = {
            let mut state = self.0.borrow_mut();
            (state.opened.take(), std::mem::take(&mut state.out))
        };
        let Some(opened) = opened else { return };
        // Fails only in an environment that is ending.
        drop(task::start(env, Release(opened), move |env, _| {
            dismiss(env, out);
            Ok(value::undefined(env))
        }));
    }
}

fn settle(env: &Env, calls: impl IntoIterator<Item = Rc<Call>>, outcome: Outcome) {
    for call in calls {
        call.give(env, Order::Settle(outcome.clone()));
    }
}

fn dismiss(env: &Env, out: Vec<(Rc<Call>, Order)>) {
    for (call, order) in out {
        call.give(env, order);
    }
}

fn clear(env: &Env, timer: Option<Kept>) {
    let Some(timer) = timer else { return };
    // Should it fail, the timer finds that its turn is over.
    drop(
        value::global(env, c"clearTimeout")
            .and_then(|clear| value::call(env, &value::undefined(env), &clear, &[timer.get(env)?])),
    );
}
