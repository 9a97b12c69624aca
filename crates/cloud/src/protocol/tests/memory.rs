//! A store in memory that loses replies, refuses, fails, and does requests late.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;

pub use latency::Latency;

mod latency;

use crate::protocol::{Condition, Entry, Failure, Object, Put, Reply, Store, Version};

/// Shares of the requests, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A write is done, and its reply gets lost.
    pub lost: f64,
    /// 429.
    pub refused: f64,
    /// A write is done up to 400 ms after the client has seen a reset.
    pub late: f64,
    /// 503 or a reset, and nothing was done; reads too.
    pub failed: f64,
    /// 503 of a write only.
    pub unwritable: f64,
    /// A read takes up to 14 seconds.
    pub stalled: f64,
}

/// How many requests there were.
#[derive(Debug, Default)]
pub struct Requests {
    pub gets: AtomicU64,
    pub puts: AtomicU64,
    pub lists: AtomicU64,
    pub deletes: AtomicU64,
}

impl Requests {
    /// GET, PUT, LIST, DELETE.
    pub fn each(&self) -> [u64; 4] {
        [&self.gets, &self.puts, &self.lists, &self.deletes].map(|count| count.load(Ordering::Relaxed))
    }
}

/// A request that is on its way does not end with its client: whether it still arrives is a matter of luck.
struct Flight(tokio::task::AbortHandle);

impl Drop for Flight {
    fn drop(&mut self) {
        if fastrand::bool() {
            self.0.abort();
        }
    }
}

async fn fly<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> T {
    let request = tokio::spawn(request);
    let _flight = Flight(request.abort_handle());
    request.await.unwrap()
}

/// What happens to a certain request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    None,
    Lost,
    Late(Duration),
    Failed,
    Refused,
    Conflict,
    Hang(Duration),
    Final(u16),
}

/// Conditions that the store ignores.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignores {
    pub absent: bool,
    pub version: bool,
    pub missing: bool,
    pub metadata: bool,
    /// Those of a DELETE.
    pub deletes: bool,
}

#[derive(Clone)]
pub struct Stored {
    object: Object,
}

#[derive(Default)]
pub struct Memory {
    pub objects: Arc<Mutex<BTreeMap<String, Stored>>>,
    pub faults: Mutex<Faults>,
    pub puts: Mutex<VecDeque<Fault>>,
    pub gets: Mutex<VecDeque<Fault>>,
    pub deletes: Mutex<VecDeque<Fault>>,
    /// Objects whose keys end so are written while the next listings are made, which do not show them.
    pub unlisted: Mutex<VecDeque<&'static [&'static str]>>,
    pub ignores: Ignores,
    /// As on S3: the version is a digest of the content.
    pub by_content: bool,
    pub latency: Latency,
    /// How far its clock is behind.
    pub behind: Duration,
    pub requests: Requests,
    pub versions: Arc<AtomicU32>,
}

fn reply(status: u16) -> Reply {
    Reply { status: Some(status), ..Reply::default() }
}

impl Memory {
    /// One whose versions are digests of the content.
    pub fn s3(faults: Faults) -> Arc<Self> {
        Arc::new(Self { by_content: true, faults: Mutex::new(faults), ..Self::default() })
    }

    pub fn text(&self, key: &str) -> String {
        let objects = self.objects.lock().unwrap();
        objects
            .get(key)
            .map(|stored| String::from_utf8(stored.object.body.to_vec()).unwrap())
            .unwrap_or_default()
    }

    /// Of an object that may be missing.
    pub fn metadata(&self, key: &str) -> String {
        let objects = self.objects.lock().unwrap();
        objects.get(key).map(|stored| stored.object.metadata.clone()).unwrap_or_default()
    }

    /// As if objects with such names had been written earlier.
    pub fn age(&self, by: Duration, end: &str) {
        for (key, stored) in self.objects.lock().unwrap().iter_mut() {
            if key.ends_with(end) {
                stored.object.modified -= by;
            }
        }
    }

    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Another program writes, without conditions and metadata.
    pub fn overwrite(&self, key: &str, text: &str) {
        self.apply(key, Bytes::copy_from_slice(text.as_bytes()), String::new(), &Condition::None).unwrap();
    }

    fn apply(&self, key: &str, body: Bytes, metadata: String, condition: &Condition) -> Result<Put, Failure> {
        let mut objects = self.objects.lock().unwrap();
        let now = objects.get(key).map(|stored| &stored.object.version);
        let holds = match (condition, now) {
            (Condition::None, _) | (Condition::Absent, None) => true,
            (Condition::Absent, Some(_)) => self.ignores.absent,
            (Condition::Is(_), None) => self.ignores.missing,
            (Condition::Is(version), Some(now)) => version == now || self.ignores.version,
        };
        if !holds {
            return Err(Failure::Conflict(reply(412)));
        }
        let modified = super::now() - self.behind;
        if let Some(before) = objects.get(key)
            && modified < before.object.modified + self.latency.apart
        {
            return Err(Failure::Refused(reply(429)));
        }
        let etag = if self.by_content {
            format!("{:x}", u128::from_be_bytes(crate::store::digest(&body)))
        } else {
            format!("v{}", self.versions.fetch_add(1, Ordering::Relaxed))
        };
        let version = Version { etag: Some(etag), generation: None };
        let metadata = if self.ignores.metadata { String::new() } else { metadata };
        let size = body.len() as u64;
        let object = Object { body, size, version: version.clone(), metadata, modified };
        objects.insert(key.to_owned(), Stored { object });
        Ok(Put { version, checked: true })
    }

