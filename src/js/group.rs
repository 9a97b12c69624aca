//! Group commit: updates of one index that are read, changed and written as one.
//!
//! The call that has the turn and the lock leads. Its function gets the parsed index, then the function
//! of the next call in line, and so on, each what the one before it left; the result is written once,
//! and only then all of them hear of it. A function that fails is left out: the index that it may have
//! half changed is parsed anew, and those that had succeeded run again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::call::{self, Call, Order, Outcome};
use super::data::Data;
use super::error::Failure;
use super::index_job::{CommitJob, Committed, Opened, Release};
use super::value::{self, Kept, Result, Thrown};
use super::{memory, stringify, task};
use crate::engine::cancel::Cancel;
use crate::engine::error::ErrorKind;

/// A group takes no more calls after this many: the first of them waits for the last.
const MOST: usize = 1000;
/// Nor after its functions have had the index for this long.
const LONGEST: Duration = Duration::from_millis(50);
/// Those before an async function do not wait longer for it: they are written without it, and it runs
/// again, first of the rest.
const PATIENCE_MS: f64 = 100.0;

/// Updates that share the index at the moment.
pub struct Group(RefCell<State>);

/// One run of one function.
pub type Turn = u64;

struct State {
    /// Whose options are everybody's.
    leader: Rc<Call>,
    /// Not ours while a commit has it.
    opened: Option<Opened>,
    /// As the functions have left it; `None`: to be parsed.
    index: Option<Kept>,
    /// Whose functions are to run, before any call that is still in line.
    to_run: VecDeque<Rc<Call>>,
    /// Who has the index: no function is called twice in one turn.
    running: Option<Rc<Call>>,
    turn: Turn,
    /// The function has seen the index, and may have changed it.
    touched: bool,
    /// Whose changes are in the index.
    applied: Vec<Rc<Call>>,
    /// Who has failed, and what each is to do when all is over: nobody hears of a failure while there is
    /// a lock file.
    out: Vec<(Rc<Call>, Order)>,
    /// How many may be written as one.
    limit: usize,
    since: Instant,
    timer: Option<Kept>,
}

impl Group {
    /// Starts with `leader`, who has `opened` the index.
    pub fn lead(env: &Env, leader: Rc<Call>, opened: Opened) {
        leader.has_index_after(opened.waited);
        let group = Rc::new(Self(RefCell::new(State {
            opened: Some(opened),
            index: None,
            to_run: VecDeque::from([leader.clone()]),
            leader,
            running: None,
            turn: 0,
            touched: false,
            applied: Vec::new(),
            out: Vec::new(),
            limit: MOST,
            since: Instant::now(),
            timer: None,
        })));
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
        match text {
            Ok(text) => self.write(env, text),
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
                state.limit = (state.limit * 2).min(MOST);
                let applied = std::mem::take(&mut state.applied);
                settle(env, applied, Rc::new(outcome));
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

impl State {
    /// Whose turn is next.
    fn next(&mut self) -> Option<Rc<Call>> {
        self.running = None;
        if self.applied.len() >= self.limit {
            return None;
        }
        let next = self.to_run.pop_front().or_else(|| self.take_along())?;
        self.turn += 1;
        self.touched = false;
        self.running = Some(next.clone());
        Some(next)
    }

    /// The next call in line, if it can be written together with the leader.
    fn take_along(&self) -> Option<Rc<Call>> {
        if self.since.elapsed() >= LONGEST {
            return None;
        }
        let suits = |id| call::find(id).is_some_and(|call| call.can_share_with(&self.leader));
        let call = call::find(self.opened.as_ref()?.take_along(suits)?)?;
        call.has_index_after(call.since.elapsed());
        Some(call)
    }

    /// The index has changes that are not to be written, or is another by now.
    fn begin_again(&mut self) {
        self.index = None;
        let later = std::mem::take(&mut self.to_run);
        self.to_run = self.applied.drain(..).chain(later).collect();
    }

    /// Whether there were calls that nobody wants any more.
    fn leave_out_aborted(&mut self) -> bool {
        let (aborted, wanted): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.applied).into_iter().partition(|call| call.is_aborted());
        self.applied = wanted;
        if aborted.is_empty() {
            return false;
        }
        self.begin_again();
        let outcome: Outcome = Rc::new(Err(ErrorKind::Aborted.into()));
        self.out.extend(aborted.into_iter().map(|call| (call, Order::Settle(outcome.clone()))));
        true
    }

    /// Somebody without the lock is faster time and again: not for ever.
    fn leave_out_late(&mut self) {
        let now = Instant::now();
        let (late, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.to_run)
            .into_iter()
            .partition(|call| call.deadline.is_some_and(|deadline| now >= deadline));
        self.to_run = rest.into();
        self.out.extend(late.into_iter().map(|call| {
            let failure = ErrorKind::LockTimeout { waited: call.since.elapsed() }.into();
            (call, Order::Settle(Rc::new(Err(failure))))
        }));
    }

    /// What the functions have made is no JSON. If there were several, fewer are tried next time, until
    /// it is known whose fault it was.
    fn refuse(&mut self, rejection: Order) {
        if self.applied.len() > 1 {
            self.limit = self.applied.len() / 2;
            self.begin_again();
        } else {
            self.out.extend(self.applied.pop().map(|call| (call, rejection)));
        }
    }

    fn job(&mut self, text: Data) -> Option<CommitJob> {
        let opened = self.opened.take()?;
        // One of several comes too late with its abort.
        let cancel = match &*self.applied {
            [only] => only.signal.cancel(),
            _ => Cancel::default(),
        };
        let keep = !self.to_run.is_empty();
        Some(CommitJob::new(opened, text, self.leader.options.clone(), keep, cancel))
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
