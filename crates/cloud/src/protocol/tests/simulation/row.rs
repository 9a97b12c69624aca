//! The figures of one run.

use std::time::Duration;

use serde::Serialize;

use super::World;
use super::account::Told;
use crate::protocol::Signature;

/// Updates that the index does not have, and that it has twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wrong {
    pub lost: u32,
    pub doubled: u32,
}

/// Times in milliseconds, counts a second.
#[derive(Debug, Serialize)]
pub struct Row {
    kind: String,
    store: String,
    machines: u32,
    offered: f64,
    seed: u64,
    pub done: f64,
    accepted_p50: Option<f64>,
    accepted_p99: Option<f64>,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub commits: f64,
    /// PUT requests for each commit.
    tries: f64,
    pub gets: f64,
    pub puts: f64,
    lists: f64,
    deletes: f64,
    acknowledged: usize,
    pub unknown: u32,
    pub failed: u32,
    pub late: u32,
    pub kills: u32,
    #[serde(flatten)]
    pub wrong: Wrong,
}

fn quantile(times: &mut [Duration], share: f64) -> Option<f64> {
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    Some(times[(last as f64 * share) as usize].as_secs_f64() * 1000.0)
}

impl Row {
    pub fn new(world: &World, elapsed: Duration) -> Self {
        let plan = &world.plan;
        let mut book = world.account.book();
        let metadata = world.store.metadata(super::KEY);
        let commits = Signature::parse(&metadata).seq as f64;
        let seconds = elapsed.as_secs_f64();
        let [gets, puts, lists, deletes] = world.store.requests.each().map(|count| count as f64);
        Self {
            kind: format!("{:?}", plan.kind).to_lowercase(),
            store: format!("{:?}", plan.store).to_lowercase(),
            machines: plan.machines,
            offered: f64::from(plan.machines) * plan.rate,
            seed: plan.seed,
            done: book.answered.len() as f64 / seconds,
            accepted_p50: quantile(&mut book.accepted, 0.5),
            accepted_p99: quantile(&mut book.accepted, 0.99),
            p50: quantile(&mut book.answered, 0.5),
            p99: quantile(&mut book.answered, 0.99),
            commits: commits / seconds,
            tries: puts / commits.max(1.0),
            gets: gets / seconds,
            puts: puts / seconds,
            lists: lists / seconds,
            deletes: deletes / seconds,
            acknowledged: 0,
            unknown: book.unknown,
            failed: book.failed,
            late: book.late,
            kills: book.kills,
            wrong: Wrong::default(),
        }
    }

    pub fn checked(self, wrong: Wrong, world: &World) -> Self {
        let calls = &world.account.book().calls;
        let acknowledged = calls.values().flatten().filter(|told| **told == Told::Done).count();
        Self { wrong, acknowledged, ..self }
    }
}
