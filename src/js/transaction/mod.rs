//! Transactions. What runs when is decided in `transaction.js`, because all of it is about calling functions and waiting for
//! promises; what touches a file is a job, by way of `natives`.

mod ahead;
mod at_once;
mod found;
mod functions;
mod jobs;
mod kept;
mod natives;
mod parse;
mod script;
mod textual;
mod written;

pub use parse::{Parse, ParsedUpdate};
pub use script::{Exported, call};
