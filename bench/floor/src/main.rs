//! The floor of the benchmarks: what the same writes cost without Node, N-API and a JavaScript thread.
//!
//! The bench keeps this program running and asks for one batch at a time, in turn with the other
//! contenders, so that all of them meet the same machine. A request is a line of fields with tabs
//! between them, so is the answer:
//!
//! ```text
//! data    FILE                                          what every write from now on writes
//! run     engine|bare  new|replaced  THREADS  LANES  WRITES  FIRST  FOLDER
//! ok      NANOSECONDS  [STEP ...]                       bare: what each step took, of all threads together
//! error   MESSAGE
//! ```
//!
//! A batch is WRITES writes in each of LANES lanes. A lane replaces one file over and over
//! (`LANE.json`), or each write makes a file of its own (`new-FIRST.json` and onwards).

#[cfg(target_os = "linux")]
mod bare;
#[cfg(not(target_os = "linux"))]
#[path = "bare_elsewhere.rs"]
mod bare;
mod batch;

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pipeline_atomic_engine::{blocking, write::options::Options};

use batch::{Batch, Names};

fn main() -> Result<()> {
    let mut data = Vec::new();
    for line in io::stdin().lock().lines() {
        let answer = match answer(&line?, &mut data) {
            Ok(Took { wall, steps }) => {
                let steps: String = steps.iter().map(|step| format!("\t{step}")).collect();
                format!("ok\t{}{steps}", wall.as_nanos())
            }
            Err(error) => format!("error\t{error:#}").replace('\n', " "),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

#[derive(Default)]
struct Took {
    wall: Duration,
    /// Nanoseconds, as in [`bare::Folder::spent`].
    steps: Vec<u64>,
}

fn answer(line: &str, data: &mut Vec<u8>) -> Result<Took> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields[..] {
        ["data", file] => {
            *data = std::fs::read(file).with_context(|| file.to_owned())?;
            Ok(Took::default())
        }
        ["run", what, kind, threads, lanes, writes, first, folder] => {
            let batch = Batch {
                names: match kind {
                    "new" => Names::New { first: first.parse()? },
                    "replaced" => Names::Lanes,
                    other => bail!("neither new nor replaced: {other}"),
                },
                threads: threads.parse()?,
                lanes: lanes.parse()?,
                writes: writes.parse()?,
            };
            run(what, &batch, Path::new(folder), data)
        }
        _ => bail!("not a request: {line}"),
    }
}

fn run(what: &str, batch: &Batch, folder: &Path, data: &[u8]) -> Result<Took> {
    match what {
        "engine" => {
            let options = Options::default();
            let wall = batch.time(|name| {
                let receipt = blocking::write(&folder.join(name), data, &options)?;
                anyhow::ensure!(
                    receipt.written && receipt.verified.is_some(),
                    "the engine did less: {receipt:?}"
                );
                Ok(())
            })?;
            Ok(Took { wall, steps: Vec::new() })
        }
        "bare" => {
            let folder = bare::Folder::open(folder)?;
            let wall = batch.time(|name| folder.write(name, data, matches!(batch.names, Names::Lanes)))?;
            Ok(Took { wall, steps: folder.spent() })
        }
        other => bail!("neither engine nor bare: {other}"),
    }
}
