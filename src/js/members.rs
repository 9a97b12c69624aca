//! Who has a part in a group: whose turn it is, whose changes are in the index, and who is out.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::call::{self, Call, Order, Outcome};
use super::data::Data;
use super::index_job::{CommitJob, Opened};
use super::value::Kept;
use crate::engine::cancel::Cancel;
use crate::engine::error::ErrorKind;

/// A group takes no more calls after this many: the first of them waits for the last.
const MOST: usize = 1000;
/// Nor after its functions have had the index for this long.
const LONGEST: Duration = Duration::from_millis(50);

/// One run of one function.
pub type Turn = u64;

/// The calls of a group, and the index they share.
pub struct Members {
    /// Whose options are everybody's.
    pub leader: Rc<Call>,
    /// Not ours while a commit has it.
    pub opened: Option<Opened>,
    /// As the functions have left it; `None`: to be parsed.
    pub index: Option<Kept>,
    /// Whose functions are to run, before any call that is still in line.
    pub to_run: VecDeque<Rc<Call>>,
    /// Who has the index: no function is called twice in one turn.
    pub running: Option<Rc<Call>>,
    /// The last turn that was given.
    pub turn: Turn,
    /// The function has seen the index, and may have changed it.
    pub touched: bool,
    /// Whose changes are in the index.
    pub applied: Vec<Rc<Call>>,
    /// Who has failed, and what each is to do when all is over: nobody hears of a failure while there is
    /// a lock file.
    pub out: Vec<(Rc<Call>, Order)>,
    /// How many may be written as one.
    pub limit: usize,
    /// When the first function was called.
    pub since: Instant,
    /// Bounds the current turn.
    pub timer: Option<Kept>,
}

impl Members {
    /// A group of one, who has opened the index.
    pub fn new(leader: Rc<Call>, opened: Opened) -> Self {
        Self {
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
        }
    }

    /// Those whose changes are in the index were written, or failed together.
    pub fn take_applied(&mut self) -> Vec<Rc<Call>> {
        self.limit = (self.limit * 2).min(MOST);
        std::mem::take(&mut self.applied)
    }

    /// Whose turn is next.
    pub fn next(&mut self) -> Option<Rc<Call>> {
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
    pub fn begin_again(&mut self) {
        self.index = None;
        let later = std::mem::take(&mut self.to_run);
        self.to_run = self.applied.drain(..).chain(later).collect();
    }

    /// Whether there were calls that nobody wants any more.
    pub fn leave_out_aborted(&mut self) -> bool {
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
    pub fn leave_out_late(&mut self) {
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
    pub fn refuse(&mut self, rejection: Order) {
        if self.applied.len() > 1 {
            self.limit = self.applied.len() / 2;
            self.begin_again();
        } else {
            self.out.extend(self.applied.pop().map(|call| (call, rejection)));
        }
    }

    /// The text that was parsed is not needed any more.
    pub fn forget_base(&mut self) {
        if let Some(snapshot) = self.opened.as_mut().and_then(|opened| opened.snapshot.as_mut()) {
            snapshot.text = String::new();
        }
    }

    /// Writes `text` for those whose changes are in it.
    pub fn job(&mut self, text: Data) -> Option<CommitJob> {
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
