//! Loop devices that detach themselves when their last user is gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

// linux/loop.h; the libc crate has none of it.
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    ignored_info: [u64; 6],
    encrypt_key_size: u32,
    flags: u32,
    ignored_names: [u64; 22],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopConfig>() == 304);

/// A loop device, attached for as long as this or a mount holds it.
#[derive(Debug)]
pub struct Loop {
    path: PathBuf,
    // Closed once it is mounted: an open descriptor would keep the device's pages in the cache from
    // one crash state to the next.
    _file: File,
}

impl Loop {
    /// Attaches a free device to `image`.
    pub fn attach(image: &Path) -> Result<Self> {
        let image = OpenOptions::new().read(true).write(true).open(image).context("opening the image")?;
        let control = File::options().read(true).write(true).open("/dev/loop-control");
        let control = control.context("opening /dev/loop-control")?;
        // Another process may take the free device first.
        for _ in 0..100 {
            // SAFETY: takes no argument.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            if number < 0 {
                bail!("LOOP_CTL_GET_FREE: {}", io::Error::last_os_error());
            }
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let Ok(file) = File::options().read(true).write(true).open(&path) else { continue };
            match configure(&file, &image) {
                Ok(()) => return Ok(Self { path, _file: file }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error).context("LOOP_CONFIGURE"),
            }
        }
        bail!("no loop device is free")
    }

    /// The device.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn configure(device: &File, image: &File) -> io::Result<()> {
    let config = LoopConfig {
        fd: image.as_raw_fd() as u32,
        block_size: 512,
        ignored_info: [0; 6],
        encrypt_key_size: 0,
        flags: LO_FLAGS_AUTOCLEAR,
        ignored_names: [0; 22],
        reserved: [0; 8],
    };
    // SAFETY: the argument is a loop_config that lives during the call.
    match unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
