//! What there is one of in a process.

pub(crate) mod budget;
pub mod buffer_pool;
pub(crate) mod deferred_close;
mod deferred_drop;
pub(crate) mod flush;
mod helpers;
pub mod inside;
mod joining;
pub(crate) mod parallel;
pub mod queue;
mod spare;
pub(crate) mod sync;
pub(crate) mod thread;
pub(crate) mod under_way;

pub(crate) use budget::{DescriptorBudget, Gathering, Slot};
pub(crate) use buffer_pool::{copy_text, room_to_read};
pub use buffer_pool::{try_room, try_room_for_bytes};
pub(crate) use deferred_close::{Old, Replaced};
pub use deferred_drop::drop_later;
pub(crate) use helpers::{MOST_HELPERS, with_helpers};
pub use inside::Inside;
pub(crate) use parallel::{each, each_at_once};
pub use queue::{CallId, Called, FollowerPlace, Key, Place, Places, Rank, Ticket, Turn};
pub(crate) use spare::Spare;
pub(crate) use thread::{lock, on_own_thread, retry_transient, spawn_or_skip};
pub(crate) use under_way::UnderWay;
