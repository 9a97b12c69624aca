//! What a section found: rows that all sections share, so that one table, one JSON and one verdict
//! serve the whole lab.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::problem::{Harm, Problem};

/// At most this many bad states are told in words; the rest are counted.
const TOLD: usize = 5;

/// What a row has to show for the run to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Not one bad state.
    #[default]
    NoneBad,
    /// A mutant: at least one bad state on at least one ground (rows of the same section and name).
    Caught,
}

/// One cell of a table: how many states were bad, of all that were checked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// Which part of the lab: the tables are made by it.
    pub section: &'static str,
    /// What was done; a line of the section's table.
    pub name: String,
    /// Where it was done (the file system, mostly); a column of the section's table.
    pub ground: String,
    /// States, kill points, error points: whatever was checked.
    pub states: u64,
    /// Those in which a promise was broken.
    pub bad: u64,
    /// How it was.
    pub harms: BTreeMap<Harm, u64>,
    /// The most calls that shared a commit; 0 where none could.
    pub batch: usize,
    /// What the numbers must be.
    pub expect: Expect,
    /// The first bad states, for a person to look into.
    pub details: Vec<String>,
    /// Why nothing was checked: the machine does not allow it.
    pub skipped: Option<String>,
}

impl Row {
    /// A row without states yet.
    pub fn new(section: &'static str, name: impl Into<String>, ground: impl Into<String>) -> Self {
        let harms = Harm::ALL.map(|harm| (harm, 0)).into();
        Self { section, name: name.into(), ground: ground.into(), harms, ..Self::default() }
    }

    /// A row for what this machine cannot do.
    pub fn skipped(section: &'static str, name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::new(section, name, "") }
    }

    /// A row for a section that could not go on: never to be taken for a success.
    pub fn broken(section: &'static str, error: &anyhow::Error) -> Self {
        let mut row = Self::new(section, "could not go on", "");
        row.count(Some(Harm::Untested.told(format!("{error:#}"))));
        row
    }

    /// Counts one state that was checked; `problem` tells what was wrong with it.
    pub fn count(&mut self, problem: Option<Problem>) {
        self.states += 1;
        if let Some(problem) = problem {
            self.bad += 1;
            *self.harms.entry(problem.harm).or_default() += 1;
            if self.details.len() < TOLD {
                self.details.push(problem.to_string());
            }
        }
    }
}

/// What speaks against the run, one line a reason; empty when all is well.
pub fn failures(rows: &[Row]) -> Vec<String> {
    let mut failures = Vec::new();
    for row in rows.iter().filter(|row| row.skipped.is_none()) {
        let at = format!("{} {} {}", row.section, row.name, row.ground);
        match row.expect {
            Expect::NoneBad if row.bad > 0 => failures.push(format!("{at}: {} bad", row.bad)),
            // Nothing checked is nothing shown.
            _ if row.states == 0 => failures.push(format!("{at}: no state was checked")),
            Expect::Caught if !caught_somewhere(rows, row) => failures.push(format!("{at}: not caught")),
            _ => {}
        }
    }
    failures
}

fn caught_somewhere(rows: &[Row], row: &Row) -> bool {
    rows.iter().any(|other| other.section == row.section && other.name == row.name && other.bad > 0)
}

/// One Markdown table a section: a line a name, a column a ground, cells "bad / states", and how they were bad.
pub fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    for section in distinct(rows.iter().map(|row| row.section)) {
        let here: Vec<&Row> = rows.iter().filter(|row| row.section == section).collect();
        let checked: Vec<&Row> = here.iter().copied().filter(|row| row.skipped.is_none()).collect();
        let _ = writeln!(text, "### {section}\n");
        if !checked.is_empty() {
            table(&mut text, section, &checked);
        }
        for row in here {
            if let Some(why) = &row.skipped {
                let _ = writeln!(text, "- skipped: {}: {why}\n", row.name);
            }
        }
    }
    text
}

