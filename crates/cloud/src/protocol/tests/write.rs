use super::memory::{Fault, Ignores};
use super::*;
use crate::protocol::{WriteOptions, Written, remove, write};

async fn put(store: &Arc<Memory>, text: &str, options: WriteOptions) -> Result<Written, Error> {
    write(store.clone() as _, "a.txt", Bytes::copy_from_slice(text.as_bytes()), &options, &limits()).await
}

fn version(written: Written) -> String {
    match written {
        Written::Done(done) => done.version.etag.unwrap(),
        Written::Same(version) => version.etag.unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_first_try_does_not_undo_a_later_write() {
    let store = Memory::s3(Faults::default());
    put(&store, "old", WriteOptions::default()).await.unwrap();
    store.puts.lock().unwrap().push_back(Fault::Late(Duration::from_secs(3)));
    put(&store, "first", WriteOptions::default()).await.unwrap();
    put(&store, "second", WriteOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(store.text("a.txt"), "second");
}

#[tokio::test(start_paused = true)]
async fn one_of_many_creators_wins() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let store = Memory::s3(bad_day());
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let store = store.clone();
                let options = WriteOptions { exclusive: true, ..WriteOptions::default() };
                tokio::spawn(async move { put(&store, &n.to_string(), options).await })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            match racer.await.unwrap() {
                Ok(_) => winners += 1,
                Err(error) => assert_eq!(error.code(), "EEXIST"),
            }
        }
        assert_eq!(winners, 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_not_replaced_and_not_removed() {
    let store = Memory::s3(Faults::default());
    let first = version(put(&store, "1", WriteOptions::default()).await.unwrap());
    let if_first = WriteOptions { if_version: Some(first.clone()), ..WriteOptions::default() };
    put(&store, "2", if_first.clone()).await.unwrap();
    assert_eq!(put(&store, "3", if_first).await.unwrap_err().code(), "ERR_ATOMIC_CONFLICT");
    let error = remove(store.as_ref(), "a.txt", Some(&first), &limits()).await.unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_CONFLICT");
    assert!(remove(store.as_ref(), "a.txt", None, &limits()).await.unwrap());
    assert!(!remove(store.as_ref(), "a.txt", None, &limits()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_same_bytes_are_not_written_again() {
    let store = Memory::s3(Faults::default());
    put(&store, "1", WriteOptions::default()).await.unwrap();
    let options = WriteOptions { if_changed: true, ..WriteOptions::default() };
    assert!(matches!(put(&store, "1", options.clone()).await.unwrap(), Written::Same(_)));
    assert!(matches!(put(&store, "2", options).await.unwrap(), Written::Done(_)));
}

#[tokio::test(start_paused = true)]
async fn the_version_before_is_kept() {
    let store = Memory::s3(Faults::default());
    let options = WriteOptions { backup: Some("a.txt.backup".into()), ..WriteOptions::default() };
    put(&store, "1", options.clone()).await.unwrap();
    put(&store, "2", options).await.unwrap();
    assert_eq!(store.text("a.txt.backup"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_comes_late_does_not_remove_what_was_written_since() {
    let store = Memory::s3(Faults::default());
    put(&store, "1", WriteOptions::default()).await.unwrap();
    store.deletes.lock().unwrap().push_back(Fault::Late(Duration::from_secs(2)));
    assert!(remove(store.as_ref(), "a.txt", None, &limits()).await.unwrap());
    put(&store, "2", WriteOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(store.text("a.txt"), "2");
}

#[tokio::test(start_paused = true)]
async fn a_removal_whose_reply_was_lost_has_removed() {
    let store = Memory::s3(Faults::default());
    put(&store, "1", WriteOptions::default()).await.unwrap();
    store.deletes.lock().unwrap().push_back(Fault::Lost);
    assert!(remove(store.as_ref(), "a.txt", None, &limits()).await.unwrap());
    assert_eq!(store.text("a.txt"), "");
}

#[tokio::test(start_paused = true)]
async fn a_store_without_conditions_of_a_delete_removes_without() {
    let store = Memory::s3(Faults::default());
    let first = version(put(&store, "1", WriteOptions::default()).await.unwrap());
    store.deletes.lock().unwrap().push_back(Fault::Final(501));
    assert!(remove(store.as_ref(), "a.txt", None, &limits()).await.unwrap());
    assert_eq!(store.text("a.txt"), "");

    put(&store, "1", WriteOptions::default()).await.unwrap();
    store.deletes.lock().unwrap().push_back(Fault::Final(501));
    let error = remove(store.as_ref(), "a.txt", Some(&first), &limits()).await.unwrap_err();
    assert_eq!(error.code(), "EIO", "the caller has asked for the condition");
    assert_eq!(store.text("a.txt"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_not_removed_by_a_store_that_ignores_the_condition() {
    let ignores = Ignores { deletes: true, ..Ignores::default() };
    let store = Arc::new(Memory { by_content: true, ignores, ..Memory::default() });
    let first = version(put(&store, "1", WriteOptions::default()).await.unwrap());
    put(&store, "2", WriteOptions::default()).await.unwrap();
    let error = remove(store.as_ref(), "a.txt", Some(&first), &limits()).await.unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_CONFLICT");
    assert_eq!(store.text("a.txt"), "2");
    assert!(remove(store.as_ref(), "a.txt", None, &limits()).await.unwrap());
}
