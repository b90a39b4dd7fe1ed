//! Three coordinators over three etcd servers, and everything of the jobs in a bucket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;
use twinspire_store::{Election, MetadataStore};
use twinspire_test_etcd::Cluster;
use twinspire_test_s3::S3Server;
use twinspire_tests::{Service, one_at_a_time, until};

/// Where coordinators keep what jobs write that do not say otherwise.
const RUNS: &str = "s3://team/runs";

/// Within what another coordinator is to lead. It takes a lease's 5 s and a moment; this machine may be
/// busy.
const SOON: Duration = Duration::from_secs(60);

/// Bytes of a value in etcd at most.
const MAX_VALUE: usize = 100_000;

/// The state of the coordinators, seen beside them.
struct State {
    runtime: Runtime,
    store: Arc<dyn MetadataStore>,
}

impl State {
    /// Address of the coordinator that leads.
    fn leader(&self) -> Option<String> {
        let election = Election::new(Arc::clone(&self.store), "leader");
        let leader = self.runtime.block_on(election.leader()).expect("etcd answers");
        leader.map(|leader| leader.address)
    }

    fn sizes(&self) -> Vec<(String, usize)> {
        let all = self.runtime.block_on(self.store.range("")).expect("etcd answers");
        all.into_iter().map(|(key, value)| (key, value.value.len())).collect()
    }
}

#[test]
fn jobs_outlive_the_coordinator_that_leads() {
    let _alone = one_at_a_time();
    let Some(etcd) = Cluster::start(3).expect("three etcd servers") else { return };
    let runtime = Runtime::new().expect("a runtime");
    let bucket = runtime.block_on(S3Server::start(&["team"])).expect("an S3 server");
    let place = etcd.place("twinspire");
    let store = runtime.block_on(twinspire_store::open(&place)).expect("etcd");
    let state = State { runtime, store };

    let mut service = Service::new(3, &["--state", &place, "--runs", RUNS], bucket.environment());
    service.add_workers("node", 4);
    let urls = service.urls();
    let first = state.leader().expect("a leader");
    let leads = urls.iter().position(|url| *url == first).unwrap_or_else(|| panic!("{first} in {urls:?}"));
    let follower = &urls[(leads + 1) % 3];

    let fields = ["train.steps=300", "workers=2", "train.log_every=1", "checkpoint.every_steps=20"];
    for job in ["one", "two"] {
        service.submit_at(follower, job, &fields, &[]).expect_exit(0);
    }
    let elsewhere = ["runs=s3://nobody/runs"];
    let refused = service.submit_at(follower, "lost", &elsewhere, &[]).expect_exit(2).stderr;
    assert!(refused.contains("TW3004") && refused.contains("nobody"), "{refused}");
    for job in ["one", "two"] {
        service.wait_for_job(job, "at a checkpoint", |job| job["checkpoint_step"].as_u64() > Some(0));
    }

    service.kill(leads);
    let (killed, before) = (Instant::now(), ["one", "two"].map(|job| service.trained(job)));
    for (job, before) in ["one", "two"].into_iter().zip(before) {
        assert!(before < 290, "{job} was at step {before} already");
        service.wait_until_trained(job, before + 5);
    }
    until("another coordinator is to lead", || state.leader().filter(|leader| *leader != first));
    until("it is to answer", || service.leads().then_some(()));
    let took = killed.elapsed();
    println!("another coordinator answered after {took:.1?}");
    assert!(took < SOON, "{took:?}");
    assert_eq!(service.ask(&["list"]).as_array().map(Vec::len), Some(2));

    for job in ["one", "two"] {
        let done = service.submit(job, &fields, &["--wait", "-o", "json"]).expect_exit(0).json();
        assert_eq!(done["phase"], "succeeded");
        // Nobody began anew because of the coordinator.
        assert_eq!(service.began_at(job), [0]);
        assert_eq!(service.assert_all_rows_were_trained_once(job), 300);
        let logs = service.run(&["logs", job]).expect_exit(0).stdout;
        assert!(logs.contains("TASK_KIND_TRAIN"), "{logs}");
        for file in ["export/item-embeddings.parquet", "evaluation-test.json"] {
            assert!(bucket.bucket_path("team").join("runs").join(job).join(file).is_file(), "{job}/{file}");
        }
    }

    // One that is back follows.
    service.start(leads);
    until("it is to pass on what it is asked", || {
        (service.run_at(&urls[leads], &["list"]).exit() == Some(0)).then_some(())
    });
    assert_ne!(state.leader(), Some(first));

    let sizes = state.sizes();
    for key in ["jobs/one", "jobs/two", "leader", "pool"] {
        assert!(sizes.iter().any(|(other, _)| other == key), "no {key} in {sizes:?}");
    }
    let largest = sizes.iter().max_by_key(|(_, bytes)| *bytes).expect("values");
    println!("{} values in etcd, the largest {largest:?}", sizes.len());
    assert!(largest.1 < MAX_VALUE, "{largest:?}");
}
