//! Who has a part in a group: whose turn it is, whose changes are in the index, and who is out.

use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use engine::cancel::Cancel;
use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::index::file::UpdateOptions;
use engine::index::job::{CommitJob, Opened};
use engine::write::options::Receipt;
use napi::Env;

use crate::js::index::call::{self, Call, Order, Outcome, Space};
use crate::js::value::raw::Kept;

/// A group takes no more calls after this many: the first of them waits for the last.
const MOST: usize = 1000;
/// Nor after its functions have had the index for this long.
const LONGEST: Duration = Duration::from_millis(50);

/// One run of one function.
pub type Turn = u64;

/// The calls of a group, and the index they share.
///
/// The calls are not kept from here: each belongs to the reaction in which it waits, and has the group in
/// its orders in turn. An environment that ends in between would leave the two to each other, with the lock.
pub struct Members {
    /// How all are written.
    options: UpdateOptions,
    /// As all want their text laid out.
    pub space: Option<Space>,
    /// Not ours while a commit has it.
    pub opened: Option<Opened>,
    /// As the functions have left it; `None`: to be parsed.
    pub index: Option<Kept>,
    /// Whose functions are to run, before any call that is still in line.
    to_run: VecDeque<Weak<Call>>,
    /// Who has the index.
    running: Option<Weak<Call>>,
    /// The last turn that was given.
    pub turn: Turn,
    /// The function has seen the index, and may have changed it.
    pub touched: bool,
    /// Whose changes are in the index.
    applied: Vec<Weak<Call>>,
    /// Who has failed, and what each is to do when all is over: nobody hears of a failure while there is
    /// a lock file.
    out: Vec<(Weak<Call>, Order)>,
    /// How many may be written as one.
    limit: usize,
    /// The limit is low because somebody's part is no JSON, and rises only step by step.
    wary: bool,
    /// When the first function was called: parsing the index is not held against those that come.
    since: Option<Instant>,
    /// Bounds the current turn.
    pub timer: Option<Kept>,
}

impl Members {
    /// A group of one, who has opened the index.
    pub fn new(leader: &Rc<Call>, opened: Opened) -> Self {
        Self {
            options: leader.options.clone(),
            space: leader.space.clone(),
            opened: Some(opened),
            index: None,
            to_run: VecDeque::from([Rc::downgrade(leader)]),
            running: None,
            turn: 0,
            touched: false,
            applied: Vec::new(),
            out: Vec::new(),
            limit: MOST,
            wary: false,
            since: None,
            timer: None,
        }
    }

    /// The index is parsed, and the functions begin.
    pub fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether that turn is not over yet.
    pub fn is_at(&self, turn: Turn) -> bool {
        self.turn == turn && self.running.is_some()
    }

    /// Whether other calls wait for the one that has the index.
    pub fn has_others(&self) -> bool {
        !(self.applied.is_empty() && self.out.is_empty() && self.to_run.is_empty())
    }

    /// Whose turn is next.
    pub fn next(&mut self) -> Option<Rc<Call>> {
        self.running = None;
        if self.applied.len() >= self.limit {
            return None;
        }
        let waiting = std::iter::from_fn(|| self.to_run.pop_front())
            .find_map(|call| call.upgrade().filter(|call| !call.is_over()));
        let next = waiting.or_else(|| self.take_follower())?;
        self.turn += 1;
        self.touched = false;
        self.running = Some(Rc::downgrade(&next));
        Some(next)
    }

    /// The next call in line, if it can be written together with these.
    fn take_follower(&self) -> Option<Rc<Call>> {
        if self.since.is_some_and(|since| since.elapsed() >= LONGEST) {
            return None;
        }
        let suits = |call: &Rc<Call>| call.options == self.options && call.space == self.space;
        let wanted = |id| call::find(id).is_some_and(|call| suits(&call));
        let call = call::find(self.opened.as_ref()?.take_follower(wanted)?)?;
        call.has_index_after(call.since.elapsed());
        Some(call)
    }

    /// The function has made `next` of the index.
    pub fn accept(&mut self, call: &Rc<Call>, next: Kept) {
        self.index = Some(next);
        self.applied.push(Rc::downgrade(call));
    }

    /// The function has failed.
    pub fn leave_out(&mut self, call: &Rc<Call>) {
        if self.touched {
            self.begin_again();
        }
        self.out.push((Rc::downgrade(call), Order::Dismiss));
    }

    /// Who has the index.
    pub fn running(&self) -> Option<Rc<Call>> {
        self.running.as_ref()?.upgrade()
    }

