//! Until a patch is in the index: which process folds, what it is told, and what others do to it meanwhile.

use tokio::time::{Instant, sleep};

use super::memory::{Fault, Latency};
use super::patch::{fold_all, inbox, keys, put, set};
use super::*;
use crate::protocol::Store;
use crate::protocol::patch::{Folder, Inbox};

fn folder(store: &Arc<Memory>) -> Folder {
    Folder::new(store.clone() as Arc<dyn Store>, "index.json".into())
}

fn s3() -> Arc<Memory> {
    Arc::new(Memory { by_content: true, latency: Latency::s3(), ..Memory::default() })
}

/// One patch, until the index has it.
async fn patch(inbox: &Inbox, folder: &Folder, key: &str, limits: &Limits) -> Result<(), Error> {
    let place = put(inbox, set(key, 1), limits).await?;
    folder.settle(&place, limits).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_is_applied_does_not_wait_for_removals() {
    let store = s3();
    store.deletes.lock().unwrap().extend([Fault::Hang(Duration::from_secs(100)); 100]);
    let (inbox, folder, began) = (inbox(&store), folder(&store), Instant::now());
    for key in ["a", "b", "c"] {
        patch(&inbox, &folder, key, &limits_of(Duration::from_secs(5))).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_removed_in_the_end() {
    let store = s3();
    let folder = folder(&store);
    patch(&inbox(&store), &folder, "a", &limits()).await.unwrap();
    folder.tidied().await;
    assert_eq!(store.keys().len(), 2, "{:?}", store.keys());
}

#[tokio::test(start_paused = true)]
async fn a_fold_of_unknown_outcome_is_followed_by_another() {
    let store = s3();
    let (folder, limits) = (folder(&store), limits_of(Duration::from_secs(30)));
    let place = put(&inbox(&store), set("a", 1), &limits).await.unwrap();
    store.puts.lock().unwrap().extend([Fault::None, Fault::Hang(Duration::from_secs(40))]);
    let other = store.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(3)).await;
        other.overwrite("index.json", "{\"z\":1}");
    });
    folder.settle(&place, &limits).await.unwrap();
    assert_eq!(keys(&store).len(), 2);
}

