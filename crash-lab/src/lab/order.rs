//! In which order the items of a plan are looked at when there may not be time for all of them.

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
    /// For `count` items: in a random order if the budget is limited, so that those that there is time for are a fair
    /// sample, or else all of them, as they come.
    pub fn new(count: usize, budget: Budget, rng: &mut Rng) -> Self {
        let mut items: Vec<usize> = (0..count).collect();
        if !budget.is_limited() {
            return Self { items, floor: count };
        }
        rng.shuffle(&mut items);
        Self { items, floor: 0 }
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
    fn a_run_without_a_limit_looks_at_all_as_they_come() {
        let order = Order::new(5, Budget::new(None), &mut Rng::with_seed(1)).at_least_one_of_each(|_| ());
        assert_eq!((order.items, order.floor), (vec![0, 1, 2, 3, 4], 5));
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
