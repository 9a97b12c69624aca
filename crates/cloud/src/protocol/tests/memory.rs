//! A store in memory that loses replies, refuses, fails, and does requests late.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;

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
    /// 503, and nothing was done; reads too.
    pub failed: f64,
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
    /// Replies come at once, so that only pauses take time.
    pub near: bool,
    pub requests: AtomicU32,
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
        let etag = if self.by_content {
            format!("{:x}", u128::from_be_bytes(crate::store::digest(&body)))
        } else {
            format!("v{}", self.versions.fetch_add(1, Ordering::Relaxed))
        };
        let version = Version { etag: Some(etag), generation: None };
        let metadata = if self.ignores.metadata { String::new() } else { metadata };
        let size = body.len() as u64;
        let modified = super::now();
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
        Self { objects, versions, ignores: self.ignores, by_content: self.by_content, ..Self::default() }
    }

    async fn travel(&self, most: u64) {
        if !self.near {
            sleep(Duration::from_millis(fastrand::u64(5..most))).await;
        }
    }

    fn roll(&self, script: &Mutex<VecDeque<Fault>>, write: bool) -> Fault {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        // Time would stand still, and no limit would end that.
        assert!(!self.near || requests < 10_000, "requests without a pause");
        if let Some(fault) = script.lock().unwrap().pop_front() {
            return fault;
        }
        let Faults { lost, refused, late, failed } = *self.faults.lock().unwrap();
        let dice = fastrand::f64();
        if dice < failed {
            Fault::Failed
        } else if write && dice < failed + lost {
            Fault::Lost
        } else if write && dice < failed + lost + late {
            Fault::Late(Duration::from_millis(fastrand::u64(1..400)))
        } else if write && dice < failed + lost + late + refused {
            Fault::Refused
        } else {
            Fault::None
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &str, body: bool) -> Result<Option<Object>, Failure> {
        self.travel(50).await;
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
        self.travel(100).await;
        match self.roll(&self.puts, true) {
            Fault::None => self.apply(key, body, metadata, &condition),
            Fault::Lost => {
                let _ = self.apply(key, body, metadata, &condition);
                Err(Failure::Unsure(Reply::default()))
            }
            Fault::Late(after) => {
                let (store, key) = (self.another_way_to_it(), key.to_owned());
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = store.apply(&key, body, metadata, &condition);
                });
                Err(Failure::Unsure(Reply::default()))
            }
            Fault::Failed => Err(Failure::Unsure(reply(503))),
            Fault::Refused => Err(Failure::Refused(reply(429))),
            Fault::Conflict => Err(Failure::Conflict(reply(409))),
            Fault::Final(status) => Err(Failure::Final(reply(status))),
            Fault::Hang(time) => {
                sleep(time).await;
                self.apply(key, body, metadata, &condition)
            }
        }
    }

    async fn delete(&self, key: &str, version: Option<Version>) -> Result<bool, Failure> {
        self.travel(50).await;
        match self.deletes.lock().unwrap().pop_front() {
            Some(Fault::Lost) => {
                let _ = self.take(key, version.as_ref());
                Err(Failure::Unsure(Reply::default()))
            }
            Some(Fault::Late(after)) => {
                let (store, key) = (self.another_way_to_it(), key.to_owned());
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = store.take(&key, version.as_ref());
                });
                Err(Failure::Unsure(Reply::default()))
            }
            Some(Fault::Final(status)) => Err(Failure::Final(reply(status))),
            _ => self.take(key, version.as_ref()),
        }
    }

    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Failure> {
        self.travel(50).await;
        let objects = self.objects.lock().unwrap();
        let unlisted = self.unlisted.lock().unwrap().pop_front().unwrap_or_default();
        let all = objects
            .iter()
            .filter(|(key, _)| key.starts_with(folder) && after.is_none_or(|after| key.as_str() > after))
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
