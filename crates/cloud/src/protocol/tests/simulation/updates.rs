//! A machine that updates one object: calls that wait share a commit by the engine's own policy, and the machine owns the group
//! as the addon does. Each call adds its number to those of its machine, so the index tells which were done, and how often.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use bytes::Bytes;
use engine::index::group::{Action, Group, Member, Verdict, Written};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::plan::Kind as Work;
use super::row::Wrong;
use super::{KEY, TIMEOUT, World};
use crate::protocol::{Commit, Error, Kind, Limits};

/// The numbers of each machine as ranges without the end, and how often one was added again.
#[derive(Clone, Default, Deserialize, Serialize)]
struct Index {
    doubled: u32,
    seen: BTreeMap<u32, Vec<(usize, usize)>>,
}

impl Index {
    fn parse(text: &[u8]) -> Self {
        if text.is_empty() { Self::default() } else { serde_json::from_slice(text).unwrap() }
    }

    fn add(&mut self, machine: u32, number: usize) {
        let ranges = self.seen.entry(machine).or_default();
        if ranges.iter().any(|range| (range.0..range.1).contains(&number)) {
            self.doubled += 1;
        } else {
            match ranges.last_mut() {
                Some(last) if last.1 == number => last.1 += 1,
                _ => ranges.push((number, number + 1)),
            }
        }
    }

    /// As [`Self::add`] for even numbers; an odd one takes the machine out again. Returns whether it was as the call before
    /// has left it.
    fn turn(&mut self, machine: u32, number: usize) -> bool {
        let was_in = if number.is_multiple_of(2) {
            self.seen.insert(machine, vec![]).is_some()
        } else {
            self.seen.remove(&machine).is_some()
        };
        was_in != number.is_multiple_of(2)
    }

    fn has(&self, machine: u32, number: usize) -> bool {
        let ranges = self.seen.get(&machine).into_iter().flatten();
        ranges.copied().any(|(from, to)| (from..to).contains(&number))
    }
}

/// A call with its number.
#[derive(Clone, Copy)]
struct Call {
    number: usize,
    since: Instant,
}

impl Call {
    fn until(&self) -> Instant {
        self.since + TIMEOUT
    }
}

impl Member for Call {
    fn is_gone(&self) -> bool {
        false
    }

    fn is_aborted(&self) -> bool {
        false
    }

    fn deadline(&self) -> Option<std::time::Instant> {
        Some(self.until().into_std())
    }
}

type Outcome = Result<(), Error>;

struct Machine<'a> {
    world: &'a World,
    number: u32,
    line: Mutex<VecDeque<Call>>,
    called: Notify,
}

pub async fn machine(world: &World, number: u32) {
    let machine = Machine { world, number, line: Mutex::default(), called: Notify::new() };
    let calls = async {
        while world.next_call().await {
            let call = Call { number: world.account.call(number), since: Instant::now() };
            machine.line.lock().unwrap().push_back(call);
            machine.called.notify_one();
        }
        machine.called.notify_one();
    };
    let commits = async {
        loop {
            match machine.take() {
                Some(leader) => machine.lead(leader).await,
                None if Instant::now() >= world.end => break,
                None => machine.called.notified().await,
            }
        }
    };
    tokio::join!(calls, commits);
}

