//! The crash lab: runs the real addon in a real Node process and destroys the world around it.
//! `docs/crash-lab.md` describes how, and has the figures.

mod disk;
mod errors;
mod filesystems;
mod kill;
mod lab;
mod mutants;
mod power;
mod report;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use lexopt::prelude::*;

use lab::Lab;
use lab::budget::Budget;
use lab::cleanup_watchdog::{self, Role};
use lab::stop;
use report::{Expect, Findings, Report, document, tables};

/// The budget of `--short`, in seconds. The floor takes longer.
const SHORT: u64 = 30;

/// The exit code for arguments that mean nothing.
const MISUSED: u8 = 2;

/// A part of the lab.
struct Section {
    /// On the command line.
    name: &'static str,
    run: fn(&Lab, Budget) -> Result<Findings>,
    /// Its part of a budget. What it leaves goes to the later ones.
    weight: u32,
}

/// In the order in which they run. The last ones have enough to look at to use up what the others leave.
const SECTIONS: [Section; 5] = [
    Section { name: "mutants", run: mutants::run, weight: 20 },
    Section { name: "filesystems", run: filesystems::run, weight: 10 },
    Section { name: "kill", run: kill::run, weight: 20 },
    Section { name: "errors", run: errors::run, weight: 20 },
    Section { name: "power", run: power::run, weight: 30 },
];

struct Arguments {
    section: String,
    budget: Option<u64>,
    scene: String,
    seed: u64,
    parent: Option<u32>,
    json: Option<PathBuf>,
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{}", usage());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("crash-lab: {error:#}\n{}", usage());
            return ExitCode::from(MISUSED);
        }
    };
    lab(&arguments).unwrap_or_else(|error| {
        eprintln!("crash-lab: {error:#}");
        ExitCode::FAILURE
    })
}

/// Becomes the lab, or its watchdog.
fn lab(arguments: &Arguments) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        return finish(arguments, skip_all(arguments, "needs root"));
    }
    match cleanup_watchdog::split(arguments.parent)? {
        Role::Watchdog(code) => Ok(code),
        Role::Denied(why) => finish(arguments, skip_all(arguments, &why)),
        Role::Lab => match Lab::enter(arguments.scene.clone(), arguments.seed)? {
            Err(why) => finish(arguments, skip_all(arguments, &why)),
            Ok(lab) => {
                stop::listen()?;
                let tally = lab.tally.clone();
                std::thread::Builder::new().name("tally".to_owned()).spawn(move || tally.print())?;
                finish(arguments, run(arguments, &lab)?)
            }
        },
    }
}

fn chosen(arguments: &Arguments) -> Vec<&'static Section> {
    SECTIONS.iter().filter(|section| ["all", section.name].contains(&arguments.section.as_str())).collect()
}

fn skip_all(arguments: &Arguments, why: &str) -> Report {
    let skip = |section: &Section| Findings::skipped(section.name, why);
    Report::new(arguments.seed, arguments.budget, 0, chosen(arguments).into_iter().map(skip))
}

fn run(arguments: &Arguments, lab: &Lab) -> Result<Report> {
    let budget = arguments.budget;
    eprintln!("crash lab: seed {}, in {}", lab.seed, lab.scratch.display());
    let sections = chosen(arguments);
    if sections.iter().any(|section| section.name == "mutants") {
        // Building is not part of the budget.
        lab.mutant_addon()?;
    }
    let start = Instant::now();
    let time = Budget::new(budget.map(Duration::from_secs));
    let mut findings = Vec::new();
    for (number, section) in sections.iter().enumerate().take_while(|_| !stop::is_asked()) {
        let share = time.share(section.weight, sections[number + 1..].iter().map(|later| later.weight));
        let begun = Instant::now();
        // One section that cannot continue does not end the others.
        let found = (section.run)(lab, share)
            .unwrap_or_else(|error| Findings::broken(section.name, lab.tally.of(section.name), &error));
        let took = begun.elapsed().as_secs();
        eprintln!("{} in {took} s", tables::coverage(&found.coverage));
        findings.push(found);
    }
    let mut report = Report::new(lab.seed, budget, start.elapsed().as_secs(), findings);
    if stop::is_asked() {
        report.leave_out_unfinished();
    }
    Ok(report)
}

/// Prints and writes the report, and decides whether the run has failed.
fn finish(arguments: &Arguments, report: Report) -> Result<ExitCode> {
    let rows = &report.rows;
    println!("\n{}\n{}", tables::summary(rows), tables::tables(rows));
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(path) = &arguments.write {
        if report.stopped {
            eprintln!(
                "crash-lab: {} is as it was: the figures of a run that was stopped would replace all",
                path.display()
            );
        } else {
            document::write(path, &report)?;
        }
    }
    for row in rows.iter().filter(|row| row.expect == Expect::NoneBad) {
        for detail in &row.details {
            println!("{} {} {}: {detail}", row.section, row.name, row.column);
        }
    }
    let stopped = if report.stopped { ", stopped" } else { "" };
    println!("seed {}, {} s{stopped}", report.seed, report.seconds);
    for section in report.sections.iter().filter(|section| section.of != Some(0)) {
        println!("{}", tables::coverage(section));
    }
    let failures = report.failures();
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `None`: only how to use it is asked for.
fn arguments() -> Result<Option<Arguments>> {
    let mut found = Arguments {
        section: String::new(),
        budget: None,
        scene: String::new(),
        // Short enough to be typed.
        seed: u64::from(fastrand::u32(..)),
        parent: None,
        json: None,
        write: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("short") => found.budget = Some(SHORT),
            Long("budget") => found.budget = Some(parser.value()?.parse()?),
            Long("scene") => found.scene = parser.value()?.string()?,
            Long("seed") => found.seed = parser.value()?.parse()?,
            Long("parent") => found.parent = Some(parser.value()?.parse()?),
            Long("json") => found.json = Some(parser.value()?.into()),
            Long("write") => found.write = Some(parser.value()?.into()),
            Value(section) if found.section.is_empty() => found.section = section.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!(!found.section.is_empty(), "which section?");
    if chosen(&found).is_empty() {
        bail!("no section is called {}", found.section);
    }
    Ok(Some(found))
}

fn usage() -> String {
    format!(
        "usage: crash-lab {}|all [--short | --budget SECONDS] [--seed N] [--scene WORDS]\n\
         {:17}[--json FILE] [--write FILE.md] [--parent PID]\n\
         docs/crash-lab.md says what each is for.",
        SECTIONS.map(|section| section.name).join("|"),
        ""
    )
}
