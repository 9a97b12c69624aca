//! Section: the lab must be able to fail. It leaves out each step of the protocol, and has to notice: after a power cut if
//! the step is there for those, or else under the fault that the step is there for.

mod fault;

use anyhow::Result;

use crate::disk::filesystem::Kind;
use crate::lab::budget::Budget;
use crate::lab::order::Order;
use crate::lab::parallel::{self, Plan};
use crate::lab::{Lab, stop};
use crate::power::cut::{Cut, SIZES};
use crate::power::setting::Setting;
use crate::power::work::Work;
use crate::report::{Expect, Findings, Row};
use fault::Fault;

const SECTION: &str = "mutants";

/// Mounting is mostly waiting.
const THREADS: usize = 4;

/// What only a power cut brings to light.
const FOR_POWER: [&str; 9] = [
    "fsync",
    "file-fsync",
    "dir-fsync",
    "fsync-order",
    "next-flush",
    "batch-fsync",
    "tree-fsync",
    "in-place-fsync",
    "append-fsync",
];

/// The same, of transactions.
const TOGETHER: [&str; 5] = ["staged-fsync", "record-fsync", "names-fsync", "finished-order", "mkdir-fsync"];

/// On other file systems the data of a batch is on the disk before its renames, even without the flush: it was caught in
/// none of 1,200 states on ext4, and in 2 on xfs.
const ONLY_ON_BTRFS: &str = "batch-fsync";
/// These show soonest on btrfs. `staged-fsync` shows there in the first or second state, and on ext4 and xfs in none of 160 states;
/// `mkdir-fsync` in the first or second state of six runs, and elsewhere in one of 6 to 44. (Not `next-flush`, which shows there also if a
/// flush of the recorder takes no time: on xfs it then passes.)
const FIRST_ON_BTRFS: [&str; 2] = ["staged-fsync", "mkdir-fsync"];
const BTRFS: &str = "btrfs";

/// Once more where a flush takes another way.
const ELSEWHERE: [(&str, Setting); 4] = [
    ("file-fsync", Setting::Named),
    ("dir-fsync", Setting::Named),
    ("file-fsync", Setting::Overlay),
    ("dir-fsync", Setting::Overlay),
];

/// What other faults bring to light.
const FOR_FAULTS: [(&str, Fault); 16] = [
    ("write-loop", Fault::ShortWrite),
    ("append-undo", Fault::ShortWrite),
    ("torn-line", Fault::ShortWrite),
    ("verify", Fault::LossyDrive),
    ("lock-identity", Fault::ManyProcesses),
    ("root-lock", Fault::Turns),
    ("last-look", Fault::Meanwhile),
    ("lock-pointer", Fault::Survivor),
    ("foreign-change", Fault::Foreign),
    ("checksum", Fault::Torn),
    ("moved-look", Fault::Moved),
    ("put-back", Fault::Moved),
    ("bring-back", Fault::Away),
    ("moved-fsync", Fault::Left),
    ("patch-undo", Fault::Patched),
    ("kept-text", Fault::Patched),
];

/// How many states of a mutant a full run checks for each file system and size.
const STATES: usize = 400;

/// With a budget, so many states are checked until one is bad. What a mutant does shows in some recordings and not in others.
const UNTIL_BAD: usize = 1_800;

/// How many of them are of one recording. A state of transactions takes longer than one of files, because they are recovered in it: of a
/// recording that shows nothing only a few are looked at.
const fn of_one(work: Work) -> usize {
    match work {
        Work::Files => 50,
        Work::Together => 10,
    }
}

