//! Processes that want one lock, in all orders in which their system calls may run (crate shuttle). Threads stand for them:
//! flock(2) belongs to the open file, and each has its own.

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::thread;

use super::*;
use crate::dir::Resolve;

const PROCESSES: usize = 3;
const SCHEDULES: usize = 2_000;

/// Each takes the lock twice; a dead holder may have left a pointer to what is to be recovered first.
fn processes(is_left: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let target = Arc::new(Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap());
        if is_left {
            let Tried::Ours(lock) = Lock::try_acquire(&target, Taking::Now).unwrap() else {
                panic!("it is free")
            };
            lock.point_to_root(1);
            lock.leave();
        }
        let works = Arc::new(AtomicBool::new(false));
        let recoveries = Arc::new(AtomicUsize::new(0));
        let process = |_| {
            let (target, works, recoveries) = (target.clone(), works.clone(), recoveries.clone());
            let work = move || {
                assert!(!works.swap(true, Ordering::SeqCst), "two have the lock");
                works.store(false, Ordering::SeqCst);
            };
            thread::spawn(move || {
                let mut left = 2;
                while left > 0 {
                    match Lock::try_acquire(&target, Taking::Now).unwrap() {
                        Tried::Ours(lock) => {
                            assert!(!is_left || recoveries.load(Ordering::SeqCst) > 0, "not recovered first");
                            work();
                            left -= 1;
                            drop(lock);
                        }
                        Tried::Left(up) => {
                            assert_eq!(up, 1);
                            if let Tried::Ours(lock) = Lock::try_acquire(&target, Taking::ToRecover).unwrap()
                            {
                                work();
                                recoveries.fetch_add(1, Ordering::SeqCst);
                                lock.settle();
                            }
                        }
                        Tried::Busy => thread::yield_now(),
                    }
                }
            })
        };
        let processes: Vec<_> = (0..PROCESSES).map(process).collect();
        processes.into_iter().for_each(|process| process.join().unwrap());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "the last one removes the lock file");
    }
}

#[test]
fn one_at_a_time_has_the_lock_though_its_file_is_removed_each_time() {
    shuttle::check_random(processes(false), SCHEDULES);
    shuttle::check_pct(processes(false), SCHEDULES, 4);
}

#[test]
fn what_a_dead_holder_points_to_is_recovered_before_anyone_has_the_lock() {
    shuttle::check_random(processes(true), SCHEDULES);
    shuttle::check_pct(processes(true), SCHEDULES, 4);
}
