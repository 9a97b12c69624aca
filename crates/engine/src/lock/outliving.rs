//! Locks of this process that outlive a call. A call that blocks its thread could only wait for one in vain.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::process::{Key, lock};

/// How many there are of each file.
static LOCKS: Mutex<Option<HashMap<Key, usize>>> = Mutex::new(None);

/// Says that there is one, until it is dropped.
#[derive(Debug)]
pub struct Outliving(Key);

impl Outliving {
    /// For the file with that key.
    pub fn new(key: Key) -> Self {
        *lock(&LOCKS).get_or_insert_default().entry(key.clone()).or_default() += 1;
        Self(key)
    }

    /// Whether there is one.
    pub fn is_one(key: &Key) -> bool {
        lock(&LOCKS).as_ref().is_some_and(|locks| locks.contains_key(key))
    }
}

impl Drop for Outliving {
    fn drop(&mut self) {
        let mut locks = lock(&LOCKS);
        let locks = locks.get_or_insert_default();
        if let Some(count) = locks.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                locks.remove(&self.0);
            }
        }
    }
}