/// What a caller is told whose patch is in the inbox when the store begins to answer so.
async fn told(fault: Fault, reads: bool) -> Error {
    let store = s3();
    let (folder, limits) = (folder(&store), limits_of(Duration::from_secs(20)));
    let place = put(&inbox(&store), set("a", 1), &limits).await.unwrap();
    let script = if reads { &store.gets } else { &store.puts };
    script.lock().unwrap().extend([fault; 10_000]);
    folder.settle(&place, &limits).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn every_failure_after_acceptance_says_that_the_patch_will_be_applied() {
    let cases = [
        (Fault::Conflict, false, "ERR_ATOMIC_CONTENDED"),
        (Fault::Failed, false, "ERR_ATOMIC_CONTENDED"),
        (Fault::Failed, true, "ETIMEDOUT"),
        (Fault::Hang(Duration::from_secs(100)), false, "ERR_ATOMIC_CONTENDED"),
        (Fault::Final(403), false, "EACCES"),
    ];
    for (fault, reads, code) in cases {
        let error = told(fault, reads).await;
        let text = error.to_string();
        assert_eq!(error.code(), code, "{fault:?}: {text}");
        assert!(text.starts_with("the patch is accepted and will be applied: do not repeat it"), "{text}");
        assert!(
            !["nothing was written", "try again", "atomicIndexPatch"].iter().any(|lie| text.contains(lie))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_tries_of_a_call_are_those_of_its_patch() {
    let store = s3();
    let limits = Limits::new(Duration::from_secs(30), 1).0;
    patch(&inbox(&store), &folder(&store), "a", &limits).await.unwrap();
}

/// How often a process that patches seldom lists an inbox that another one folds all the time.
async fn lists_of_a_seldom_one(behind: Duration) -> u64 {
    fastrand::seed(1);
    let store = Arc::new(Memory { by_content: true, latency: Latency::s3(), behind, ..Memory::default() });
    let others = (inbox(&store), Arc::new(folder(&store)));
    let busy = tokio::spawn(async move {
        loop {
            let ((inbox, folder), limits) = (others.clone(), limits_of(Duration::from_secs(30)));
            tokio::spawn(async move { patch(&inbox, &folder, "busy", &limits).await.unwrap() });
            sleep(Duration::from_millis(100)).await;
        }
    });
    sleep(Duration::from_secs(5)).await;
    let own = Arc::new(store.another_way_to_it());
    let (inbox, folder) = (inbox(&own), folder(&own));
    for _ in 0..5 {
        patch(&inbox, &folder, "seldom", &limits_of(Duration::from_secs(30))).await.unwrap();
        sleep(Duration::from_secs(10)).await;
    }
    busy.abort();
    own.requests.each()[2]
}

#[tokio::test(start_paused = true)]
async fn a_process_that_patches_seldom_looks_before_it_folds() {
    assert_eq!(lists_of_a_seldom_one(Duration::ZERO).await, 0);
}

#[tokio::test(start_paused = true)]
async fn which_process_folds_is_no_matter_of_the_machines_clock() {
    assert_eq!(lists_of_a_seldom_one(Duration::from_secs(3600)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_fold_of_long_ago_nobody_waits_for_another() {
    let store = s3();
    patch(&inbox(&store), &folder(&store), "a", &limits()).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    patch(&inbox(&store), &folder(&store), "b", &limits()).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn patches_get_through_beside_steady_updates() {
    for pause in [0, 20] {
        fastrand::seed(3);
        let store = s3();
        store.overwrite("index.json", "{\"n\":0}");
        let other = store.clone();
        let updates = tokio::spawn(async move {
            loop {
                let change = |text: &str| {
                    let mut index: serde_json::Value = serde_json::from_str(text).unwrap();
                    index["n"] = fastrand::u32(..).into();
                    index.to_string()
                };
                update(&other, limits(), None, change).await.unwrap();
                sleep(Duration::from_millis(pause)).await;
            }
        });
        let (inbox, folder) = (inbox(&store), folder(&store));
        for n in 0..10 {
            let limits = limits_of(Duration::from_secs(30));
            patch(&inbox, &folder, &format!("k{n}"), &limits).await.unwrap();
        }
        updates.abort();
        assert_eq!(keys(&store).len(), 11);
    }
}

/// As if sessions of processes that are gone had left so many deltas.
fn leave(store: &Memory, sessions: u64, each: u64) {
    for session in 0..sessions {
        for number in 1..=each {
            let key = format!("index.json.inbox/{:016x}-{number:012}", session << 57);
            store.overwrite(&key, &format!("[{{\"set\":{{\"s{session}\":{number}}}}}]"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_inbox_is_folded_part_by_part() {
    fastrand::seed(3);
    let store = s3();
    leave(&store, 100, 120);
    let (inbox, folder) = (inbox(&store), folder(&store));
    let lists = store.requests.each()[2];
    patch(&inbox, &folder, "own", &limits_of(Duration::from_secs(30))).await.unwrap();
    let lists = store.requests.each()[2] - lists;
    assert!(lists <= 4, "{lists}");
    folder.tidied().await;
    assert!(store.keys().len() > 5000, "{}", store.keys().len());
    fold_all(&store).await;
    let keys = keys(&store);
    assert_eq!(keys.len(), 101);
    assert!((0..100).all(|session| keys[&format!("s{session}")] == 120));
    assert_eq!(store.keys().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_listing_does_not_make_the_ledger_forget() {
    fastrand::seed(1);
    let store = s3();
    store.deletes.lock().unwrap().extend([Fault::Final(403); 3]);
    let late = inbox(&store);
    patch(&late, &folder(&store), "a", &limits()).await.unwrap();
    folder(&store).tidied().await;
    sleep(Duration::from_secs(3 * 3600)).await;
    update(&store, limits(), None, |text| text.replace("\"a\":1", "\"a\":2")).await.unwrap();
    leave(&store, 30, 120);
    fold_all(&store).await;
    assert_eq!(keys(&store)["a"], 2);
}