fn table(text: &mut String, section: &str, rows: &[&Row]) {
    let grounds = distinct(rows.iter().map(|row| row.ground.as_str()));
    let head = grounds.iter().map(|ground| if ground.is_empty() { "bad / checked" } else { ground });
    let harms = harms(rows);
    let names = distinct(rows.iter().map(|row| row.name.as_str()));
    line(text, section, head.map(str::to_owned).chain(harms.iter().map(|harm| harm.name().to_owned())));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(grounds.len() + harms.len()));
    for name in names {
        let here: Vec<&Row> = rows.iter().copied().filter(|row| row.name == name).collect();
        let cells = grounds.iter().map(|ground| {
            let here = here.iter().filter(|row| row.ground == *ground);
            let (bad, states) = here.fold((0, 0), |sum, row| (sum.0 + row.bad, sum.1 + row.states));
            if states == 0 { String::new() } else { format!("{} / {}", grouped(bad), grouped(states)) }
        });
        line(text, name, cells.chain(harms.iter().map(|harm| grouped(sum(&here, *harm)))));
    }
    if let Some(batch) = rows.iter().map(|row| row.batch).max().filter(|batch| *batch > 1) {
        let _ = writeln!(text, "\nThe largest group of index updates in one commit: {batch}.");
    }
    text.push('\n');
}

/// One line a section: all that has to be zero, and of how much.
pub fn summary(rows: &[Row]) -> String {
    let honest: Vec<&Row> = rows.iter().filter(|row| row.expect == Expect::NoneBad).collect();
    let harms = harms(&honest);
    let mut text = String::new();
    let head = ["checked"].into_iter().chain(harms.iter().map(|harm| harm.name()));
    line(&mut text, "every step in its place", head.map(str::to_owned));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(1 + harms.len()));
    for section in distinct(honest.iter().map(|row| row.section)) {
        let here: Vec<&Row> = honest.iter().copied().filter(|row| row.section == section).collect();
        let states = here.iter().map(|row| row.states).sum();
        let counts = [states].into_iter().chain(harms.iter().map(|harm| sum(&here, *harm)));
        line(&mut text, section, counts.map(grouped));
    }
    text
}

/// Those that have a column: the lab's own failures only if there are any.
fn harms(rows: &[&Row]) -> Vec<Harm> {
    Harm::ALL.into_iter().filter(|harm| *harm != Harm::Untested || sum(rows, *harm) > 0).collect()
}

fn sum(rows: &[&Row], harm: Harm) -> u64 {
    rows.iter().filter_map(|row| row.harms.get(&harm)).sum()
}

fn line(text: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let _ = writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// 12345 as 12,345.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_needs_to_be_caught_on_one_ground_only() {
        let mut survived = Row { expect: Expect::Caught, states: 9, ..Row::new("mutants", "fsync", "ext4") };
        assert_eq!(failures(&[survived.clone()]).len(), 1);
        let caught = Row { ground: "xfs".into(), bad: 1, ..survived.clone() };
        assert!(failures(&[survived.clone(), caught]).is_empty());
        survived.expect = Expect::NoneBad;
        assert!(failures(&[survived]).is_empty());
    }

    #[test]
    fn an_empty_row_is_a_failure_and_a_skipped_one_is_not() {
        assert_eq!(failures(&[Row::new("power", "200 B", "ext4")]).len(), 1);
        assert!(failures(&[Row::skipped("power", "ext4", "needs root")]).is_empty());
    }

    #[test]
    fn a_problem_is_counted_by_its_kind() {
        let mut row = Row::new("power", "200 B", "ext4");
        row.count(None);
        row.count(Some(Harm::Lost.told("version 1 of 2")));
        assert_eq!((row.states, row.bad, row.harms[&Harm::Lost], row.harms[&Harm::Torn]), (2, 1, 1, 0));
        assert!(summary(&[row]).ends_with("| power | 2 | 0 | 1 | 0 | 0 | 0 | 0 |\n"));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
