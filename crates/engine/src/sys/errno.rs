//! The system's errors by name, with libuv's words, so that ours read like those of `node:fs`.

use std::io;

#[cfg(unix)]
use super::unix::errno::posix_errno;
#[cfg(windows)]
use super::windows::errno::posix_errno;

macro_rules! table {
    ($($name:ident $text:literal $uv:literal,)*) => {
        /// (platform's number, name, words, libuv's number where the platform has none)
        #[cfg(unix)]
        const TABLE: &[(i32, &str, &str)] = &[$((libc::$name, stringify!($name), $text),)*];
        #[cfg(windows)]
        const TABLE: &[(i32, &str, &str)] = &[$(($uv, stringify!($name), $text),)*];
    };
}

// Numbers: libuv's `uv/errno.h`, used where the platform's own differ (Windows).
table! {
    E2BIG "argument list too long" 4093,
    EACCES "permission denied" 4092,
    EAGAIN "resource temporarily unavailable" 4088,
    EBADF "bad file descriptor" 4083,
    EBUSY "resource busy or locked" 4082,
    ECONNABORTED "software caused connection abort" 4079,
    EDQUOT "disk quota exceeded" 122,
    EEXIST "file already exists" 4075,
    EFBIG "file too large" 4036,
    EINTR "interrupted system call" 4072,
    EINVAL "invalid argument" 4071,
    EIO "i/o error" 4070,
    EISDIR "illegal operation on a directory" 4068,
    ELOOP "too many symbolic links encountered" 4067,
    EMFILE "too many open files" 4066,
    EMLINK "too many links" 4032,
    ENAMETOOLONG "name too long" 4064,
    ENFILE "file table overflow" 4061,
    ENODEV "no such device" 4059,
    ENOENT "no such file or directory" 4058,
    ENOLCK "no locks available" 77,
    ENOMEM "not enough memory" 4057,
    ENOSPC "no space left on device" 4055,
    ENOSYS "function not implemented" 4054,
    ENOTCONN "socket is not connected" 4053,
    ENOTDIR "not a directory" 4052,
    ENOTEMPTY "directory not empty" 4051,
    ENOTSUP "operation not supported on socket" 4049,
    ENXIO "no such device or address" 4033,
    EPERM "operation not permitted" 4048,
    EROFS "read-only file system" 4047,
    ESTALE "stale file handle" 116,
    ETIMEDOUT "connection timed out" 4039,
    ETXTBSY "text file is busy" 4027,
    EXDEV "cross-device link not permitted" 4037,
}

/// The name and the words that `node:fs` has for an error.
pub fn describe(error: &io::Error) -> (&'static str, String) {
    let number = posix_errno(error);
    match TABLE.iter().find(|(code, ..)| *code == number) {
        Some((_, name, text)) => (name, (*text).to_owned()),
        None => ("UNKNOWN", error.to_string()),
    }
}

/// The negative number that `node:fs` puts into `errno`.
pub fn node_errno(error: &io::Error) -> i32 {
    -posix_errno(error)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_and_words_of_node() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(describe(&full), ("ENOSPC", "no space left on device".to_owned()));
        assert_eq!(node_errno(&full), -libc::ENOSPC);
        // An error that Rust itself makes has no number: an incomplete write is an I/O error.
        assert_eq!(describe(&io::ErrorKind::WriteZero.into()).0, "EIO");
    }
}
