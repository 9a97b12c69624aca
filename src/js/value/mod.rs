//! JavaScript's values: read, made, kept, copied, awaited.

pub mod args;
pub mod copy;
pub mod data;
pub mod iteration;
pub mod promise;
pub mod raw;
pub mod signal;
pub mod thrown;
