//! A machine that patches one index through its inbox; each caller waits until its patch is in the index.
//!
//! Patch `n` of a machine sets a key of its own and deletes that of patch `n - WINDOW`. So the index stays small, and what was
//! lost, or folded again later, leaves a key that nobody deletes any more, or lacks one.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::row::Wrong;
use super::{KEY, TIMEOUT, World};
use crate::protocol::patch::{Change, Folder, Inbox, fold};
use crate::protocol::tests::limits;
use crate::protocol::{Limits, Store};

const WINDOW: usize = 4;

struct Machine {
    world: Arc<World>,
    number: u32,
    inbox: Inbox,
    folder: Folder,
}

pub async fn machine(world: &Arc<World>, number: u32) {
    let store = world.store.clone();
    let inbox = Inbox::new(store.clone(), KEY.into());
    let folder = Folder::new(store, KEY.into());
    let machine = Arc::new(Machine { world: world.clone(), number, inbox, folder });
    // They end with this one, if it is killed.
    let mut calls = JoinSet::new();
    while world.next_call().await {
        calls.spawn(machine.clone().call());
        while calls.try_join_next().is_some() {}
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
}

fn key(machine: u32, number: usize) -> String {
    format!("{machine}.{number}")
}

impl Machine {
    async fn call(self: Arc<Self>) {
        let (account, since) = (&self.world.account, Instant::now());
        let number = account.call(self.number);
        let doomed: Vec<_> =
            number.checked_sub(WINDOW).map(|old| key(self.number, old)).into_iter().collect();
        let change = serde_json::json!({ "set": { key(self.number, number): 1 }, "delete": doomed });
        let change: Change = serde_json::from_str(&change.to_string()).unwrap();
        let limits = Limits::new(TIMEOUT, u32::MAX).0;
        let accepted = self.inbox.send(self.inbox.queue(change), &limits).await;
        let place = match accepted {
            Ok(place) => place,
            Err(error) => return account.tell(self.number, number, since, &Err(error)),
        };
        account.accepted(self.number, number, since);
        account.applied(since, &self.folder.settle(&place, &limits).await.map(|_| ()));
        self.folder.tidied().await;
    }
}

/// Folds what is left, and compares the index with what the callers were told.
pub async fn check(world: &World) -> Wrong {
    let store: Arc<dyn Store> = world.store.clone();
    fold(&store, KEY, &limits()).await.unwrap();
    let keys: HashMap<String, u8> = serde_json::from_str(&world.store.text(KEY)).unwrap();
    let mut wrong = Wrong::default();
    for (machine, calls) in &world.account.book().calls {
        for (number, told) in calls.iter().enumerate() {
            let is_there = keys.contains_key(&key(*machine, number));
            let deleted = calls.get(number + WINDOW).map_or(&[false][..], |later| later.possible());
            let can_be = |there: bool| {
                told.possible().iter().any(|set| deleted.iter().any(|deleted| (*set && !deleted) == there))
            };
            match (is_there, can_be(is_there)) {
                (_, true) => {}
                (true, false) => wrong.doubled += 1,
                (false, false) => wrong.lost += 1,
            }
        }
    }
    wrong
}
