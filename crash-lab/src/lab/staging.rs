//! How the library can make its staged files. A seccomp filter refuses `O_TMPFILE` and hard links, as vfat, many FUSE file
//! systems and old kernels do; this machine need not have such a file system.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the file system below the library offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Staging {
    /// All that Linux has: a staged file has no name.
    Unnamed,
    /// No `O_TMPFILE` and no hard links: a staged file has a temp name from the start.
    Named,
}

impl Staging {
    pub const ALL: [Self; 2] = [Self::Unnamed, Self::Named];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unnamed => "O_TMPFILE",
            Self::Named => "temp names",
        }
    }

    /// Makes `command` find no more than this.
    pub fn confine(self, command: &mut Command) {
        if self == Self::Named {
            refuse_nameless_files(command);
        }
    }
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUALS: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const HAS_BITS: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const ALLOW: u32 = 0x7fff_0000; // SECCOMP_RET_ALLOW
const ERRNO: u32 = 0x0005_0000; // SECCOMP_RET_ERRNO
const CALL: u32 = 0; // offsetof(struct seccomp_data, nr)
// The third argument's lower half, on the little-endian machines that Node runs on.
const THIRD: u32 = 16 + 2 * 8;
/// `O_TMPFILE` is this bit and `O_DIRECTORY`.
const TMPFILE: u32 = 0o20_000_000;

const fn step(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

const FILTER: [libc::sock_filter; 8] = [
    step(LOAD, CALL, 0, 0),
    step(EQUALS, libc::SYS_linkat as u32, 4, 0),
    step(EQUALS, libc::SYS_openat as u32, 0, 4),
    step(LOAD, THIRD, 0, 0),
    step(HAS_BITS, TMPFILE, 0, 2),
    step(RETURN, ERRNO | libc::EOPNOTSUPP as u32, 0, 0),
    step(RETURN, ERRNO | libc::EPERM as u32, 0, 0),
    step(RETURN, ALLOW, 0, 0),
];

/// In the file system that `command` sees, every file has one name, and has it from the start.
fn refuse_nameless_files(command: &mut Command) {
    let install = || {
        let mut filter = FILTER;
        let program = libc::sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_mut_ptr() };
        // SAFETY: the program is valid and outlives the call; the kernel copies it. Root needs no
        // PR_SET_NO_NEW_PRIVS.
        let done =
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: one prctl(2), async-signal-safe; nothing is allocated.
    unsafe { command.pre_exec(install) };
}
