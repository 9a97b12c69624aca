//! Many machines that change one index for minutes of virtual time: the protocol's own code, against the store in memory with
//! the latencies of a cloud, faults, and machines that are killed and replaced. Each run is one row of figures, and in
//! each all that was acknowledged has to be in the index once.
//!
//! `npm run simulate:cloud` runs the plans that it gives in an environment variable; the tests here are the quick part.

mod account;
mod patches;
mod plan;
mod quick;
mod row;
mod updates;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use account::Account;
use plan::{Kind, Plan};
use row::Row;

use super::memory::Memory;
use super::*;

/// The timeout of a call, as the package has it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Late requests and those of machines that were killed have landed by then.
const SETTLED: Duration = Duration::from_secs(60);

const KEY: &str = "index.json";

/// What the machines of a run share.
struct World {
    store: Arc<Memory>,
    plan: Plan,
    account: Account,
    /// Until when calls are made.
    end: Instant,
}

impl World {
    /// Until the next call of a machine: calls do not wait for each other.
    async fn next_call(&self) -> bool {
        let mean = 1.0 / self.plan.rate;
        let next = Instant::now() + Duration::from_secs_f64(2.0 * mean * fastrand::f64());
        sleep_until(next.min(self.end)).await;
        next < self.end
    }
}

async fn run(plan: Plan) -> Row {
    fastrand::seed(plan.seed);
    let store = Arc::new(Memory {
        by_content: plan.store != plan::Cloud::Gcs,
        latency: plan.store.latency(),
        faults: plan.faults().into(),
        ..Memory::default()
    });
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(plan.seconds);
    let world = Arc::new(World { store, plan, account: Account::default(), end });
    work(&world).await;
    let elapsed = start.elapsed();
    let row = Row::new(&world, elapsed);
    *world.store.faults.lock().unwrap() = Faults::default();
    sleep(SETTLED).await;
    let wrong = match world.plan.kind {
        Kind::Update | Kind::Undo => updates::check(&world),
        Kind::Patch => patches::check(&world).await,
    };
    row.checked(wrong, &world)
}

/// Keeps so many machines running, kills some, and waits for all.
async fn work(world: &Arc<World>) {
    let mut machines = JoinSet::new();
    let mut alive = Vec::new();
    for number in 0..world.plan.machines {
        alive.push(machines.spawn(machine(world.clone(), number)));
    }
    let mut next = world.plan.machines;
    while let Some(every) = world.plan.kill {
        sleep(Duration::from_secs_f64(every * 2.0 * fastrand::f64())).await;
        if Instant::now() >= world.end {
            break;
        }
        let victim = fastrand::usize(..alive.len());
        alive[victim].abort();
        world.account.killed();
        alive[victim] = machines.spawn(machine(world.clone(), next));
        next += 1;
    }
    while let Some(done) = machines.join_next().await {
        assert!(done.is_ok() || done.unwrap_err().is_cancelled(), "a machine has panicked");
    }
}

async fn machine(world: Arc<World>, number: u32) {
    match world.plan.kind {
        Kind::Update | Kind::Undo => updates::machine(&world, number).await,
        Kind::Patch => patches::machine(&world, number).await,
    }
}
