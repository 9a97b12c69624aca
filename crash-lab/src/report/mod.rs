//! What the sections found, in rows that they all share: one kind of table, one JSON and one verdict serve the whole
//! lab.

pub mod document;
pub mod problem;
pub mod tables;
pub mod tally;

use std::collections::BTreeMap;

use serde::Serialize;

use problem::{Harm, Problem};

/// At most this many bad states of a row are described; the rest are counted.
const DESCRIBED: usize = 5;

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    /// Seconds that the run was to take; `None`: as many as it needs.
    pub budget: Option<u64>,
    /// Seconds that it took, without building the addon with the mutants.
    pub seconds: u64,
    /// It ended before it had looked at all that it was to look at.
    pub stopped: bool,
    pub sections: Vec<Coverage>,
    pub rows: Vec<Row>,
}

impl Report {
    /// Of what the sections found.
    pub fn new(
        seed: u64,
        budget: Option<u64>,
        seconds: u64,
        findings: impl IntoIterator<Item = Findings>,
    ) -> Self {
        let (sections, rows): (Vec<_>, Vec<_>) =
            findings.into_iter().map(|found| (found.coverage, found.rows)).unzip();
        let rows = rows.into_iter().flatten().collect();
        Self { seed, budget, seconds, stopped: false, sections, rows }
    }

    /// A run that is stopped is judged by what it has found, not by what it was kept from: a row without a state, a mutant that was
    /// still being tried.
    pub fn leave_out_unfinished(&mut self) {
        self.stopped = true;
        let rows = std::mem::take(&mut self.rows);
        let is_judged = |row: &Row| {
            row.expect == Expect::NoneBad
                || like(&rows, row).any(|row| row.bad > 0)
                || !like(&rows, row).any(|row| row.interrupted)
        };
        let tells = |row: &&Row| (row.states > 0 || !row.interrupted) && is_judged(row);
        self.rows = rows.iter().filter(tells).cloned().collect();
    }

    /// Why the run has failed, a line for each reason; empty if all is well.
    pub fn failures(&self) -> Vec<String> {
        // A machine that can run none of it is no failure; with one section of it, all else has to show something.
        let is_skipped = !self.sections.is_empty() && self.sections.iter().all(|section| section.skipped);
        let is_empty = self.rows.iter().all(|row| row.states == 0);
        let nothing = (is_empty && !is_skipped).then(|| "nothing was checked".to_owned());
        nothing.into_iter().chain(failures(&self.rows)).collect()
    }
}

/// What a section returns.
#[derive(Clone, Debug)]
pub struct Findings {
    pub coverage: Coverage,
    pub rows: Vec<Row>,
}

impl Findings {
    /// Adds up the parts of a section: how much a full run looks at in each, and what was found, if it was looked at.
    pub fn sum(
        section: &'static str,
        unit: &'static str,
        parts: impl IntoIterator<Item = (u64, Option<Row>)>,
    ) -> Self {
        let (mut looked, mut of) = (0, 0);
        let mut rows = Vec::new();
        for (planned, row) in parts {
            let Some(row) = row else {
                of += planned;
                continue;
            };
            looked += row.states;
            // A recording may have fewer states than are wanted of it, or more: only its end tells.
            of += if row.interrupted { planned.max(row.states) } else { row.states };
            add(&mut rows, row);
        }
        Self { coverage: Coverage { section, looked, of: Some(of), unit, skipped: false }, rows }
    }

    /// Of a section that was stopped before it knew all that there is to look at.
    pub fn without_plan(section: &'static str, unit: &'static str) -> Self {
        Self { coverage: Coverage { section, looked: 0, of: None, unit, skipped: false }, rows: Vec::new() }
    }

    /// Of a section that this machine cannot run.
    pub fn skipped(section: &'static str, why: impl Into<String>) -> Self {
        let mut findings = Self::sum(section, "", []);
        findings.coverage.skipped = true;
        findings.rows.push(Row::skipped(section, "all of it", why));
        findings
    }

    /// Of a section that could not continue after it had found `rows`. It counts as a failure.
    pub fn broken(section: &'static str, rows: Vec<Row>, error: &anyhow::Error) -> Self {
        let mut findings = Self::without_plan(section, "checks");
        findings.coverage.looked = rows.iter().map(|row| row.states).sum();
        findings.rows = rows;
        let mut row = Row::new(section, "could not continue", "");
        row.count(Some(Harm::Untested.problem(format!("{error:#}"))));
        findings.rows.push(row);
        findings
    }
}

