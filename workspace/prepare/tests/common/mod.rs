//! A log in a temporary directory, its job, and the dataset that comes of it, read back.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use twinspire_dataset::Dataset;
use twinspire_job::{JobFile, JobSpec, Override};
use twinspire_prepare::{PrepareError, Prepared, prepare};
use twinspire_storage::Location;

/// A directory with inputs and runs.
pub struct Place(pub tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// The job of a text in which `$` stands for this directory.
    pub fn job(&self, text: &str, set: &[&str]) -> JobSpec {
        let text = format!("name: test\ntowers: {{item: {{encoder: id, id_embedding: table}}}}\n{text}")
            .replace('$', self.0.path().to_str().unwrap());
        let set: Vec<Override> = set.iter().map(|text| text.parse().unwrap()).collect();
        JobFile::parse(&text, "job.yaml", &set).unwrap().into_spec()
    }

    pub fn runs(&self) -> Location {
        Location::parse(self.path("runs").to_str().unwrap()).unwrap()
    }

    pub async fn prepare(&self, text: &str, set: &[&str]) -> Result<Prepared, PrepareError> {
        prepare(&self.job(text, set), &self.runs(), |_| ()).await
    }

    /// Whatever is left under `datasets`: nothing may be after an error.
    pub fn left(&self) -> Vec<String> {
        names(&self.path("runs/datasets"))
    }
}

pub fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A user's timeline with names instead of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub items: Vec<String>,
    pub actions: Vec<String>,
    pub timestamps: Vec<i64>,
    pub train_end: usize,
    pub validation_end: usize,
}

/// All timelines by user, after the dataset's own checks (checksums, shapes).
pub async fn users(prepared: &Prepared) -> BTreeMap<String, User> {
    let dataset = Dataset::open(prepared.location.clone()).await.unwrap();
    dataset.verify().await.unwrap();
    let items = dataset.items().await.unwrap();
    let manifest = dataset.manifest();
    let mut users = BTreeMap::new();
    for number in 0..manifest.shards.len() {
        let shard = dataset.shard_with_user_ids(number).await.unwrap();
        for row in 0..shard.rows() {
            let timeline = shard.timeline(row);
            let user = User {
                items: timeline.items.iter().map(|item| items.ids[*item as usize].clone()).collect(),
                actions: timeline
                    .actions
                    .iter()
                    .map(|action| manifest.actions[*action as usize].name.clone())
                    .collect(),
                timestamps: timeline.timestamps.to_vec(),
                train_end: timeline.train_end,
                validation_end: timeline.validation_end,
            };
            assert!(users.insert(timeline.user_id.to_owned(), user).is_none(), "a user has one row");
        }
    }
    users
}

/// Name and bytes of every file of the dataset.
pub fn bytes(prepared: &Prepared) -> BTreeMap<String, Vec<u8>> {
    let dir = prepared.location.local_path().unwrap();
    names(&dir).into_iter().map(|name| (name.clone(), std::fs::read(dir.join(name)).unwrap())).collect()
}

/// A log of `rows` engagements, as CSV lines without the header, in the order of time.
pub fn log_lines(rows: usize) -> Vec<String> {
    let mut state = 7u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..rows)
        .map(|row| {
            let action = ["click", "save", "hide"][random(3) as usize];
            let time = 1_700_000_000 + row as u64 / 3 * 10;
            format!("u{},i{},{action},{time},{}", random(97), random(53) * random(2), random(30))
        })
        .collect()
}

pub const HEADER: &str = "user_id,item_id,action,timestamp,duration";
