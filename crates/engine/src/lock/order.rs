//! The one order in which everything takes the locks of several indexes: so no ring of calls that wait for each other can form.

use std::ffi::OsString;

use crate::sys::FileId;

/// Puts the positions of indexes into the order in which their locks are taken. `of` tells the directory of one, if it is there, and
/// its name.
pub fn sort(indexes: &mut [usize], of: &dyn Fn(usize) -> (Option<FileId>, OsString)) {
    indexes.sort_by_cached_key(|at| of(*at));
}
