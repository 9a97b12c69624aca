//! In which order the items of a plan are looked at: there may not be time for all of them.

use std::collections::HashSet;
use std::hash::Hash;

use fastrand::Rng;

use super::budget::Budget;

/// An order, and how many of the first items are looked at even after the budget is spent.
#[derive(Debug)]
pub struct Order {
    pub items: Vec<usize>,
    pub floor: usize,
}

impl Order {
    /// For `count` items, in a random order, so that those that there is time for, until the budget is spent or the run is
    /// stopped, are a fair sample. If the budget is not limited, all of them.
    pub fn new(count: usize, budget: Budget, rng: &mut Rng) -> Self {
        let mut items: Vec<usize> = (0..count).collect();
        rng.shuffle(&mut items);
        Self { items, floor: if budget.is_limited() { 0 } else { count } }
    }

    /// One item of each kind comes first. Which one is still random.
    pub fn one_of_each<K: Eq + Hash>(mut self, kind: impl Fn(usize) -> K) -> Self {
        self.move_one_of_each(kind);
        self
    }

    /// One item of each kind is looked at even after the budget is spent.
    pub fn at_least_one_of_each<K: Eq + Hash>(mut self, kind: impl Fn(usize) -> K) -> Self {
        let kinds = self.move_one_of_each(kind);
        self.floor = self.floor.max(kinds);
        self
    }

    fn move_one_of_each<K: Eq + Hash>(&mut self, kind: impl Fn(usize) -> K) -> usize {
        if self.floor < self.items.len() {
            let mut seen = HashSet::new();
            let (first, others): (Vec<_>, Vec<_>) =
                self.items.iter().copied().partition(|item| seen.insert(kind(*item)));
            self.items = [&first[..], &others].concat();
            return first.len();
        }
        self.floor
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_without_a_limit_looks_at_all() {
        let mut order =
            Order::new(50, Budget::new(None), &mut Rng::with_seed(1)).at_least_one_of_each(|_| ());
        assert_ne!(order.items, (0..50).collect::<Vec<_>>());
        order.items.sort_unstable();
        assert_eq!((order.items, order.floor), ((0..50).collect(), 50));
    }

    #[test]
    fn a_sample_has_one_of_each_kind_first_and_another_one_with_another_seed() {
        let limited = Budget::new(Some(Duration::ZERO));
        let order = |seed| {
            Order::new(100, limited, &mut Rng::with_seed(seed))
                .one_of_each(|item| item % 10)
                .at_least_one_of_each(|item| item % 3)
        };
        let one = order(1);
        assert_eq!(one.floor, 3);
        let kinds: HashSet<_> = one.items[..3].iter().map(|item| item % 3).collect();
        assert_eq!(kinds.len(), 3);
        let kinds: HashSet<_> = one.items[..12].iter().map(|item| item % 10).collect();
        assert!(kinds.len() >= 9, "{:?}", one.items);
        assert_eq!(one.items.iter().collect::<HashSet<_>>().len(), 100);
        assert_eq!(one.items, order(1).items);
        assert_ne!(one.items, order(2).items);
    }
}
