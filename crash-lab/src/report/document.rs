//! Puts the figures of a run into the page that explains them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Report, tables};
use crate::lab::addon::{SOURCES, root};

const BEGIN: &str = "<!-- figures: begin (made by `crash-lab all --write`, not by hand) -->";
const END: &str = "<!-- figures: end -->";

/// Replaces what stands between the markers in `page`.
pub fn write(page: &Path, report: &Report) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let (before, rest) = text.split_once(BEGIN).context("the page has no marker to begin at")?;
    let (_, after) = rest.split_once(END).context("the page has no marker to end at")?;
    let figures = figures(report);
    std::fs::write(page, format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))?;
    Ok(())
}

fn figures(report: &Report) -> String {
    let uname = rustix::system::uname();
    let kernel = uname.release().to_string_lossy();
    let Report { seed, seconds, sections, rows, .. } = report;
    let mut text = format!("Linux {kernel}, Node {}, seed {seed}, commit {}, ", node(), commit());
    let _ = writeln!(text, "{} minutes.\n", seconds.div_ceil(60));
    for section in sections {
        let _ = writeln!(text, "- {}", tables::coverage(section));
    }
    let _ = writeln!(text, "\n{}", tables::summary(rows));
    text.push_str("In detail, bad / checked, and how the bad ones were:\n\n");
    text.push_str(tables::tables(rows).trim_end());
    text.push('\n');
    text
}

fn node() -> String {
    first_line(Command::new("node").arg("--version")).unwrap_or_else(|| "?".into())
}

/// The commit that is checked out, and whether there are changes that are not committed.
fn commit() -> String {
    let git = |arguments: &[&str]| first_line(Command::new("git").args(arguments));
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    match git(&[&["status", "--porcelain", "--"], &SOURCES[..]].concat()) {
        Some(_) => format!("{commit} and changes"),
        None => commit,
    }
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.current_dir(root().ok()?).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().filter(|_| output.status.success()).map(|line| line.trim().to_owned())
}
