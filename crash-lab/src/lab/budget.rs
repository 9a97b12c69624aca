//! How long a run may take. Without a limit it looks at everything.

use std::time::{Duration, Instant};

/// A time to stop at, for a run or for a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    end: Option<Instant>,
}

impl Budget {
    /// From now on; `None`: without a limit.
    pub fn new(time: Option<Duration>) -> Self {
        Self { end: time.map(|time| Instant::now() + time) }
    }

    /// Whether only a sample is looked at.
    pub fn is_limited(self) -> bool {
        self.end.is_some()
    }

    /// Whether less than this is left of it.
    pub fn is_below(self, time: Duration) -> bool {
        self.end.is_some_and(|end| end.saturating_duration_since(Instant::now()) < time)
    }

    /// Whether only what has to be done in any case is still done.
    pub fn is_spent(self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// The share of a part with this weight in what is left, for it and parts with these weights after it. A part that
    /// ends early leaves the rest of its share to them.
    pub fn share(self, weight: u32, later: impl Iterator<Item = u32>) -> Self {
        let now = Instant::now();
        let all = f64::from(weight + later.sum::<u32>());
        let share = |end: Instant| now + end.saturating_duration_since(now).mul_f64(f64::from(weight) / all);
        Self { end: self.end.map(share) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_leaves_goes_to_those_after_it() {
        let now = Instant::now();
        let all = Budget { end: Some(now + Duration::from_secs(1000)) };
        let length = |part: Budget| part.end.map(|end| (end - now).as_secs_f64().round());
        assert_eq!(length(all.share(1, [1, 2].into_iter())), Some(250.0));
        // The first took no time: the second has half of everything, not of its own quarter.
        assert_eq!(length(all.share(1, [1].into_iter())), Some(500.0));
        assert_eq!(length(all.share(7, [].into_iter())), Some(1000.0));
    }

    #[test]
    fn without_a_limit_it_is_never_spent() {
        let all = Budget::new(None).share(1, [1].into_iter());
        assert!(!all.is_limited() && !all.is_spent() && !all.is_below(Duration::MAX));
        assert!(Budget::new(Some(Duration::ZERO)).is_spent());
    }

    #[test]
    fn what_is_left_of_it_is_compared() {
        let budget = Budget::new(Some(Duration::from_secs(1000)));
        assert!(budget.is_below(Duration::from_secs(1001)) && !budget.is_below(Duration::from_secs(900)));
    }
}