    /// Those before the function that has the turn are to be written without it, and it runs again after
    /// them. `false`: there are none.
    pub fn put_off(&mut self) -> bool {
        if self.applied.is_empty() {
            return false;
        }
        self.limit = self.applied.len();
        if let Some(running) = self.running.take() {
            self.to_run.push_front(running);
        }
        self.begin_again();
        true
    }

    /// The index has changes that are not to be written, or is another by now.
    pub fn begin_again(&mut self) {
        self.index = None;
        let later = std::mem::take(&mut self.to_run);
        self.to_run = self.applied.drain(..).chain(later).collect();
    }

    /// Whether there were calls among those to be written that nobody wants any more.
    pub fn leave_out_aborted(&mut self) -> bool {
        let (aborted, wanted): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.applied).into_iter().partition(is_aborted);
        self.applied = wanted;
        if aborted.is_empty() {
            return false;
        }
        self.begin_again();
        self.out.extend(aborted.into_iter().map(|call| (call, aborted_order())));
        true
    }

    /// Those that are to run, but have waited too long or are not wanted any more.
    pub fn leave_out_late(&mut self) {
        let now = Instant::now();
        let mut rest = VecDeque::new();
        for waiting in self.to_run.drain(..) {
            let Some(call) = waiting.upgrade() else { continue };
            if call.is_aborted() {
                self.out.push((waiting, aborted_order()));
            } else if call.deadline.is_some_and(|deadline| now >= deadline) {
                let failure = ErrorKind::LockTimeout { waited: call.since.elapsed() }.into();
                self.out.push((waiting, Order::Settle(Rc::new(Err(failure)))));
            } else {
                rest.push_back(waiting);
            }
        }
        self.to_run = rest;
    }

    /// What the functions have made is no JSON.
    pub fn refuse(&mut self, rejection: Order) {
        if !self.halve() {
            self.out.extend(self.applied.pop().map(|call| (call, rejection)));
        }
    }

    /// Something is wrong with what several have made: fewer are tried next time, until it is known whose
    /// fault it was. `false`: it is known.
    pub fn halve(&mut self) -> bool {
        let several = self.applied.len() > 1;
        if several {
            self.limit = self.applied.len() / 2;
            self.wary = true;
            self.begin_again();
        }
        several
    }

    /// The text that was parsed is not needed any more.
    pub fn forget_base(&mut self) {
        if let Some(snapshot) = self.opened.as_mut().and_then(|opened| opened.snapshot.as_mut()) {
            snapshot.forget();
        }
    }

    /// Writes `text` for those whose changes are in it.
    pub fn job(&mut self, text: Data) -> Option<CommitJob> {
        let opened = self.opened.take()?;
        // One of several comes too late with its abort.
        let cancel = match &*self.applied {
            [only] => only.upgrade().map(|call| call.signal.cancel()).unwrap_or_default(),
            _ => Cancel::default(),
        };
        let keep = !self.to_run.is_empty();
        Some(CommitJob::new(opened, text, self.options.clone(), keep, cancel))
    }

    /// Tells those whose changes are in the index what came of writing it.
    pub fn settle(&mut self, env: &Env, outcome: std::result::Result<Receipt, Error>) {
        self.limit = if self.wary { (self.limit * 2).min(MOST) } else { MOST };
        let applied = std::mem::take(&mut self.applied);
        let outcome: Outcome = Rc::new(outcome.map(|receipt| (receipt, applied.len())));
        tell(env, applied.into_iter().map(|call| (call, Order::Settle(outcome.clone()))));
    }

    /// The index is gone: nobody runs any more.
    pub fn fail(&mut self, env: &Env, failure: Error) {
        let outcome: Outcome = Rc::new(Err(failure));
        let rest = std::mem::take(&mut self.to_run);
        tell(env, rest.into_iter().map(|call| (call, Order::Settle(outcome.clone()))));
    }

    /// Those that have failed.
    pub fn take_out(&mut self) -> Vec<(Weak<Call>, Order)> {
        std::mem::take(&mut self.out)
    }
}

fn is_aborted(call: &Weak<Call>) -> bool {
    call.upgrade().is_some_and(|call| call.is_aborted())
}

fn aborted_order() -> Order {
    Order::Settle(Rc::new(Err(ErrorKind::Aborted.into())))
}

/// Gives each its order.
pub fn tell(env: &Env, orders: impl IntoIterator<Item = (Weak<Call>, Order)>) {
    for (call, order) in orders {
        if let Some(call) = call.upgrade() {
            call.give(env, order);
        }
    }
}
