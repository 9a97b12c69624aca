use super::memory::Ignores;
use super::*;
use crate::protocol::{Kind, probe};

async fn verdict(ignores: Ignores, faults: Faults) -> Result<(), Error> {
    fastrand::seed(3);
    let store = Arc::new(Memory { ignores, faults: faults.into(), ..Memory::default() });
    let verdict = probe(store.as_ref(), "folder/", &limits()).await;
    if faults.late == 0.0 {
        assert_eq!(store.keys(), [""; 0], "the probe leaves nothing");
    }
    verdict
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_conditions_is_fit() {
    verdict(Ignores::default(), Faults::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn faults_are_not_taken_for_a_broken_condition() {
    verdict(
        Ignores::default(),
        Faults { lost: 0.2, late: 0.1, refused: 0.1, failed: 0.1, ..Faults::default() },
    )
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_condition_that_is_ignored_is_named() {
    let absent = Ignores { absent: true, ..Ignores::default() };
    let version = Ignores { version: true, ..Ignores::default() };
    let missing = Ignores { missing: true, ..Ignores::default() };
    let metadata = Ignores { metadata: true, ..Ignores::default() };
    for (ignores, word) in [
        (absent, "second creation"),
        (version, "version that is gone"),
        (missing, "does not exist"),
        (metadata, "metadata"),
    ] {
        let error = verdict(ignores, Faults::default()).await.unwrap_err();
        assert!(matches!(&error.kind, Kind::Unfit { test } if test.contains(word)), "{error}");
    }
}
