//! Files of lines, to which any number of threads and processes append, and which others read meanwhile.
//!
//! ```
//! use pipeline_atomic_engine::lines::{AppendJob, AppendOptions, Bunch};
//! use pipeline_atomic_engine::{blocking, cancel::Cancel, data::Data, process::Ticket};
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("events.jsonl");
//! for line in ["{\"n\":1}\n", "{\"n\":2}\n"] {
//!     let bunch = Bunch::of(Data::Bytes(line.into()), 1);
//!     let (options, ticket) = (AppendOptions::default(), Ticket::take());
//!     let job = AppendJob::new(path.clone(), bunch, options, ticket, Cancel::default());
//!     blocking::run(job)?.expect("appended");
//! }
//! assert_eq!(std::fs::read_to_string(&path)?, "{\"n\":1}\n{\"n\":2}\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod bunch;
mod group;
mod job;
mod log;
mod options;
mod read_job;
mod rotate;
mod splitter;
mod tail;
mod torn;

pub use bunch::Bunch;
pub use job::{AppendJob, Outcome};
pub use options::{AppendOptions, Appended, Rotate, Torn};
pub use read_job::{OpenLinesJob, ReadLinesJob};
pub use splitter::{Item, Lost, Piece, Reader, Why};