/// What is left out, and where that has to be noticed.
#[derive(Clone, Copy, Debug)]
enum Trial {
    Power(&'static str, Setting),
    Together(&'static str),
    /// `None`: the same fault with the addon that is published. Nothing may be bad then.
    Fault(Option<&'static str>, Fault),
}

impl Trial {
    fn row(self, kind: &Kind) -> Row {
        match self {
            Self::Power(mutant, Setting::Plain) | Self::Together(mutant) | Self::Fault(Some(mutant), _) => {
                Row { expect: Expect::Caught, ..Row::new(SECTION, mutant, kind.name) }
            }
            Self::Power(mutant, setting) => {
                let name = format!("{mutant}, {}", setting.name());
                Row { expect: Expect::Caught, ..Row::new(SECTION, name, kind.name) }
            }
            Self::Fault(None, fault) => Row::new(SECTION, format!("nothing ({})", fault.name()), kind.name),
        }
    }

    /// Why it cannot be tried here.
    fn missing(self, kinds: &[&Kind]) -> Option<String> {
        match self {
            Self::Power(ONLY_ON_BTRFS, _) if !kinds.iter().any(|kind| kind.name == BTRFS) => {
                Some("needs btrfs: elsewhere the data is on the disk in time without the flush".into())
            }
            Self::Power(..) | Self::Together(_) => None,
            Self::Fault(_, fault) => fault.missing(),
        }
    }
}

/// Runs the section.
pub fn run(lab: &Lab, budget: Budget) -> Result<Findings> {
    let (here, missing) = Kind::all();
    if here.is_empty() {
        return Ok(Findings::skipped(SECTION, missing[0].1.clone()));
    }
    let mut skipped: Vec<Row> =
        missing.into_iter().map(|(kind, why)| Row::skipped(SECTION, kind.name, why)).collect();
    let mut trials = Vec::new();
    let wanted = |trial: &Trial| trial.row(Kind::FIRST).name.contains(&lab.scene);
    for trial in all().filter(wanted) {
        match trial.missing(&here) {
            None => trials.push(trial),
            Some(why) => skipped.push(Row::skipped(SECTION, trial.row(Kind::FIRST).name, why)),
        }
    }
    let once_more =
        |trial: usize| matches!(trials[trial], Trial::Power(_, setting) if setting != Setting::Plain);
    let order = Order::new(trials.len(), budget, &mut lab.rng(SECTION))
        // All of those count as one kind.
        .at_least_one_of_each(|trial| if once_more(trial) { trials.len() } else { trial });
    let plan = Plan { name: SECTION, items: &trials, order, budget, threads: THREADS };
    let attempt = |(): &(), trial: &Trial| {
        let rows =
            if budget.is_limited() { once(lab, *trial, &here) } else { everywhere(lab, *trial, &here) };
        rows.inspect(|rows| rows.iter().for_each(|row| lab.tally.add(row)))
    };
    let done = parallel::each(&plan, |_| Ok(()), attempt)?;
    let tells =
        |rows: &&Vec<Row>| rows.iter().any(|row| row.bad > 0) || !rows.iter().any(|row| row.interrupted);
    let (of, looked) = (done.len() as u64, done.iter().flatten().filter(tells).count() as u64);
    let parts = done.into_iter().flatten().flatten().map(|row| (0, Some(row)));
    let mut findings = Findings::sum(SECTION, "mutants and controls", parts);
    // A full run looks at the same ones, in more states.
    (findings.coverage.looked, findings.coverage.of) = (looked, Some(of));
    findings.rows.extend(skipped);
    Ok(findings)
}

fn all() -> impl Iterator<Item = Trial> {
    let plain = FOR_POWER.iter().map(|mutant| Trial::Power(mutant, Setting::Plain));
    let elsewhere = ELSEWHERE.iter().map(|(mutant, setting)| Trial::Power(mutant, *setting));
    let faults = FOR_FAULTS.iter().map(|(mutant, fault)| Trial::Fault(Some(mutant), *fault));
    // One for each fault, whatever brings it to light.
    let is_first = |at: &usize| FOR_FAULTS[..*at].iter().all(|(_, fault)| *fault != FOR_FAULTS[*at].1);
    let controls = (0..FOR_FAULTS.len()).filter(is_first).map(|at| Trial::Fault(None, FOR_FAULTS[at].1));
    plain.chain(TOGETHER.map(Trial::Together)).chain(elsewhere).chain(faults).chain(controls)
}

/// On every file system, with as many states as give a figure.
fn everywhere(lab: &Lab, trial: Trial, kinds: &[&Kind]) -> Result<Vec<Row>> {
    let (mutant, setting, work) = match trial {
        Trial::Power(mutant, setting) => (mutant, setting, Work::Files),
        Trial::Together(mutant) => (mutant, Setting::Plain, Work::Together),
        Trial::Fault(mutant, fault) => {
            return kinds.iter().map(|kind| fault.run(lab, kind, mutant, false, trial.row(kind))).collect();
        }
    };
    let of_size = if setting == Setting::Plain { STATES } else { STATES / 2 } as u64;
    let (addon, mutant, until_bad) = (lab.mutant_addon()?, Some(mutant), false);
    let mut rows = Vec::new();
    for kind in kinds {
        let mut row = trial.row(kind);
        for (_, size) in SIZES {
            let enough = row.states + of_size;
            let mut rng = lab.rng(&format!("{} {size} {}", row.name, kind.name));
            while row.states < enough && !stop::is_asked() {
                let states = (enough - row.states) as usize;
                let cut = Cut { kind, addon, mutant, setting, work, size, states, until_bad };
                cut.run(lab, &mut rng, &mut row)?;
            }
            row.interrupted |= row.states < enough;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Until it is noticed, on file systems and with sizes in a random order.
fn once(lab: &Lab, trial: Trial, kinds: &[&Kind]) -> Result<Vec<Row>> {
    let mut rng = lab.rng(&trial.row(Kind::FIRST).name);
    // The largest files show nothing of transactions that those of three pages do not.
    let sizes = if matches!(trial, Trial::Together(_)) { 2 } else { SIZES.len() };
    let mut places: Vec<(&Kind, usize)> =
        kinds.iter().flat_map(|kind| SIZES[..sizes].iter().map(|(_, size)| (*kind, *size))).collect();
    rng.shuffle(&mut places);
    let (mutant, setting, work) = match trial {
        Trial::Power(mutant, setting) => (mutant, setting, Work::Files),
        Trial::Together(mutant) => (mutant, Setting::Plain, Work::Together),
        Trial::Fault(mutant, fault) => {
            let kind = places[0].0;
            return Ok(vec![fault.run(lab, kind, mutant, true, trial.row(kind))?]);
        }
    };
    places.retain(|(kind, _)| mutant != ONLY_ON_BTRFS || kind.name == BTRFS);
    if FIRST_ON_BTRFS.contains(&mutant) {
        places.sort_by_key(|(kind, _)| kind.name != BTRFS);
    }
    let (addon, mutant, states, until_bad) = (lab.mutant_addon()?, Some(mutant), of_one(work), true);
    let recordings = UNTIL_BAD / states;
    let mut rows = Vec::new();
    for (number, (kind, size)) in places.into_iter().cycle().take(recordings).enumerate() {
        let mut row = trial.row(kind);
        let cut = Cut { kind, addon, mutant, setting, work, size, states, until_bad };
        cut.run(lab, &mut rng, &mut row)?;
        let (caught, name) = (row.bad > 0, row.name.clone());
        let is_stopped = !caught && number + 1 < recordings && stop::is_asked();
        row.interrupted |= is_stopped;
        rows.push(row);
        if caught || is_stopped {
            break;
        }
        eprintln!("mutants: {name} on {}: not caught yet", kind.name);
    }
    Ok(rows)
}
