//! Frees large texts on a thread of its own: the system takes the pages back one by one, and an event loop would stand still meanwhile.

use crate::process::Spare;

/// What is smaller is freed sooner than a thread is told of it.
const LARGE: usize = 1 << 20;

/// Drops what takes so many bytes, elsewhere if they are many.
pub fn drop_later(value: impl Send + 'static, size: usize) {
    static DROPPERS: Spare = Spare::new("atomic-drop", 1);
    if size >= LARGE {
        DROPPERS.run(move || drop(value));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::mpsc::{self, Sender};
    use std::thread::{self, ThreadId};

    use super::*;

    struct Tells(Sender<ThreadId>);

    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn only_what_is_large_is_dropped_elsewhere() {
        let (tell, told) = mpsc::channel();
        drop_later(Tells(tell.clone()), LARGE - 1);
        assert_eq!(told.recv().unwrap(), thread::current().id());
        drop_later(Tells(tell), LARGE);
        assert_ne!(told.recv().unwrap(), thread::current().id());
    }
}
