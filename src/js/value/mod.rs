//! JavaScript's values: read, made, kept, copied, awaited.

pub mod args;
pub mod by_number;
pub mod copy;
pub mod data;
pub mod file_url;
pub mod handle;
pub mod iteration;
pub mod members;
pub mod once;
pub mod path;
pub mod promise;
pub mod raw;
pub mod signal;
pub mod thrown;

pub use by_number::ByNumber;
pub use data::Encoding;
pub use iteration::{Iteration, Next};
pub use once::Once;
pub use path::{CloudPath, FilePath, Target};
pub use promise::Wakeup;
pub use raw::{Kept, KeptAny};
pub use signal::Signal;
pub use thrown::{Result, Thrown};
