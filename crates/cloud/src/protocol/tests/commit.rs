use super::memory::Fault;
use super::*;

fn script(puts: &[Fault]) -> Arc<Memory> {
    let store = Memory::s3(Faults::default());
    store.puts.lock().unwrap().extend(puts.iter().copied());
    store
}

#[tokio::test(start_paused = true)]
async fn many_machines_lose_nothing_and_double_nothing() {
    for seed in 0..10 {
        fastrand::seed(seed);
        for by_content in [true, false] {
            let store = Arc::new(Memory { by_content, faults: bad_day().into(), ..Memory::default() });
            assert_eq!(race(&store, 16, 25, None).await, (0, 0), "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_that_returns_to_an_earlier_content_stays_exact() {
    for seed in 0..10 {
        assert_eq!(up_and_down(seed, None).await, (0, 0), "seed {seed}");
    }
}

/// Two machines that add and take away one, with many late requests: contents return all the time. Returns how far off
/// the number is, and how many updates failed.
pub(super) async fn up_and_down(seed: u64, mutant: Option<Mutant>) -> (i64, u32) {
    fastrand::seed(seed);
    let store = Memory::s3(Faults { late: 0.15, ..Faults::default() });
    let machine = |step: i64| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut sum, mut failed) = (0, 0);
            for n in 0..100 {
                let step = if n % 2 == 0 { step } else { -step };
                let change = move |text: &str| (text.trim().parse::<i64>().unwrap_or(0) + step).to_string();
                match update(&store, limits(), mutant, change).await {
                    Ok(_) => sum += step,
                    Err(_) => failed += 1,
                }
            }
            (sum, failed)
        })
    };
    let (one, other) = (machine(1), machine(-1));
    let ((up, failed), (down, also)) = (one.await.unwrap(), other.await.unwrap());
    tokio::time::sleep(Duration::from_secs(5)).await;
    (store.text("index.json").trim().parse::<i64>().unwrap() - up - down, failed + also)
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_recovered() {
    let store = script(&[Fault::Lost]);
    let done = update(&store, limits(), None, add("a")).await.unwrap();
    assert!(done.recovered);
    assert_eq!(done.attempts, 1);
    assert_eq!(words(&store), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_request_lands_once() {
    let store = script(&[Fault::Late(Duration::from_millis(300))]);
    update(&store, limits(), None, add("a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(words(&store), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_no_look_can_tell_is_unknown() {
    let store = script(&[Fault::Lost]);
    store.gets.lock().unwrap().extend([Fault::None].into_iter().chain([Fault::Failed; 1000]));
    let error = update(&store, limits_of(Duration::from_secs(5)), None, add("a")).await.unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
}

#[tokio::test(start_paused = true)]
async fn more_commits_than_the_ring_remembers_are_unknown() {
    let (store, updated) = overtaken(None).await;
    assert_eq!(updated.unwrap_err().code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
    assert_eq!(words(&store).iter().filter(|word| *word == "a").count(), 1);
}

/// An update whose reply is lost, and which hears nothing of the object until 200 others are done.
pub(super) async fn overtaken(mutant: Option<Mutant>) -> (Arc<Memory>, Result<Done, Error>) {
    let store = script(&[Fault::Lost]);
    store.gets.lock().unwrap().extend([Fault::None, Fault::Hang(Duration::from_secs(100))]);
    let slow = tokio::spawn({
        let store = store.clone();
        async move { update(&store, limits(), mutant, add("a")).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..200 {
        update(&store, limits(), None, add("b")).await.unwrap();
    }
    let updated = slow.await.unwrap();
    (store, updated)
}

#[tokio::test(start_paused = true)]
async fn a_program_without_a_ring_that_writes_meanwhile_makes_it_unknown() {
    let store = script(&[Fault::Lost]);
    store.gets.lock().unwrap().extend([Fault::None, Fault::Hang(Duration::from_secs(2))]);
    let slow = tokio::spawn({
        let store = store.clone();
        async move { update(&store, limits(), None, add("a")).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.overwrite("index.json", "other");
    assert_eq!(slow.await.unwrap().unwrap_err().code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_doubt() {
    let store = script(&[Fault::Refused; 1000]);
    let error = update(&store, limits_of(Duration::from_secs(5)), None, add("a")).await.unwrap_err();
    assert_eq!(error.code(), "ETIMEDOUT");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_can_never_succeed_is_made_once() {
    let store = script(&[Fault::Final(403)]);
    let error = update(&store, limits(), None, add("a")).await.unwrap_err();
    assert_eq!((error.code(), error.reply.status), ("EACCES", Some(403)));
}

#[tokio::test(start_paused = true)]
async fn refused_for_good_after_a_lost_reply_is_unknown() {
    let store = script(&[Fault::Late(Duration::from_secs(9)), Fault::Final(403)]);
    let error = update(&store, limits(), None, add("a")).await.unwrap_err();
    assert_eq!(error.code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_leaves_time_to_look() {
    let store = script(&[Fault::Hang(Duration::from_secs(3600))]);
    let done = update(&store, limits_of(Duration::from_secs(30)), None, add("a")).await.unwrap();
    assert_eq!(done.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hung_read_ends_with_the_deadline() {
    let store = script(&[]);
    store.gets.lock().unwrap().extend([Fault::Hang(Duration::from_secs(3600)); 100]);
    let start = tokio::time::Instant::now();
    let error = update(&store, limits_of(Duration::from_secs(30)), None, add("a")).await.unwrap_err();
    assert_eq!((error.code(), start.elapsed().as_secs()), ("ETIMEDOUT", 30));
}

#[tokio::test(start_paused = true)]
async fn tries_have_an_end_too() {
    let store = script(&[Fault::Refused; 1000]);
    let limits = Limits::new(Duration::from_secs(600), 3).0;
    let error = update(&store, limits, None, add("a")).await.unwrap_err();
    assert_eq!(error.code(), "ETIMEDOUT");
    assert_eq!(store.puts.lock().unwrap().len(), 997);
}

#[tokio::test(start_paused = true)]
async fn an_abort_before_a_write_leaves_nothing() {
    let store = script(&[]);
    store.gets.lock().unwrap().push_back(Fault::Hang(Duration::from_secs(60)));
    let (limits, abort) = Limits::new(Duration::from_secs(600), 100);
    let call = tokio::spawn({
        let store = store.clone();
        async move { update(&store, limits, None, add("a")).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    abort.send_replace(true);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "ABORT_ERR");
    assert!(store.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_abort_while_a_write_is_on_its_way_is_unknown() {
    let store = script(&[Fault::Hang(Duration::from_secs(60))]);
    let (limits, abort) = Limits::new(Duration::from_secs(600), 100);
    let call = tokio::spawn({
        let store = store.clone();
        async move { update(&store, limits, None, add("a")).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    abort.send_replace(true);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
}

#[tokio::test(start_paused = true)]
async fn the_nonce_does_not_pile_up() {
    let store = script(&[]);
    for _ in 0..20 {
        update(&store, limits(), None, |text| format!("{}x", text.trim_end())).await.unwrap();
    }
    assert_eq!(store.text("index.json").len(), 20 + 25);
}

/// A commit whose writes begin within a second, and are looked after for a minute.
async fn begun(store: &Arc<Memory>) -> Commit {
    let limits = limits();
    let mut commit = Commit::new(store.clone(), "index.json".into(), limits.clone(), true);
    commit.read(true).await.unwrap();
    commit.set_limits(limits.lasting(Duration::from_secs(1)), limits.lasting(Duration::from_secs(60)));
    commit
}

#[tokio::test(start_paused = true)]
async fn a_conflict_leaves_no_doubt() {
    // By the reply itself, and by a look at the object.
    for scripted in [None, Some(Fault::Failed)] {
        let store = Memory::s3(Faults::default());
        update(&store, limits(), None, add("a")).await.unwrap();
        let mut commit = Commit::new(store.clone(), "index.json".into(), limits(), true);
        commit.read(true).await.unwrap();
        update(&store, limits(), None, add("b")).await.unwrap();
        store.puts.lock().unwrap().extend(scripted);
        assert!(commit.replace_if(Bytes::from_static(b"{}")).await.unwrap().is_none());
        assert!(commit.doubt().error().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_in_doubt_is_looked_after_for_those_who_have_more_time() {
    let store = script(&[Fault::Late(Duration::from_secs(20))]);
    store
        .gets
        .lock()
        .unwrap()
        .extend([Fault::None].into_iter().chain([Fault::Hang(Duration::from_secs(25))]));
    let mut commit = begun(&store).await;
    let doubt = commit.doubt();
    assert!(doubt.error().is_none());
    let running = tokio::spawn(async move { commit.replace_if(Bytes::from("a")).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(doubt.error().unwrap().code(), "ERR_ATOMIC_UNKNOWN_OUTCOME");
    let done = running.await.unwrap().unwrap().unwrap();
    assert!(done.recovered);
    assert_eq!(words(&store), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_does_not_go_on_for_those_who_have_more_time() {
    let store = script(&[Fault::Refused; 1000]);
    let mut commit = begun(&store).await;
    let (doubt, began) = (commit.doubt(), tokio::time::Instant::now());
    let error = commit.replace_if(Bytes::from("a")).await.unwrap_err();
    assert_eq!(error.code(), "ETIMEDOUT");
    // (Its second, and the millisecond that a timer may come later: not the minute.)
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(doubt.error().is_none());
}
