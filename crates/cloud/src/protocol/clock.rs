//! The machine's clock. It goes on while the machine sleeps, as the clock of the store does and that of timers does not.

use std::time::SystemTime;

/// The time; tests have a virtual one.
pub fn now() -> SystemTime {
    #[cfg(test)]
    return super::tests::now();
    #[cfg(not(test))]
    SystemTime::now()
}