/// How much a section looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    pub section: &'static str,
    pub looked: u64,
    /// How much a run without a budget looks at; `None`: it ended before it knew.
    pub of: Option<u64>,
    /// What is counted.
    pub unit: &'static str,
    /// The machine allows none of it.
    pub skipped: bool,
}

/// What a row has to show for the run to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Not one bad state.
    #[default]
    NoneBad,
    /// A mutant: at least one bad state in at least one of the rows of the same section and name.
    Caught,
}

/// One cell of a table: how many states were bad, of all that were checked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// Which part of the lab: the tables are made by it.
    pub section: &'static str,
    /// What was done; a line of the section's table.
    pub name: String,
    /// On which file system it was done, or how files were staged; a column of the section's table.
    pub column: String,
    /// How many states, points or calls were checked.
    pub states: u64,
    /// Those in which a promise was broken.
    pub bad: u64,
    /// How it was broken.
    pub harms: BTreeMap<Harm, u64>,
    /// The most calls that shared a commit; 0 if none could.
    pub batch: usize,
    /// The run was stopped before all that the row stands for was looked at.
    pub interrupted: bool,
    /// What the numbers must be.
    pub expect: Expect,
    /// The first bad states, for a person to look into.
    pub details: Vec<String>,
    /// Why nothing was checked: the machine does not allow it.
    pub skipped: Option<String>,
}

impl Row {
    /// A row without states yet.
    pub fn new(section: &'static str, name: impl Into<String>, column: impl Into<String>) -> Self {
        let harms = Harm::ALL.map(|harm| (harm, 0)).into();
        Self { section, name: name.into(), column: column.into(), harms, ..Self::default() }
    }

    /// A row for what this machine cannot do.
    pub fn skipped(section: &'static str, name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::new(section, name, "") }
    }

    /// Counts one state that was checked, and what was wrong with it.
    pub fn count(&mut self, problem: Option<Problem>) {
        self.states += 1;
        if let Some(problem) = problem {
            self.bad += 1;
            *self.harms.entry(problem.harm).or_default() += 1;
            if self.details.len() < DESCRIBED {
                self.details.push(problem.to_string());
            }
        }
    }

    /// Adds what another part of the same row found.
    pub fn add(&mut self, other: Self) {
        self.states += other.states;
        self.bad += other.bad;
        self.batch = self.batch.max(other.batch);
        self.interrupted |= other.interrupted;
        for (harm, count) in other.harms {
            *self.harms.entry(harm).or_default() += count;
        }
        self.details.extend(other.details);
        self.details.truncate(DESCRIBED);
    }
}

/// Adds `row` to the one of the same section, name and column.
fn add(rows: &mut Vec<Row>, row: Row) {
    let is_same = |other: &&mut Row| {
        (other.section, &other.name, &other.column) == (row.section, &row.name, &row.column)
    };
    match rows.iter_mut().find(is_same) {
        Some(same) => same.add(row),
        None => rows.push(row),
    }
}

fn failures(rows: &[Row]) -> Vec<String> {
    let mut failures = Vec::new();
    for row in rows.iter().filter(|row| row.skipped.is_none()) {
        let at = format!("{} {} {}", row.section, row.name, row.column);
        match row.expect {
            Expect::NoneBad if row.bad > 0 => failures.push(format!("{at}: {} bad", row.bad)),
            // Where nothing was checked, nothing is shown.
            _ if row.states == 0 => failures.push(format!("{at}: no state was checked")),
            Expect::Caught if !like(rows, row).any(|row| row.bad > 0) => {
                failures.push(format!("{at}: not caught"))
            }
            _ => {}
        }
    }
    failures
}

