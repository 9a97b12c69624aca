use super::memory::{Fault, Latency};
use super::*;
use crate::protocol::Store;
use crate::protocol::patch::{Change, Folder, Inbox, fold};

pub fn set(key: &str, value: u32) -> Change {
    serde_json::from_str(&serde_json::json!({ "set": { key: value } }).to_string()).unwrap()
}

pub fn keys(store: &Memory) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(&store.text("index.json")).unwrap()
}

pub fn inbox(store: &Arc<Memory>) -> Arc<Inbox> {
    Arc::new(Inbox::new(store.clone(), "index.json".into()))
}

pub async fn put(inbox: &Inbox, change: Change, limits: &Limits) -> Result<(String, u64), Error> {
    inbox.send(inbox.queue(change), limits).await
}

pub async fn fold_all(store: &Arc<Memory>) {
    fold(&(store.clone() as Arc<dyn Store>), "index.json", &limits()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_gets_into_the_index_once() {
    for seed in 0..5 {
        fastrand::seed(seed);
        let store = Memory::s3(bad_day());
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (store, inbox) = (store.clone(), inbox(&store));
                tokio::spawn(async move {
                    for n in 0..10 {
                        let place = put(&inbox, set(&format!("w{writer}n{n}"), n), &limits()).await.unwrap();
                        // Each fourth one folds, so that folds race; some are given up half way.
                        if n % 4 == 0 {
                            let limits = limits_of(Duration::from_millis(fastrand::u64(50..2000)));
                            let _ = fold(&(store.clone() as Arc<dyn Store>), "index.json", &limits).await;
                        }
                        assert_eq!(place.1, u64::from(n) + 1);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        *store.faults.lock().unwrap() = Faults::default();
        fold_all(&store).await;
        assert_eq!(keys(&store).len(), 80, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_comes_late_again_does_not_bring_an_old_value_back() {
    let store = Memory::s3(Faults::default());
    store.puts.lock().unwrap().push_back(Fault::Late(Duration::from_secs(60)));
    let first = inbox(&store);
    put(&first, set("a", 1), &limits()).await.unwrap();
    fold_all(&store).await;
    put(&inbox(&store), set("a", 2), &limits()).await.unwrap();
    fold_all(&store).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    fold_all(&store).await;
    assert_eq!(keys(&store)["a"], 2);
    assert!(!store.keys().iter().any(|key| key.ends_with("-000000000001")), "what is over is removed");
}

#[tokio::test(start_paused = true)]
async fn updates_and_patches_of_one_index_get_along() {
    let store = Memory::s3(Faults::default());
    put(&inbox(&store), set("a", 1), &limits()).await.unwrap();
    fold_all(&store).await;
    update(&store, limits(), None, |text| text.replace('1', "7")).await.unwrap();
    put(&inbox(&store), set("b", 2), &limits()).await.unwrap();
    fold_all(&store).await;
    assert_eq!((keys(&store)["a"].as_u64(), keys(&store)["b"].as_u64()), (Some(7), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_share_a_request() {
    let store = Memory::s3(Faults::default());
    let inbox = inbox(&store);
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let inbox = inbox.clone();
            tokio::spawn(async move { put(&inbox, set(&format!("k{n}"), n), &limits()).await.unwrap() })
        })
        .collect();
    let mut places = std::collections::BTreeSet::new();
    for call in calls {
        places.insert(call.await.unwrap());
    }
    assert!(places.len() <= 3, "{places:?}");
    fold_all(&store).await;
    assert_eq!(keys(&store).len(), 50);
}

/// Until a ledger may have forgotten a session.
async fn hours_pass() {
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
}

async fn put_and_fold(store: &Arc<Memory>, inbox: &Inbox, key: &str, value: u32) {
    put(inbox, set(key, value), &limits()).await.unwrap();
    fold_all(store).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_do_not_wait_for_each_other_keep_their_order() {
    let store = Memory::s3(Faults::default());
    let inbox = inbox(&store);
    let (first, second) = (inbox.queue(set("a", 1)), inbox.queue(set("a", 2)));
    let third = inbox.queue(set("a", 3));
    inbox.give_up(third, Error::invalid("")).await.unwrap_err();
    inbox.send(second, &limits()).await.unwrap();
    inbox.send(first, &limits()).await.unwrap();
    fold_all(&store).await;
    assert_eq!(keys(&store)["a"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_hold_up_what_comes_after_it() {
    let store = Memory::s3(Faults::default());
    let inbox = inbox(&store);
    put(&inbox, set("a", 1), &limits()).await.unwrap();
    store.puts.lock().unwrap().push_back(Fault::Final(403));
    put(&inbox, set("b", 1), &limits()).await.unwrap_err();
    put(&inbox, set("c", 1), &limits()).await.unwrap();
    fold_all(&store).await;
    assert_eq!(keys(&store).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_patches_of_a_process_stay_in_their_order_over_a_failure() {
    for seed in 0..10 {
        fastrand::seed(seed);
        let store = Memory::s3(Faults::default());
        let inbox = inbox(&store);
        put(&inbox, set("a", 1), &limits()).await.unwrap();
        store.puts.lock().unwrap().push_back(Fault::Final(403));
        put(&inbox, set("a", 2), &limits()).await.unwrap_err();
        put(&inbox, set("a", 3), &limits()).await.unwrap();
        fold_all(&store).await;
        assert_eq!(keys(&store)["a"], 3, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_of_unknown_outcome_does_not_come_after_a_later_one() {
    let store = Memory::s3(Faults::default());
    let inbox = inbox(&store);
    store.puts.lock().unwrap().extend([Fault::Late(Duration::from_secs(60)), Fault::Final(403)]);
    let error = put(&inbox, set("a", 1), &limits()).await.unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
    put_and_fold(&store, &inbox, "a", 2).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    put_and_fold(&store, &inbox, "b", 3).await;
    assert_eq!(keys(&store)["a"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_after_the_ledger_has_forgotten_it() {
    let store = Memory::s3(Faults::default());
    let (first, other) = (inbox(&store), inbox(&store));
    put_and_fold(&store, &first, "a", 1).await;
    hours_pass().await;
    put_and_fold(&store, &other, "b", 2).await;
    put(&first, set("c", 3), &limits()).await.unwrap();
    put_and_fold(&store, &first, "d", 4).await;
    assert_eq!(keys(&store).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_after_another_tool_has_written_the_index() {
    let store = Memory::s3(Faults::default());
    let first = inbox(&store);
    put_and_fold(&store, &first, "a", 1).await;
    store.overwrite("index.json", "{}");
    put_and_fold(&store, &first, "b", 2).await;
    assert_eq!(keys(&store)["b"], 2);
    store.objects.lock().unwrap().remove("index.json");
    put_and_fold(&store, &first, "c", 3).await;
    assert_eq!(keys(&store)["c"], 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_listing_misses_of_a_session_is_not_passed_over() {
    let store = Memory::s3(Faults::default());
    let first = inbox(&store);
    for (key, value) in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("d", 1)] {
        put(&first, set(key, value), &limits()).await.unwrap();
    }
    let missed: [&[_]; 2] =
        [&["-000000000001", "-000000000002", "-000000000004", "-000000000005"], &["-000000000004"]];
    store.unlisted.lock().unwrap().extend(missed);
    fold_all(&store).await;
    assert_eq!((keys(&store)["a"].as_u64(), keys(&store).len()), (Some(2), 2));
    fold_all(&store).await;
    assert_eq!(keys(&store).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_could_not_be_removed_is_not_folded_again() {
    for seed in 0..10 {
        fastrand::seed(seed);
        let store = Memory::s3(Faults::default());
        store.deletes.lock().unwrap().extend([Fault::Final(403); 100]);
        put_and_fold(&store, &inbox(&store), "a", 1).await;
        put_and_fold(&store, &inbox(&store), "a", 2).await;
        for n in 0..3 {
            hours_pass().await;
            put_and_fold(&store, &inbox(&store), "b", n).await;
        }
        assert_eq!(keys(&store)["a"], 2, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_waited_for_hours_is_not_folded_again() {
    let store = Memory::s3(Faults::default());
    put(&inbox(&store), set("a", 1), &limits()).await.unwrap();
    hours_pass().await;
    store.deletes.lock().unwrap().extend([Fault::Final(403); 3]);
    put_and_fold(&store, &inbox(&store), "b", 1).await;
    update(&store, limits(), None, |text| text.replace("\"a\":1", "\"a\":2")).await.unwrap();
    put_and_fold(&store, &inbox(&store), "b", 2).await;
    assert_eq!(keys(&store)["a"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_was_suspended_does_not_repeat_a_patch_that_was_folded() {
    let store = Memory::s3(Faults::default());
    let as_seen_by_writer = Arc::new(store.another_way_to_it());
    as_seen_by_writer.puts.lock().unwrap().push_back(Fault::Lost);
    as_seen_by_writer.puts.lock().unwrap().extend([Fault::Refused; 1000]);
    let writer = inbox(&as_seen_by_writer);
    let writing = tokio::spawn(async move { put(&writer, set("a", 1), &limits()).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    fold_all(&store).await;
    put_and_fold(&store, &inbox(&store), "a", 2).await;
    suspend(Duration::from_secs(3 * 3600));
    put_and_fold(&store, &inbox(&store), "b", 1).await;
    let error = writing.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
    fold_all(&store).await;
    assert_eq!(keys(&store)["a"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_in_doubt_is_not_taken_for_a_success() {
    let store = Memory::s3(Faults::default());
    store.puts.lock().unwrap().extend([Fault::Failed, Fault::Conflict, Fault::Conflict]);
    put_and_fold(&store, &inbox(&store), "a", 1).await;
    assert_eq!(keys(&store)["a"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_nothing_there_is_tried_again() {
    let store = Memory::s3(Faults::default());
    store.puts.lock().unwrap().push_back(Fault::Conflict);
    put_and_fold(&store, &inbox(&store), "a", 1).await;
    assert_eq!(keys(&store)["a"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_fold_that_others_overtake_pauses_before_the_next() {
    let store = Arc::new(Memory { by_content: true, latency: Latency::none(), ..Memory::default() });
    let place = put(&inbox(&store), set("a", 1), &limits()).await.unwrap();
    // The ledger is written, and the index is another each time.
    store.puts.lock().unwrap().push_back(Fault::None);
    store.puts.lock().unwrap().extend([Fault::Conflict; 1000]);
    let before: u64 = store.requests.each().iter().sum();
    let folder = Folder::new(store.clone() as Arc<dyn Store>, "index.json".into());
    let error = folder.settle(&place, &limits_of(Duration::from_secs(10))).await.unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_CONTENDED");
    let requests = store.requests.each().iter().sum::<u64>() - before;
    // Between two tries are up to 0.2 s, and each is two requests.
    assert!((50..400).contains(&requests), "{requests}");
}
