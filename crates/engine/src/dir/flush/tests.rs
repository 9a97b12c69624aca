use super::*;
use crate::process::UnderWay;

#[test]
fn a_call_that_comes_during_a_flush_waits_for_the_next() {
    let flushes = Flushes::default();
    let (mut first, begins) = flushes.join(Place::default());
    assert!(begins);
    let mut late = Vec::new();
    let mut count = 0;
    flushes.serve(
        || {
            count += 1;
            if count == 1 {
                for _ in 0..3 {
                    let (next, begins) = flushes.join(Place::default());
                    assert!(!begins);
                    late.push(next);
                }
            } else {
                assert_eq!(first.0.try_recv().unwrap(), (Ok(true), true));
                assert!(late.iter_mut().all(|next| next.0.try_recv().is_err()), "not by the first one");
            }
            Ok(true)
        },
        |_| true,
    );
    assert_eq!(count, 2, "three shared the second");
    assert!(late.iter_mut().all(|next| next.0.try_recv().unwrap() == (Ok(true), true)));
    assert!(flushes.join(Place::default()).1, "and it is over");
}

fn crowd() -> Vec<UnderWay> {
    (0..4 * SHARED).map(|_| UnderWay::begin()).collect()
}

fn took(flushes: &Flushes, time: Duration) {
    flushes.took.store(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
}

#[test]
fn a_flush_waits_for_others_while_many_are_under_way() {
    let flushes = Flushes::default();
    let _crowd = crowd();
    // It does not wait for long, so this thread may be late.
    let is_shared = || {
        took(&flushes, Duration::from_secs(1));
        let count = AtomicU64::new(0);
        let flush = || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(true)
        };
        assert!(flushes.join(Place::default()).1);
        std::thread::scope(|scope| {
            let server = scope.spawn(|| flushes.serve(flush, |_| true));
            while flushes.pending().gathers.is_none() && !server.is_finished() {
                std::thread::yield_now();
            }
            let mut late = false;
            for _ in 1..SHARED {
                let (_, begins) = flushes.join(Place::default());
                late |= begins;
                if begins {
                    flushes.serve(|| Ok(true), |_| true);
                }
            }
            let since = Instant::now();
            server.join().unwrap();
            !late && since.elapsed() < LONGEST && count.load(Ordering::Relaxed) == 1
        })
    };
    assert!((0..1_000).any(|_| is_shared()));
}

#[test]
fn a_flush_that_waits_is_told_when_too_few_are_left() {
    let is_told = || {
        let flushes = Flushes::default();
        let crowd = crowd();
        took(&flushes, Duration::from_secs(1));
        let (_next, _) = flushes.join(Place::default());
        std::thread::scope(|scope| {
            let server = scope.spawn(|| flushes.serve(|| Ok(true), |_| true));
            while flushes.pending().gathers.is_none() && !server.is_finished() {
                std::thread::yield_now();
            }
            drop(crowd);
            server.join().unwrap();
        });
        !flushes.pending().in_vain
    };
    assert!((0..1_000).any(|_| is_told()));
}

#[test]
fn a_flush_that_stays_alone_goes_on() {
    let flushes = Flushes::default();
    let _crowd = crowd();
    took(&flushes, Duration::from_secs(1));
    let (mut alone, _) = flushes.join(Place::default());
    let since = Instant::now();
    flushes.serve(|| Ok(true), |_| true);
    assert!(alone.0.try_recv().is_ok() && since.elapsed() >= LONGEST);
    assert!(flushes.pending().in_vain, "and the next one does not wait");
}

#[test]
fn a_quick_flush_is_shared_in_a_crowd_and_one_that_costs_nothing_is_not() {
    let flushes = Flushes::default();
    let _crowd = crowd();
    took(&flushes, QUICK);
    assert!(flushes.are_worth_sharing());
    took(&flushes, Duration::from_nanos(1));
    assert!(!flushes.are_worth_sharing());
    took(&flushes, SLOW);
    assert!(flushes.are_worth_sharing());
}

#[test]
fn a_failure_is_reported_to_all_that_shared_it() {
    let flushes = Flushes::default();
    let mut waiting = [flushes.join(Place::default()).0, flushes.join(Place::default()).0];
    flushes.serve(|| Err(io::Error::from_raw_os_error(5)), |_| true);
    assert!(waiting.iter_mut().all(|next| next.0.try_recv().unwrap().0 == Err(Some(5))));
}
