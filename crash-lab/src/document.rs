//! Puts the figures of a run into the page that explains them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::report::{self, Row};

const BEGIN: &str = "<!-- figures: begin (made by `crash-lab all --write`, not by hand) -->";
const END: &str = "<!-- figures: end -->";

/// Replaces what stands between the markers in `page`.
pub fn write(page: &Path, rows: &[Row], seed: u64) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let (before, rest) = text.split_once(BEGIN).context("the page has no marker to begin at")?;
    let (_, after) = rest.split_once(END).context("the page has no marker to end at")?;
    let figures = figures(rows, seed);
    std::fs::write(page, format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))?;
    Ok(())
}

fn figures(rows: &[Row], seed: u64) -> String {
    let uname = rustix::system::uname();
    let kernel = uname.release().to_string_lossy();
    let mut text = format!("Linux {kernel}, Node {}, seed {seed}, commit {}.\n\n", node(), commit());
    let _ = writeln!(text, "{}", report::summary(rows));
    text.push_str("In detail, bad / checked, and how the bad ones were:\n\n");
    text.push_str(report::tables(rows).trim_end());
    text.push('\n');
    text
}

fn node() -> String {
    first_line(Command::new("node").arg("--version")).unwrap_or_else(|| "?".into())
}

/// The commit that is checked out; what is not committed yet is said.
fn commit() -> String {
    let git = |arguments: &[&str]| first_line(Command::new("git").args(arguments));
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    match git(&["status", "--porcelain", "--", "src", "crash-lab", "Cargo.lock"]) {
        Some(_) => format!("{commit} and changes"),
        None => commit,
    }
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().filter(|_| output.status.success()).map(|line| line.trim().to_owned())
}
