//! Several things at a time: mounting, like waiting for a process, is mostly waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

/// Something to do.
pub type Job<'a, T> = Box<dyn Fn() -> Result<T> + Sync + 'a>;

/// More than there are cores: half of the time of a mount goes by waiting for the kernel's threads.
const WORKERS: usize = 4;

/// Does all of them; what they return is in their order.
pub fn all<T: Send>(jobs: &[Job<'_, T>]) -> Result<Vec<T>> {
    each(jobs, WORKERS, |_| Ok(()), |(), job| job())
}

/// Does `work` to all `items` on several threads, each of them with what `equip` gives it; the results are in the
/// order of the items. They are begun from the back: whoever has a long one puts it there, so that nothing
/// long is left to do alone.
pub fn each<T: Sync, E, R: Send>(
    items: &[T],
    threads: usize,
    equip: impl Fn(usize) -> Result<E> + Sync,
    work: impl Fn(&E, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let left = AtomicUsize::new(items.len());
    let results = Mutex::new(Vec::new());
    let walk = |thread| -> Result<()> {
        let equipment = equip(thread)?;
        while let Ok(before) =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        {
            let at = before - 1;
            let result = work(&equipment, &items[at])?;
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let walk = &walk;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || walk(thread))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_an_error_comes_through() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = each(&items, 3, Ok, |_, item| Ok(item * 2));
        assert!(
            doubled.is_ok_and(|doubled| doubled == items.iter().map(|item| item * 2).collect::<Vec<_>>())
        );
        assert!(
            each(&items, 3, |_| Ok(()), |(), item| if *item == 50 { Err(anyhow!("no")) } else { Ok(()) })
                .is_err()
        );
    }
}
