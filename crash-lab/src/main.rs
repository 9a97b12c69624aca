//! The crash lab: runs the real addon in a real Node process and destroys the world around it.
//! `docs/crash-lab.md` says how, and holds the figures.

mod disk;
mod document;
mod drive;
mod errors;
mod fault;
mod filesystem;
mod ground;
mod kill;
mod lab;
mod liar;
mod loopback;
mod mutants;
mod pages;
mod parallel;
mod power;
mod problem;
mod recorder;
mod report;
mod undertaker;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use lab::Lab;
use report::Row;

/// A part of the lab: its name on the command line, and what it does.
type Section = (&'static str, fn(&Lab) -> Result<Vec<Row>>);

const SECTIONS: &[Section] = &[
    ("power", power::run),
    ("mutants", mutants::run),
    ("kill", kill::run),
    ("errors", errors::run),
    ("ground", ground::run),
];

struct Arguments {
    section: String,
    short: bool,
    scene: String,
    seed: u64,
    json: Option<PathBuf>,
    write: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == undertaker::COMMAND) {
        undertaker::wait(words.next().unwrap_or_default().into())?;
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = arguments()?;
    let chosen: Vec<&Section> =
        SECTIONS.iter().filter(|(name, _)| ["all", name].contains(&arguments.section.as_str())).collect();
    let mut rows = Vec::new();
    match Lab::enter(arguments.short, arguments.scene, arguments.seed)? {
        Ok(lab) => {
            for (name, run) in chosen {
                // One part that cannot go on does not take the others with it.
                rows.extend(run(&lab).unwrap_or_else(|error| vec![Row::broken(name, &error)]));
            }
        }
        Err(why) => rows.extend(chosen.iter().map(|(name, _)| Row::skipped(name, "all of it", why.clone()))),
    }
    println!("\n{}\n{}", report::summary(&rows), report::tables(&rows));
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)?)?;
    }
    if let Some(path) = &arguments.write {
        document::write(path, &rows, arguments.seed)?;
    }
    for row in rows.iter().filter(|row| row.expect == report::Expect::NoneBad) {
        for detail in &row.details {
            println!("{} {} {}: {detail}", row.section, row.name, row.ground);
        }
    }
    let failures = report::failures(&rows);
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments {
        section: String::new(),
        short: false,
        scene: String::new(),
        seed: 1,
        json: None,
        write: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("short") => found.short = true,
            Long("scene") => found.scene = parser.value()?.string()?,
            Long("seed") => found.seed = parser.value()?.parse()?,
            Long("json") => found.json = Some(parser.value()?.into()),
            Long("write") => found.write = Some(parser.value()?.into()),
            Value(section) if found.section.is_empty() => found.section = section.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let known = SECTIONS.iter().any(|(name, _)| *name == found.section) || found.section == "all";
    if !known {
        let names = SECTIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("|");
        bail!(
            "usage: crash-lab {names}|all [--short] [--scene WORDS] [--seed N] [--json FILE] [--write FILE.md]"
        );
    }
    Ok(found)
}
