//! An index update on the JavaScript thread.

mod apply;
pub mod call;
pub mod codec;
pub mod crowd;
pub mod file;
pub mod format;
pub mod group;
pub mod held;
pub mod json;
pub mod keep;
pub mod lock;
pub mod look;
pub mod lost;
pub mod others;
pub mod patch;
pub mod pointer;
pub mod read;
pub mod recover;
pub mod schema;
mod stop;
pub mod textual;
pub mod view;
