//! Power cuts in transactions: the workload, what it promises, and the recovery after a cut.

mod check;
mod history;
mod moved;
mod recoverer;

pub use check::check;
pub use history::History;
pub use recoverer::{Recoverer, Recoverers, slowed};
