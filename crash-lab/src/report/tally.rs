//! What has been found so far. A run of hours says so as it goes, and one that cannot go on, or that is killed, has not run for
//! nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Expect, Row, add, tables};

/// How often it is printed.
const EVERY: Duration = Duration::from_secs(60);

/// The rows of the parts that have ended, added up.
#[derive(Debug, Default)]
pub struct Tally {
    rows: Mutex<Vec<Row>>,
}

impl Tally {
    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a part has found. What is bad is printed at once.
    pub fn add(&self, row: &Row) {
        if row.expect == Expect::NoneBad {
            for detail in &row.details {
                eprintln!("bad: {} {} {}: {detail}", row.section, row.name, row.column);
            }
        }
        add(&mut self.rows(), row.clone());
    }

    /// What a section has found.
    pub fn of(&self, section: &str) -> Vec<Row> {
        self.rows().iter().filter(|row| row.section == section).cloned().collect()
    }

    /// Prints what is new, now and then, for as long as this process lives.
    pub fn print(&self) -> ! {
        let begun = Instant::now();
        let mut printed = String::new();
        loop {
            std::thread::sleep(EVERY);
            let now = tables::so_far(&self.rows());
            let minutes = begun.elapsed().as_secs() / 60;
            for line in now.lines().filter(|line| printed.lines().all(|before| before != *line)) {
                eprintln!("after {minutes} min, {line}");
            }
            printed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::problem::Harm;

    #[test]
    fn parts_of_a_row_are_one_and_sections_are_apart() {
        let tally = Tally::default();
        for (section, bad) in [("power", false), ("power", true), ("kill", false)] {
            let mut row = Row::new(section, "200 B", "ext4");
            row.count(bad.then(|| Harm::Lost.problem("version 1 of 2")));
            tally.add(&row);
        }
        let found = tally.of("power");
        assert_eq!((found.len(), found[0].states, found[0].bad), (1, 2, 1));
    }
}
