//! Several things at a time: mounting a file system, like waiting for a process, is mostly waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::budget::Budget;
use super::order::Order;
use super::stall::Stall;
use super::stop;

/// A line is printed at most this often, for people, and for programs that take a silent lab for a hung one.
const PROGRESS: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug)]
pub struct Plan<'a, T> {
    /// For the lines about the progress.
    pub name: &'static str,
    pub items: &'a [T],
    pub order: Order,
    pub budget: Budget,
    pub threads: usize,
}

/// Does `work` to the items in their order, on several threads, each of them with what `equip` gives it: to the
/// floor, and then to as many as the budget has time for; a run that is stopped begins none of either. `None` stands for an item
/// that there was no time for.
pub fn each<T: Sync, E, R: Send>(
    plan: &Plan<'_, T>,
    equip: impl Fn(usize) -> Result<E> + Sync,
    work: impl Fn(&E, &T) -> Result<R> + Sync,
) -> Result<Vec<Option<R>>> {
    let Plan { name, items, order, budget, threads } = plan;
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let progress = Progress { name, all: items.len(), state: Mutex::new((0, Instant::now())) };
    let stall = Stall::default();
    let walk = |thread| -> Result<()> {
        let equipment = equip(thread)?;
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = order.items.get(turn) else { return Ok(()) };
            if stop::is_asked() || turn >= order.floor && budget.is_spent() {
                return Ok(());
            }
            // After an error the others end what they are at.
            let done = work(&equipment, &items[*item])
                .inspect_err(|_| next.store(order.items.len(), Ordering::Relaxed))?;
            results.lock().unwrap_or_else(PoisonError::into_inner)[*item] = Some(done);
            progress.count();
            stall.put_off();
        }
    };
    std::thread::scope(|scope| {
        let walk = &walk;
        scope.spawn(|| stall.watch(name));
        let threads: Vec<_> = (0..*threads).map(|thread| scope.spawn(move || walk(thread))).collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        stall.end();
        ended.into_iter().try_for_each(|ended| ended.map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Progress<'a> {
    name: &'a str,
    all: usize,
    /// How many are done, and when the last line was printed.
    state: Mutex<(usize, Instant)>,
}

impl Progress<'_> {
    fn count(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if state.1.elapsed() >= PROGRESS {
            state.1 = Instant::now();
            eprintln!("{}: {} of {}", self.name, state.0, self.all);
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn plan(items: &[u32], budget: Budget) -> Plan<'_, u32> {
        let order =
            Order::new(items.len(), budget, &mut Rng::with_seed(1)).at_least_one_of_each(|item| item % 7);
        Plan { name: "test", items, order, budget, threads: 3 }
    }

    #[test]
    fn results_come_in_the_order_of_the_items_and_an_error_comes_through() {
        let items: Vec<u32> = (0..100).collect();
        let plan = plan(&items, Budget::new(None));
        let doubled = each(&plan, Ok, |_, item| Ok(item * 2));
        assert!(
            doubled
                .is_ok_and(|doubled| doubled == items.iter().map(|item| Some(item * 2)).collect::<Vec<_>>())
        );
        let work = |(): &(), item: &u32| if *item == 50 { Err(anyhow!("no")) } else { Ok(()) };
        assert!(each(&plan, |_| Ok(()), work).is_err());
    }

    #[test]
    fn when_the_time_is_up_the_floor_is_still_done_and_nothing_else() {
        let items: Vec<u32> = (0..100).collect();
        let done = each(&plan(&items, Budget::new(Some(Duration::ZERO))), Ok, |_, item| Ok(*item % 7));
        let mut kinds: Vec<u32> = done.into_iter().flatten().flatten().collect();
        kinds.sort_unstable();
        assert_eq!(kinds, [0, 1, 2, 3, 4, 5, 6]);
    }
}
