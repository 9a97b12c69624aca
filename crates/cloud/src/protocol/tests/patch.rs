use super::memory::Fault;
use super::*;
use crate::protocol::Store;
use crate::protocol::patch::{Change, Inbox, fold};

fn set(key: &str, value: u32) -> Change {
    serde_json::from_value(serde_json::json!({ "set": { key: value } })).unwrap()
}

fn keys(store: &Memory) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(&store.text("index.json")).unwrap()
}

fn inbox(store: &Arc<Memory>) -> Arc<Inbox> {
    Arc::new(Inbox::new(store.clone(), "index.json".into()))
}

async fn fold_all(store: &Arc<Memory>) {
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
                        let place = inbox.put(set(&format!("w{writer}n{n}"), n), &limits()).await.unwrap();
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
    first.put(set("a", 1), &limits()).await.unwrap();
    fold_all(&store).await;
    inbox(&store).put(set("a", 2), &limits()).await.unwrap();
    fold_all(&store).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    fold_all(&store).await;
    assert_eq!(keys(&store)["a"], 2);
    assert!(!store.keys().iter().any(|key| key.ends_with("-00000001")), "what is over is removed");
}

#[tokio::test(start_paused = true)]
async fn updates_and_patches_of_one_index_get_along() {
    let store = Memory::s3(Faults::default());
    inbox(&store).put(set("a", 1), &limits()).await.unwrap();
    fold_all(&store).await;
    update(&store, limits(), None, |text| text.replace('1', "7")).await.unwrap();
    inbox(&store).put(set("b", 2), &limits()).await.unwrap();
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
            tokio::spawn(async move { inbox.put(set(&format!("k{n}"), n), &limits()).await.unwrap() })
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

#[tokio::test(start_paused = true)]
async fn after_a_failure_a_new_session_begins() {
    let store = Memory::s3(Faults::default());
    let inbox = inbox(&store);
    inbox.put(set("a", 1), &limits()).await.unwrap();
    store.puts.lock().unwrap().push_back(Fault::Final(403));
    inbox.put(set("b", 1), &limits()).await.unwrap_err();
    assert_eq!(inbox.put(set("c", 1), &limits()).await.unwrap().1, 1);
    fold_all(&store).await;
    assert_eq!(keys(&store).len(), 2);
}
