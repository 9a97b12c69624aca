use super::row::Wrong;
use super::*;
use crate::protocol::commit::Mutant;
use plan::Cloud;

async fn all_is_there_once(plan: Plan) -> Row {
    let row = run(plan).await;
    assert_eq!(row.wrong, Wrong::default(), "{row:?}");
    row
}

#[tokio::test(start_paused = true)]
async fn updates_of_one_and_of_ten_machines_are_there_once() {
    for machines in [1, 10] {
        all_is_there_once(Plan::new(Kind::Update, machines, 30.0)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn patches_of_one_and_of_ten_machines_are_there_once() {
    for machines in [1, 10] {
        all_is_there_once(Plan::new(Kind::Patch, machines, 30.0)).await;
    }
}

/// `ATOMIC_SIMULATION` has the plans, a JSON array; each row is printed as a line of JSON.
#[tokio::test(start_paused = true)]
#[ignore = "npm run simulate:cloud"]
async fn simulate() {
    let plans: Vec<Plan> = serde_json::from_str(&std::env::var("ATOMIC_SIMULATION").unwrap()).unwrap();
    for plan in plans {
        println!("\n{}", serde_json::to_string(&run(plan).await).unwrap());
    }
}

/// How many updates were lost or doubled in three runs, and the last of them.
async fn without(mutant: Option<Mutant>, plan: impl Fn(u64) -> Plan) -> (u32, Row) {
    let (mut wrong, mut last) = (0, None);
    for seed in 1..=3 {
        let row = run(Plan { mutant, ..plan(seed) }).await;
        wrong += row.wrong.lost + row.wrong.doubled;
        last = Some(row);
    }
    (wrong, last.unwrap())
}

fn five_machines(seed: u64) -> Plan {
    Plan { seed, ..Plan::new(Kind::Update, 5, 20.0) }
}

#[tokio::test(start_paused = true)]
async fn without_the_ring_it_sees_updates_doubled() {
    assert_ne!(without(Some(Mutant::Ring), five_machines).await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_condition_it_sees_updates_lost() {
    assert_ne!(without(Some(Mutant::Condition), five_machines).await.0, 0);
}

/// Many late requests, and contents that return.
fn late_requests(seed: u64) -> Plan {
    let faults = Faults { late: 0.15, ..Faults::default() };
    Plan { seed, rate: 4.0, kill: None, own_faults: Some(faults), ..Plan::new(Kind::Undo, 2, 60.0) }
}

#[tokio::test(start_paused = true)]
async fn without_the_nonce_it_sees_late_requests_land() {
    assert_eq!(without(None, late_requests).await.0, 0);
    assert_ne!(without(Some(Mutant::Nonce), late_requests).await.0, 0);
}

/// Replies that get lost, and looks that take longer than 128 commits of others.
fn slow_looks(seed: u64) -> Plan {
    let faults = Faults { lost: 0.05, stalled: 0.02, ..Faults::default() };
    Plan { seed, store: Cloud::Express, own_faults: Some(faults), ..Plan::new(Kind::Update, 20, 20.0) }
}

#[tokio::test(start_paused = true)]
async fn without_the_number_it_sees_updates_doubled() {
    let (wrong, row) = without(None, slow_looks).await;
    assert_eq!(wrong, 0);
    assert_ne!(row.unknown, 0, "what the ring has forgotten is unknown");
    assert_ne!(without(Some(Mutant::Seq), slow_looks).await.0, 0);
}

fn store_in_trouble(seed: u64) -> Plan {
    let faults = Faults { unwritable: 0.8, ..Faults::default() };
    Plan { own_faults: Some(faults), ..five_machines(seed) }
}

#[tokio::test(start_paused = true)]
async fn without_the_pause_it_sees_more_requests() {
    let ((_, with), (_, without)) =
        (without(None, store_in_trouble).await, without(Some(Mutant::Pause), store_in_trouble).await);
    assert!(with.puts * 1.3 < without.puts, "{with:?} and {without:?}");
}
