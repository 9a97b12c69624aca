//! The Markdown tables of a run.

use std::fmt::Write as _;

use super::problem::Harm;
use super::{Coverage, Expect, Row};

/// How much of everything a section looked at.
pub fn coverage(Coverage { section, looked, of, unit, .. }: &Coverage) -> String {
    let of = of.map(|of| format!(" of {}", grouped(of))).unwrap_or_default();
    format!("{section}: {}{of} {unit}", grouped(*looked))
}

/// A table for each section: a line for each name, cells "bad / checked", and how those were bad.
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
    let columns = distinct(rows.iter().map(|row| row.column.as_str()));
    let head = columns.iter().map(|column| if column.is_empty() { "bad / checked" } else { column });
    let harms = harms(rows);
    let names = distinct(rows.iter().map(|row| row.name.as_str()));
    line(text, section, head.map(str::to_owned).chain(harms.iter().map(|harm| harm.name().to_owned())));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(columns.len() + harms.len()));
    for name in names {
        let here: Vec<&Row> = rows.iter().copied().filter(|row| row.name == name).collect();
        let cells = columns.iter().map(|column| {
            let here = here.iter().filter(|row| row.column == *column);
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

/// A line for each section: the counts that have to be zero, and of how many.
pub fn summary(rows: &[Row]) -> String {
    let whole: Vec<&Row> = rows.iter().filter(|row| row.expect == Expect::NoneBad).collect();
    let harms = harms(&whole);
    let mut text = String::new();
    let head = ["checked"].into_iter().chain(harms.iter().map(|harm| harm.name()));
    line(&mut text, "every step in its place", head.map(str::to_owned));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(1 + harms.len()));
    for section in distinct(whole.iter().map(|row| row.section)) {
        let here: Vec<&Row> = whole.iter().copied().filter(|row| row.section == section).collect();
        let states = here.iter().map(|row| row.states).sum();
        let counts = [states].into_iter().chain(harms.iter().map(|harm| sum(&here, *harm)));
        line(&mut text, section, counts.map(grouped));
    }
    text
}

/// A line for each name: how many were bad of those that were checked, by column.
pub fn so_far(rows: &[Row]) -> String {
    let mut text = String::new();
    for (section, name) in distinct(rows.iter().map(|row| (row.section, row.name.as_str()))) {
        let here = rows.iter().filter(|row| (row.section, row.name.as_str()) == (section, name));
        let cells = here.map(|row| {
            format!("{} {} / {}", row.column, grouped(row.bad), grouped(row.states)).trim_start().to_owned()
        });
        let _ = writeln!(text, "{section}, {name}: {}", cells.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Those that have a column. The lab's own failures have one only if there are any.
fn harms(rows: &[&Row]) -> Vec<Harm> {
    Harm::ALL.into_iter().filter(|harm| *harm != Harm::Untested || sum(rows, *harm) > 0).collect()
}

fn sum(rows: &[&Row], harm: Harm) -> u64 {
    rows.iter().filter_map(|row| row.harms.get(&harm)).sum()
}

fn line(text: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let _ = writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn distinct<T: Copy + PartialEq>(names: impl Iterator<Item = T>) -> Vec<T> {
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
    fn the_summary_counts_each_kind_of_harm() {
        let mut row = Row::new("power", "200 B", "ext4");
        row.count(None);
        row.count(Some(Harm::Lost.problem("version 1 of 2")));
        assert!(summary(&[row]).ends_with("| power | 2 | 0 | 1 | 0 | 0 | 0 | 0 |\n"));
    }

    #[test]
    fn what_was_found_so_far_is_a_line_for_each_name() {
        let row = |column, bad| Row { states: 1200, bad, ..Row::new("power", "200 B", column) };
        let text = so_far(&[row("ext4", 0), row("xfs", 3), Row { states: 2, ..Row::new("kill", "a", "") }]);
        assert_eq!(text, "power, 200 B: ext4 0 / 1,200, xfs 3 / 1,200\nkill, a: 0 / 2\n");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
