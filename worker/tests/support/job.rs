//! A small job in a directory of its own, and what its workers left.

use std::path::{Path, PathBuf};

use twinspire_checkpoint::{CheckpointStore, Restored, Retention, Which};
use twinspire_dataset::{Dataset, Plan, PlanSettings, audit};
use twinspire_generate::GenerateSpec;
use twinspire_job::{JobFile, JobSpec};
use twinspire_proto::v1::{Assign, Places, TaskKind};
use twinspire_storage::Location;

pub(crate) struct Job {
    pub(crate) spec: JobSpec,
    pub(crate) dataset_uri: String,
    /// Of its collectives.
    pub(crate) collective_timeout_ms: u64,
    /// Its tasks are asked for when it is over.
    pub(crate) afterwards: bool,
    directory: tempfile::TempDir,
}

impl Job {
    /// A job on a small generated log; `more` is more of its job file.
    pub(crate) fn new(more: &str) -> Job {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let spec =
            GenerateSpec { users: 200, items: 80, events: 4000, vector_dim: 8, ..GenerateSpec::default() };
        twinspire_generate::generate(&spec, &log, &|_| {}).unwrap();
        let text = format!(
            "name: small\nruns: {runs}\ndevice: cpu\nlanes: 4\n\
             log:\n  uri: \"{log}/events-*.parquet\"\n  columns: {{action: action}}\n\
             towers:\n  dim: 16\n  item: {{encoder: id, id_embedding: table}}\n  \
             user: {{d_model: 16, layers: 1, heads: 2, max_actions: 20, objective: sasrec, head: false}}\n\
             loss: {{negatives: {{mode: mixed_concat, random: 32}}}}\n\
             evaluate: {{k: [5]}}\n\
             {more}",
            runs = directory.path().join("runs").display(),
            log = log.display(),
        );
        let mut spec = JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec();
        // More of them would wait for one another on a busy machine.
        spec.train.threads = 1;
        Job { spec, dataset_uri: String::new(), collective_timeout_ms: 60_000, afterwards: false, directory }
    }

    /// The directory of its run.
    pub(crate) fn run(&self) -> PathBuf {
        self.directory.path().join("runs/small")
    }

    pub(crate) fn places(&self) -> Places {
        let text = |path: &Path| path.display().to_string();
        let run = self.run();
        Places {
            runs: text(&self.directory.path().join("runs")),
            checkpoints: text(&run.join("checkpoints")),
            export: text(&run.join("export")),
            local: text(&run),
            run: text(&run),
        }
    }

    /// The part of one of `world` workers in a task.
    pub(crate) fn part(&self, kind: TaskKind, rank: u32, world: u32) -> Assign {
        Assign {
            job: "small".into(),
            kind: kind.into(),
            spec_json: serde_json::to_string(&self.spec).unwrap(),
            dataset_uri: self.dataset_uri.clone(),
            rank,
            world,
            first_lane: 4 * rank / world,
            end_lane: 4 * (rank + 1) / world,
            places: Some(self.places()),
            collective_timeout_ms: self.collective_timeout_ms,
            heartbeat_ms: 100,
            afterwards: self.afterwards,
            ..Assign::default()
        }
    }

    /// The newest checkpoint.
    pub(crate) async fn checkpoint(&self) -> Option<Restored> {
        let location = Location::parse(&self.places().checkpoints).unwrap();
        CheckpointStore::new(location, Retention::default()).restore(Which::Latest).await.unwrap()
    }

    /// Whether every row was trained on once.
    pub(crate) async fn audit(&self) -> audit::AuditReport {
        let newest = self.checkpoint().await.unwrap().manifest;
        let dataset = Dataset::open(Location::parse(&self.dataset_uri).unwrap()).await.unwrap();
        let plan = Plan::new(dataset.manifest(), PlanSettings::of(&self.spec)).unwrap();
        let records = audit::Audit::load(&Location::parse(&self.places().run).unwrap()).await.unwrap();
        records.check(&plan, newest.step.0)
    }

    /// What a worker logged during the tasks of a generation, in order.
    pub(crate) fn log(&self, worker: &str, generation: u64) -> String {
        let Ok(entries) = std::fs::read_dir(self.run().join("logs").join(worker)) else {
            return String::new();
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let of_it = |path: &&PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{generation:05}-")))
        };
        files.iter().filter(of_it).map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}
