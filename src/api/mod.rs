//! What JavaScript sees: one file a function, its doc comments the user's documentation.

mod append_lines;
mod atomic_directory;
mod atomic_file;
mod atomic_index_patch;
mod atomic_index_update;
mod atomic_write;
mod atomic_write_all;
mod backup;
mod cloud;
mod copy_directory;
mod directory_options;
mod index_lock;
mod inspect_directory;
mod on_corrupt;
mod options;
mod read_index;
mod read_lines;
mod recover_index;
mod releases;
mod remove;
mod restore_index;
mod stats;
mod steps;
mod sweep;
mod transaction;
mod watch_index;
