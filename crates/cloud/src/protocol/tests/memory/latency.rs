//! How long the requests of a store take.

use std::time::Duration;

/// Median times in milliseconds, and how far they spread.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    get: f64,
    put: f64,
    list: f64,
    delete: f64,
    /// Of the normal distribution of their logarithms.
    deviation: f64,
    /// The least time between two writes of an object: others are refused.
    pub apart: Duration,
}

/// A store next door, which differs much from request to request: more can happen in between.
impl Default for Latency {
    fn default() -> Self {
        Self { get: 20.0, put: 40.0, list: 20.0, delete: 20.0, deviation: 0.7, apart: Duration::ZERO }
    }
}

/// The share of a write's time after which it is decided.
const DECIDED: f64 = 0.85;

impl Latency {
    /// Replies come at once, so that only pauses take time.
    pub fn none() -> Self {
        Self { get: 0.0, put: 0.0, list: 0.0, delete: 0.0, deviation: 0.0, apart: Duration::ZERO }
    }

    /// S3 in the region of the machine.
    pub fn s3() -> Self {
        Self { get: 25.0, put: 60.0, list: 50.0, delete: 30.0, deviation: 0.35, apart: Duration::ZERO }
    }

    /// S3 Express One Zone, in the machine's own zone: milliseconds of one digit.
    pub fn express() -> Self {
        Self { get: 5.0, put: 9.0, list: 15.0, delete: 8.0, ..Self::s3() }
    }

    /// As fast as S3, with one write a second of an object.
    pub fn gcs() -> Self {
        Self { apart: Duration::from_secs(1), ..Self::s3() }
    }

    fn some(&self, median: f64) -> Duration {
        // Box and Muller's way to a normal distribution.
        let (u, v) = (1.0 - fastrand::f64(), fastrand::f64());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        Duration::from_secs_f64(median / 1000.0 * (self.deviation * normal).exp())
    }

    fn around_decision(&self, median: f64) -> [Duration; 2] {
        let whole = self.some(median);
        let before = whole.mul_f64(DECIDED);
        [before, whole - before]
    }

    pub fn get(&self) -> Duration {
        self.some(self.get)
    }

    pub fn list(&self) -> Duration {
        self.some(self.list)
    }

    /// Until the store has decided, and until the reply is there.
    pub fn put(&self) -> [Duration; 2] {
        self.around_decision(self.put)
    }

    /// Until the store has decided, and until the reply is there.
    pub fn delete(&self) -> [Duration; 2] {
        self.around_decision(self.delete)
    }
}
