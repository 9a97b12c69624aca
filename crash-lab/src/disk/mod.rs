//! Disks and the file systems on them.

pub mod drive;
pub mod filesystem;
pub mod image;
pub mod loopback;
pub mod lossy_drive;
pub mod mounted;
pub mod pages;
pub mod recorder;
