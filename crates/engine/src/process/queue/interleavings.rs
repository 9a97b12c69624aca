//! Calls of one file on several threads, in all orders in which these may run (crate shuttle).

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{future, thread};

use super::*;

const SCHEDULES: usize = 1_000;

fn key() -> Key {
    Key::File(FileId::for_tests("file"), "file".into())
}

/// Four calls; which of them give up before their turn?
fn calls(gives_up: [bool; 4]) -> impl Fn() + Send + Sync + 'static {
    move || {
        let works = Arc::new(AtomicBool::new(false));
        let order = Arc::new(Mutex::new(Vec::new()));
        let call = |at: usize| {
            let (ticket, works, order) = (Ticket::take(), works.clone(), order.clone());
            thread::spawn(move || {
                let mut place = ticket.join(key());
                thread::yield_now();
                if gives_up[at] {
                    return;
                }
                let turn = future::block_on(&mut place.turn).unwrap();
                assert!(!works.swap(true, Ordering::SeqCst), "two calls work at once");
                lock(&order).push(at);
                thread::yield_now();
                works.store(false, Ordering::SeqCst);
                drop(turn);
            })
        };
        let calls: Vec<_> = (0..4).map(call).collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        let wanted: Vec<_> = (0..4).filter(|at| !gives_up[*at]).collect();
        assert_eq!(*lock(&order), wanted, "the order of the calls");
        update(|queues| {
            assert!(queues.waiting.is_empty(), "nothing is left");
            ((), Vec::new())
        });
    }
}

#[test]
fn calls_run_one_at_a_time_in_their_order() {
    shuttle::check_pct(calls([false; 4]), SCHEDULES, 4);
}

#[test]
fn a_call_that_gives_up_at_any_moment_passes_its_turn_on() {
    shuttle::check_pct(calls([false, true, true, false]), SCHEDULES, 4);
    shuttle::check_pct(calls([true, false, true, false]), SCHEDULES, 4);
}
