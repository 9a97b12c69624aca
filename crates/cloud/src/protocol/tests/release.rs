use super::memory::Fault;
use super::*;
use crate::protocol::{Staging, read_release};

async fn publish(store: &Arc<Memory>, text: &str, keep: usize) -> Result<Vec<String>, Error> {
    let staging = Staging::new(store.clone(), "site/".into(), limits());
    for path in ["index.html", "a/b.txt"] {
        staging.put(path, Bytes::copy_from_slice(text.as_bytes())).await?;
    }
    Ok(staging.publish(keep).await?.swept)
}

/// Reads the live release as a reader does: all its files must say the same.
async fn content(store: &Arc<Memory>) -> String {
    let release = read_release(store.as_ref(), "site/", &limits()).await.unwrap().unwrap();
    let texts: Vec<_> =
        release.files.keys().map(|path| store.text(&format!("{}{path}", release.folder))).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0], texts[1]);
    texts[0].clone()
}

fn releases(store: &Memory) -> usize {
    store.keys().iter().filter(|key| key.ends_with(".manifest.json")).count()
}

#[tokio::test(start_paused = true)]
async fn the_live_release_and_those_to_keep_are_there() {
    let store = Memory::s3(Faults::default());
    assert!(read_release(store.as_ref(), "site/", &limits()).await.unwrap().is_none());
    for n in 0..6 {
        let swept = publish(&store, &n.to_string(), 2).await.unwrap();
        assert_eq!(swept.len(), usize::from(n > 2));
        assert_eq!(content(&store).await, n.to_string());
    }
    assert_eq!(releases(&store), 3);
}

#[tokio::test(start_paused = true)]
async fn the_release_before_stays_for_those_who_read_it() {
    let store = Memory::s3(Faults::default());
    for n in 0..3 {
        publish(&store, &n.to_string(), 0).await.unwrap();
    }
    assert_eq!(releases(&store), 2);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_was_given_up_is_swept_when_it_is_old() {
    let store = Memory::s3(Faults::default());
    let orphan = Staging::new(store.clone(), "site/".into(), limits());
    orphan.put("half", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(publish(&store, "1", 1).await.unwrap(), [""; 0], "it may be being written");
    store.age(Duration::from_secs(3700), "/half");
    assert_eq!(publish(&store, "2", 1).await.unwrap().len(), 1);
    assert!(!store.keys().iter().any(|key| key.ends_with("/half")));
}

#[tokio::test(start_paused = true)]
async fn publishers_at_the_same_time_on_a_bad_day_leave_one_whole_release() {
    for seed in 0..10 {
        fastrand::seed(seed);
        let store = Memory::s3(bad_day());
        let all: Vec<_> = (0..6)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { publish(&store, &n.to_string(), 1).await })
            })
            .collect();
        for one in all {
            one.await.unwrap().unwrap();
            *store.faults.lock().unwrap() = Faults::default();
            content(&store).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_succeed_use_up_no_tries() {
    let store = Memory::s3(Faults::default());
    let staging = Staging::new(store.clone(), "site/".into(), Limits::new(Duration::from_secs(600), 1).0);
    for path in ["a", "b", "c"] {
        staging.put(path, Bytes::from_static(b"x")).await.unwrap();
    }
    staging.publish(1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_leaves_the_live_release() {
    let store = Memory::s3(Faults::default());
    publish(&store, "1", 1).await.unwrap();
    store.puts.lock().unwrap().extend([Fault::None, Fault::Final(403)]);
    assert_eq!(publish(&store, "2", 1).await.unwrap_err().code(), "EACCES");
    assert_eq!(content(&store).await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_was_suspended_does_not_make_a_swept_release_the_live_one() {
    let store = Memory::s3(Faults::default());
    let slow = Staging::new(store.clone(), "site/".into(), limits());
    slow.put("index.html", Bytes::from_static(b"1")).await.unwrap();
    suspend(Duration::from_secs(3700));
    publish(&store, "2", 1).await.unwrap();
    assert_eq!(slow.publish(1).await.unwrap_err().code(), "ETIMEDOUT");
    assert_eq!(content(&store).await, "2");
}