    fn take(&self, key: &str, version: Option<&Version>) -> Result<bool, Failure> {
        let mut objects = self.objects.lock().unwrap();
        let now = objects.get(key).map(|stored| &stored.object.version);
        if version.is_some() && version != now && !self.ignores.deletes {
            return Err(Failure::Conflict(reply(412)));
        }
        Ok(objects.remove(key).is_some())
    }

    /// The same objects without the faults: for another machine, or a request that outlives its caller.
    pub fn another_way_to_it(&self) -> Self {
        let (objects, versions) = (self.objects.clone(), self.versions.clone());
        let (ignores, by_content, latency) = (self.ignores, self.by_content, self.latency);
        let behind = self.behind;
        Self { objects, versions, ignores, by_content, latency, behind, ..Self::default() }
    }

    fn roll(&self, script: &Mutex<VecDeque<Fault>>, write: bool) -> Fault {
        if let Some(fault) = script.lock().unwrap().pop_front() {
            return fault;
        }
        let Faults { lost, refused, late, failed, unwritable, stalled } = *self.faults.lock().unwrap();
        let dice = fastrand::f64();
        if dice < failed + if write { unwritable } else { 0.0 } {
            Fault::Failed
        } else if write && dice < failed + lost {
            Fault::Lost
        } else if write && dice < failed + lost + late {
            Fault::Late(Duration::from_millis(fastrand::u64(1..400)))
        } else if write && dice < failed + lost + late + refused {
            Fault::Refused
        } else if !write && dice < failed + stalled {
            Fault::Hang(Duration::from_millis(fastrand::u64(1000..14_000)))
        } else {
            Fault::None
        }
    }

    /// A write or a removal, as the store and the wire between treat it.
    async fn change<T: Send + 'static>(
        &self,
        fault: Fault,
        [before, after]: [Duration; 2],
        change: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.another_way_to_it();
        fly(async move {
            sleep(before).await;
            let reply = match fault {
                Fault::None => change(&store),
                Fault::Lost => {
                    let _ = change(&store);
                    Err(Failure::Unsure(Reply::default()))
                }
                Fault::Late(by) => {
                    tokio::spawn(async move {
                        sleep(by).await;
                        let _ = change(&store);
                    });
                    Err(Failure::Unsure(Reply::default()))
                }
                Fault::Failed => Err(Failure::Unsure(reply(503))),
                Fault::Refused => Err(Failure::Refused(reply(429))),
                Fault::Conflict => Err(Failure::Conflict(reply(409))),
                Fault::Final(status) => Err(Failure::Final(reply(status))),
                Fault::Hang(time) => {
                    sleep(time).await;
                    change(&store)
                }
            };
            sleep(after).await;
            reply
        })
        .await
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &str, body: bool) -> Result<Option<Object>, Failure> {
        self.requests.gets.fetch_add(1, Ordering::Relaxed);
        sleep(self.latency.get()).await;
        match self.roll(&self.gets, false) {
            Fault::Failed => return Err(Failure::Unsure(reply(503))),
            Fault::Final(status) => return Err(Failure::Final(reply(status))),
            Fault::Hang(time) => sleep(time).await,
            _ => {}
        }
        let mut object = self.objects.lock().unwrap().get(key).map(|stored| stored.object.clone());
        if let Some(object) = object.as_mut().filter(|_| !body) {
            object.body = Bytes::new();
        }
        Ok(object)
    }

    async fn put(
        &self,
        key: &str,
        body: Bytes,
        metadata: String,
        condition: Condition,
    ) -> Result<Put, Failure> {
        self.requests.puts.fetch_add(1, Ordering::Relaxed);
        let (fault, key) = (self.roll(&self.puts, true), key.to_owned());
        self.change(fault, self.latency.put(), move |store| store.apply(&key, body, metadata, &condition))
            .await
    }

    async fn delete(&self, key: &str, version: Option<Version>) -> Result<bool, Failure> {
        self.requests.deletes.fetch_add(1, Ordering::Relaxed);
        let (fault, key) = (self.deletes.lock().unwrap().pop_front().unwrap_or(Fault::None), key.to_owned());
        self.change(fault, self.latency.delete(), move |store| store.take(&key, version.as_ref())).await
    }

    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Failure> {
        self.requests.lists.fetch_add(1, Ordering::Relaxed);
        sleep(self.latency.list()).await;
        let objects = self.objects.lock().unwrap();
        let unlisted = self.unlisted.lock().unwrap().pop_front().unwrap_or_default();
        let from = Bound::Excluded(after.unwrap_or(folder).max(folder).to_owned());
        let all = objects
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(folder))
            .filter(|(key, _)| !unlisted.iter().any(|end| key.ends_with(end)));
        let entry = |(key, stored): (&String, &Stored)| {
            let Object { size, version, modified, .. } = stored.object.clone();
            Entry { key: key.clone(), size, version, modified }
        };
        Ok(all.take(1000).map(entry).collect())
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let mut objects = self.objects.lock().unwrap();
        let Some(stored) = objects.get(from).cloned() else { return Err(Failure::Final(reply(404))) };
        objects.insert(to.to_owned(), stored);
        Ok(())
    }
}
