use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::{future, thread};

use super::*;

#[test]
fn every_call_hears_of_a_flush_that_began_after_its_change() {
    let calls = || {
        let flushes = Arc::new(Flushes::default());
        let (changed, flushed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let call = || {
            let (flushes, changed, flushed) = (flushes.clone(), changed.clone(), flushed.clone());
            thread::spawn(move || {
                let change = changed.fetch_add(1, Ordering::SeqCst) + 1;
                let (next, begins) = flushes.join(Place::default());
                if begins {
                    let flush = || {
                        let covered = changed.load(Ordering::SeqCst);
                        thread::yield_now();
                        flushed.fetch_max(covered, Ordering::SeqCst);
                        Ok(true)
                    };
                    flushes.serve(flush, |_| true);
                }
                future::block_on(next.flushed()).unwrap();
                assert!(flushed.load(Ordering::SeqCst) >= change, "the flush began before the change");
            })
        };
        let calls = [call(), call(), call()];
        calls.into_iter().for_each(|call| call.join().unwrap());
        assert!(flushes.join(Place::default()).1, "nobody flushes any more");
    };
    shuttle::check_pct(calls, 1_000, 4);
}