/// Those of the same section and name, in all columns.
fn like<'a>(rows: &'a [Row], row: &'a Row) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(|other| (other.section, &other.name) == (row.section, &row.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_has_to_be_caught_in_one_column_only() {
        let mut survived = Row { expect: Expect::Caught, states: 9, ..Row::new("mutants", "fsync", "ext4") };
        assert_eq!(failures(&[survived.clone()]).len(), 1);
        let caught = Row { column: "xfs".into(), bad: 1, ..survived.clone() };
        assert!(failures(&[survived.clone(), caught]).is_empty());
        survived.expect = Expect::NoneBad;
        assert!(failures(&[survived]).is_empty());
    }

    fn report(findings: Vec<Findings>) -> Report {
        Report::new(1, None, 1, findings)
    }

    #[test]
    fn a_run_that_is_stopped_has_failed_only_by_what_it_has_found() {
        let row = |name, column, states, bad, interrupted, expect| Row {
            states,
            bad,
            interrupted,
            expect,
            ..Row::new("mutants", name, column)
        };
        let rows = [
            row("not begun", "ext4", 0, 0, true, Expect::NoneBad),
            row("not caught yet", "ext4", 9, 0, false, Expect::Caught),
            row("not caught yet", "xfs", 9, 0, true, Expect::Caught),
            row("survived", "ext4", 9, 0, false, Expect::Caught),
            row("empty", "ext4", 0, 0, false, Expect::NoneBad),
            row("caught", "ext4", 9, 1, false, Expect::Caught),
            row("caught", "xfs", 2, 0, true, Expect::Caught),
            row("caught", "btrfs", 0, 0, true, Expect::Caught),
            row("bad", "ext4", 9, 1, true, Expect::NoneBad),
        ];
        let mut report = report(vec![Findings::sum("mutants", "states", rows.map(|row| (9, Some(row))))]);
        report.leave_out_unfinished();
        assert!(report.stopped);
        let names: Vec<_> = report.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["survived", "empty", "caught", "caught", "bad"]);
        assert_eq!(
            report.failures(),
            [
                "mutants survived ext4: not caught",
                "mutants empty ext4: no state was checked",
                "mutants bad ext4: 1 bad"
            ]
        );
    }

    #[test]
    fn a_run_that_has_checked_nothing_has_failed() {
        let nothing = ["nothing was checked"];
        assert_eq!(report(vec![]).failures(), nothing);
        let mut found = Findings::sum("power", "states", [(9, None)]);
        assert_eq!(report(vec![found.clone()]).failures(), nothing);
        // Nor does it help that this machine could not have checked all.
        found.rows.push(Row::skipped("power", "btrfs", "needs mkfs.btrfs"));
        assert_eq!(report(vec![found.clone()]).failures(), nothing);
        let skipped = Findings::skipped("kill", "needs mkfs.ext4");
        assert_eq!(report(vec![skipped.clone(), found]).failures(), nothing);
        assert!(report(vec![skipped]).failures().is_empty());
    }

    #[test]
    fn a_part_that_was_interrupted_counts_as_planned() {
        let row = |states, interrupted| Row { states, interrupted, ..Row::new("power", "200 B", "ext4") };
        let parts = [(100, Some(row(120, false))), (100, Some(row(3, true))), (100, None)];
        let Coverage { looked, of, .. } = Findings::sum("power", "states", parts).coverage;
        assert_eq!((looked, of), (123, Some(320)));
    }

    #[test]
    fn a_section_that_cannot_continue_has_failed_and_keeps_what_it_has_found() {
        let mut row = Row::new("power", "200 B", "ext4");
        row.count(None);
        let found = Findings::broken("power", vec![row], &anyhow::anyhow!("no disk"));
        assert_eq!(found.rows.iter().map(|row| row.states).sum::<u64>(), 2);
        assert_eq!((found.coverage.looked, found.coverage.of), (1, None));
        assert_eq!(failures(&found.rows).len(), 1);
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
        row.count(Some(Harm::Lost.problem("version 1 of 2")));
        assert_eq!((row.states, row.bad, row.harms[&Harm::Lost], row.harms[&Harm::Torn]), (2, 1, 1, 0));
    }

    #[test]
    fn parts_of_a_row_add_up() {
        let part = |harm: Harm| {
            let mut row = Row::new("power", "200 B", "ext4");
            row.count(None);
            row.count(Some(harm.problem("it")));
            row
        };
        let mut rows = vec![Row::new("power", "200 B", "xfs")];
        add(&mut rows, part(Harm::Lost));
        add(&mut rows, part(Harm::Torn));
        assert_eq!((rows.len(), rows[1].states, rows[1].bad, rows[1].details.len()), (2, 4, 2, 2));
        assert_eq!((rows[1].harms[&Harm::Lost], rows[1].harms[&Harm::Torn]), (1, 1));
    }
}
