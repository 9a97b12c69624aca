//! A directory that the user's function fills.

pub mod build;