impl Machine<'_> {
    /// The next call in line that still has time.
    fn take(&self) -> Option<Call> {
        loop {
            let call = self.line.lock().unwrap().pop_front()?;
            if call.until() > Instant::now() {
                return Some(call);
            }
            self.tell(&[call], &Err(Error::of(Kind::TimedOut)));
        }
    }

    fn tell(&self, calls: &[Call], outcome: &Outcome) {
        for call in calls {
            self.world.account.tell(self.number, call.number, call.since, outcome);
        }
    }

    async fn open(&self, until: Instant) -> Result<Held, Error> {
        let limits = Limits::new(until.saturating_duration_since(Instant::now()), u32::MAX).0;
        let mut commit = Commit::new(self.world.store.clone(), KEY.into(), limits, true);
        commit.mutant = self.world.plan.mutant;
        let index = read(&mut commit).await?;
        Ok(Held { commit, index, until })
    }

    /// One group of calls, as the addon carries it out.
    async fn lead(&self, leader: Call) {
        let mut latest = leader.until();
        let mut held = match self.open(latest).await {
            Ok(held) => Some(held),
            Err(error) => return self.tell(&[leader], &Err(error)),
        };
        let mut group: Group<Call, Vec<usize>, Outcome> = Group::new(leader);
        while let Some(action) = group.next(now(), || self.take()) {
            match action {
                Action::Run(call, run) => {
                    latest = latest.max(call.until());
                    group.entered(now());
                    let mut numbers = group.index().cloned().unwrap_or_default();
                    numbers.push(call.number);
                    group.accepted(run, numbers);
                }
                Action::Write { index: numbers, keep, .. } => {
                    let Some(before) = held.take() else { return };
                    let (written, again) = self.write(before, &numbers, keep, latest).await;
                    let again = again.map(|index| held = Some(index));
                    group.written(written, again.map_err(Err), now());
                }
                Action::Tell(calls, verdict) => {
                    let outcome = match verdict {
                        Verdict::Settled(outcome) => outcome,
                        Verdict::TimedOut { .. } => Err(Error::of(Kind::Contended)),
                        Verdict::Aborted | Verdict::Finished => unreachable!("no function fails"),
                    };
                    self.tell(&calls, &outcome);
                }
                Action::Release => group.released(),
                Action::Interrupt(_) => unreachable!("no function waits"),
            }
        }
    }

    /// What came of the write, and the index if calls are still to run.
    async fn write(
        &self,
        mut held: Held,
        numbers: &[usize],
        keep: bool,
        latest: Instant,
    ) -> (Written<Outcome>, Result<Held, Error>) {
        let mut next = held.index.clone();
        for number in numbers {
            match self.world.plan.kind {
                Work::Undo if !next.turn(self.number, *number) => self.world.account.book().wrong += 1,
                Work::Undo => {}
                _ => next.add(self.number, *number),
            }
        }
        let text = Bytes::from(serde_json::to_vec(&next).unwrap());
        let is_late = |error: &Error| matches!(error.kind, Kind::TimedOut | Kind::Contended);
        let have_more = latest > Instant::now().max(held.until);
        let (written, is_held) = match held.commit.replace_if(text).await {
            Ok(Some(_)) => (Written::Done(Ok(())), keep),
            Ok(None) => match read(&mut held.commit).await {
                Ok(index) => return (Written::Changed, Ok(Held { index, ..held })),
                Err(error) if have_more && is_late(&error) => {
                    (Written::Late(Err(error), now_of(held.until)), true)
                }
                Err(error) => return (Written::Changed, Err(error)),
            },
            Err(error) if have_more && is_late(&error) => {
                (Written::Late(Err(error), now_of(held.until)), true)
            }
            Err(error) => (Written::Failed(Err(error)), keep),
        };
        let again = if is_held { self.open(latest).await } else { Err(Error::of(Kind::TimedOut)) };
        (written, again)
    }
}

/// The index as it was read.
struct Held {
    commit: Commit,
    index: Index,
    until: Instant,
}

async fn read(commit: &mut Commit) -> Result<Index, Error> {
    Ok(commit.read(true).await?.map_or_else(Index::default, |object| Index::parse(&object.body)))
}

fn now_of(instant: Instant) -> std::time::Instant {
    instant.into_std()
}

fn now() -> std::time::Instant {
    now_of(Instant::now())
}

/// Compares the index with what the callers were told.
pub fn check(world: &World) -> Wrong {
    let index = Index::parse(world.store.text(KEY).trim_end().as_bytes());
    let book = world.account.book();
    let mut wrong = Wrong { lost: book.wrong, doubled: index.doubled };
    if world.plan.kind == Work::Undo {
        return wrong;
    }
    for (machine, calls) in &book.calls {
        for (number, told) in calls.iter().enumerate() {
            match (index.has(*machine, number), told.possible()) {
                (false, [true]) => wrong.lost += 1,
                // It was told that nothing was written.
                (true, [false]) => wrong.doubled += 1,
                _ => {}
            }
        }
    }
    wrong
}
