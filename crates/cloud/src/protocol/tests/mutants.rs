//! Each step of the protocol is there for something: without it, one of these runs goes wrong.

use super::commit::{overtaken, up_and_down};
use super::memory::Fault;
use super::*;

async fn wrong(mutant: Mutant) -> i64 {
    let mut wrong = 0;
    for seed in 0..5 {
        fastrand::seed(seed);
        let store = Memory::s3(bad_day());
        wrong += race(&store, 4, 25, Some(mutant)).await.0;
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn without_the_ring_updates_are_doubled() {
    assert_ne!(wrong(Mutant::Ring).await, 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_condition_updates_are_lost() {
    assert_ne!(wrong(Mutant::Condition).await, 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_nonce_late_requests_land() {
    let mut wrong = 0;
    for seed in 0..10 {
        let (off, failed) = up_and_down(seed, Some(Mutant::Nonce)).await;
        wrong += off.abs() + i64::from(failed);
    }
    assert_ne!(wrong, 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_number_an_update_that_was_forgotten_is_doubled() {
    let (store, updated) = overtaken(Some(Mutant::Seq)).await;
    assert!(updated.is_ok());
    assert_eq!(words(&store).iter().filter(|word| *word == "a").count(), 2);
}

/// How many requests a server gets that fails for ten seconds.
async fn requests(mutant: Option<Mutant>) -> u64 {
    fastrand::seed(1);
    let store = Memory::s3(Faults::default());
    store.puts.lock().unwrap().extend(std::iter::repeat_n(Fault::Failed, 100_000));
    let _ = update(&store, limits_of(Duration::from_secs(10)), mutant, add("a")).await;
    store.requests.each().iter().sum()
}

#[tokio::test(start_paused = true)]
async fn without_the_pause_a_server_in_trouble_gets_more_of_it() {
    let (with, without) = (requests(None).await, requests(Some(Mutant::Pause)).await);
    assert!(with * 3 < without * 2, "{with} and {without}");
}
