//! Tasks by real worker processes, under a coordinator that does what a test says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use twinspire_proto::v1::{
    Abort, Assign, Ready, StopAfterStep, TaskKind, Trained, coordinator_message::Body as Order, task_done,
    worker_message::Body,
};

use self::support::{
    job::Job,
    pool::{Act, Ended, Pool, Said},
    until,
};

fn step_of(said: &Said) -> u64 {
    match &said.what {
        Some(Body::Progress(progress)) => progress.training.as_ref().map_or(0, |training| training.step),
        Some(Body::CheckpointCommitted(committed)) => committed.step,
        _ => 0,
    }
}

fn committed(said: &Said) -> Option<u64> {
    match &said.what {
        Some(Body::CheckpointCommitted(committed)) => Some(committed.step),
        _ => None,
    }
}

fn trained(ended: Ended) -> Vec<Trained> {
    let Ended::Done(results) = ended else { panic!("{ended:?}") };
    let trained = results.into_iter().map(|result| match result {
        task_done::Result::Trained(trained) => trained,
        other => panic!("{other:?}"),
    });
    trained.collect()
}

fn kill(pool: &Pool, worker: &str, signal: Signal) {
    let pid = pool.register(worker).pid;
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_its_log_to_embeddings_on_two_workers() {
    let mut job = Job::new("train: {global_batch: 64, epochs: 3}\n");
    let mut pool = Pool::start(2, &job.run()).await;
    pool.prepare(&mut job).await;
    let ended = pool.attempt(&job, TaskKind::Train, 2, 2, |_| Act::GoOn).await;
    let trained = trained(ended);
    assert_eq!(trained[0].step, trained[0].total_steps);

    // The run's own report, and one asked for later beside it.
    for (generation, afterwards) in [(3, false), (4, true)] {
        job.afterwards = afterwards;
        let ended = pool.attempt(&job, TaskKind::Evaluate, generation, 2, |_| Act::GoOn).await;
        let Ended::Done(results) = ended else { panic!("{ended:?}") };
        let task_done::Result::Evaluated(evaluated) = &results[0] else { panic!("{results:?}") };
        let report: serde_json::Value = serde_json::from_str(&evaluated.report_json).unwrap();
        assert!(report["model"]["ndcg"]["5"].as_f64().unwrap() > 0.0);
        let later = job.run().join(format!("evaluation-test-step-{}.json", evaluated.step));
        assert_eq!(later.exists(), afterwards);
        let kept = if afterwards { later } else { job.run().join("evaluation-test.json") };
        let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
        assert_eq!(kept, report, "it is there when the task is done");
    }
    job.afterwards = false;

    let ended = pool.attempt(&job, TaskKind::Export, 5, 1, |_| Act::GoOn).await;
    assert!(matches!(ended, Ended::Done(_)), "{ended:?}");
    let export = job.run().join("export");
    for file in ["item-embeddings.parquet", "user-embeddings.parquet", "weights.safetensors", "item-tower.pt"]
    {
        assert!(export.join(file).is_file(), "{file}");
    }
    let audit = job.audit().await;
    assert!(audit.passed() && audit.expected == 3 * 200, "{audit:?}");

    pool.end().await;
    for (worker, rank) in [("w0", "rank=0"), ("w1", "rank=1")] {
        let log = job.log(worker, 2);
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].contains("assigned") && lines[0].contains(rank), "{log}");
        assert!(lines[lines.len() - 1].contains("done"), "the end is not lost when the process ends:\n{log}");
    }
    assert!(job.log("w1", 5).is_empty(), "it had no part in that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_comes_back_and_training_ends_where_it_would_have() {
    let train = "train: {global_batch: 32, steps: 60}\ncheckpoint: {every_steps: 10}\n";
    let (mut undisturbed, mut disturbed) = (Job::new(train), Job::new(train));
    let mut pool = Pool::start(1, &undisturbed.run()).await;
    for job in [&mut undisturbed, &mut disturbed] {
        pool.prepare(job).await;
    }
    trained(pool.attempt(&undisturbed, TaskKind::Train, 2, 1, |_| Act::GoOn).await);

    let mut generation = 2;
    for after in [20, 40] {
        let (pid, incarnation) = (pool.register("w0").pid, pool.register("w0").incarnation);
        let ended = pool
            .attempt(&disturbed, TaskKind::Train, generation, 1, |said| {
                if committed(said).is_some_and(|step| step >= after) {
                    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
                }
                Act::GoOn
            })
            .await;
        assert!(matches!(&ended, Ended::Failed(why) if why.contains("gone")), "{ended:?}");
        pool.all_here().await;
        assert_ne!(pool.register("w0").incarnation, incarnation, "another life");
        assert_eq!(pool.register("w0").running, None);
        generation += 1;
    }
    trained(pool.attempt(&disturbed, TaskKind::Train, generation, 1, |_| Act::GoOn).await);

    let (expected, end) = (undisturbed.checkpoint().await.unwrap(), disturbed.checkpoint().await.unwrap());
    assert_eq!(end.manifest.step.0, 60);
    assert_eq!(expected.tensors, end.tensors, "bit by bit");
    let audit = disturbed.audit().await;
    assert!(audit.passed(), "{audit:?}");
    pool.end().await;
}

/// Invariant 5 of the architecture.
#[tokio::test(flavor = "multi_thread")]
async fn training_goes_on_while_there_is_no_coordinator_and_waits_for_one_with_its_last_checkpoint() {
    let mut job = Job::new("train: {global_batch: 32, steps: 300}\ncheckpoint: {every_steps: 20}\n");
    let mut pool = Pool::start(2, &job.run()).await;
    pool.prepare(&mut job).await;
    let die = |said: &Said| if committed(said).is_some() { Act::Die } else { Act::GoOn };
    let ended = pool.attempt(&job, TaskKind::Train, 2, 2, die).await;
    assert!(matches!(ended, Ended::NotYet), "{ended:?}");
    let before = job.checkpoint().await.unwrap().manifest.step.0;
    assert!(before < 300);

    let last = job.run().join("checkpoints/step-000000300/generation-00002");
    until("the last parts are written", || std::fs::read_dir(&last).is_ok_and(|files| files.count() == 2))
        .await;
    // Nobody said that it may be committed.
    assert!(job.checkpoint().await.unwrap().manifest.step.0 < 300);

    pool.live_again().await;
    for worker in ["w0", "w1"] {
        let running = pool.register(worker).running.clone().expect("it has its task");
        assert_eq!((running.job.as_str(), running.generation), ("small", 2));
    }
    let mut started = 0;
    let ended = pool
        .see_to(2, 2, |said| {
            started += u32::from(matches!(said.what, Some(Body::TrainingStarted(_))));
            Act::GoOn
        })
        .await;
    assert_eq!(trained(ended)[0].step, 300);
    assert_eq!(started, 1, "the new coordinator is told where training began");
    assert_eq!(job.checkpoint().await.unwrap().manifest.step.0, 300);
    let audit = job.audit().await;
    assert!(audit.passed(), "{audit:?}");
    pool.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranks_that_are_well_let_go_together_and_train_on_in_the_next_generation() {
    let mut job = Job::new("train: {global_batch: 32, steps: 100000}\ncheckpoint: {every_steps: 10}\n");
    let mut pool = Pool::start(2, &job.run()).await;
    pool.prepare(&mut job).await;
    let incarnations = ["w0", "w1"].map(|worker| pool.register(worker).incarnation);
    for generation in [2, 3] {
        let first = job.checkpoint().await.map_or(0, |found| found.manifest.step.0);
        let act = |said: &Said| if step_of(said) >= first + 10 { Act::Abandon } else { Act::GoOn };
        let ended = pool.attempt(&job, TaskKind::Train, generation, 2, act).await;
        assert!(matches!(&ended, Ended::Failed(why) if why == "given up"), "{ended:?}");
    }
    pool.all_here().await;
    assert_eq!(incarnations, ["w0", "w1"].map(|worker| pool.register(worker).incarnation), "no new life");

    // Asked nicely, they write a checkpoint.
    let act = |said: &Said| if step_of(said) > 0 { Act::Stop } else { Act::GoOn };
    let stopped = trained(pool.attempt(&job, TaskKind::Train, 4, 2, act).await);
    assert!(stopped.iter().all(|trained| trained.stopped));
    assert_eq!(job.checkpoint().await.unwrap().manifest.step.0, stopped[0].step);
    let audit = job.audit().await;
    assert!(audit.passed(), "{audit:?}");
    pool.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_for_a_frozen_one_lets_go_and_goes_on_with_what_it_has() {
    let mut job = Job::new("train: {global_batch: 32, steps: 100000}\ncheckpoint: {every_steps: 50}\n");
    let mut pool = Pool::start(2, &job.run()).await;
    pool.prepare(&mut job).await;
    let waiting = pool.register("w0").incarnation;
    let trains = |said: &Said| if step_of(said) > 0 { Act::TakeOver } else { Act::GoOn };
    let ended = pool.attempt(&job, TaskKind::Train, 2, 2, trains).await;
    assert!(matches!(ended, Ended::NotYet), "{ended:?}");

    // Its collectives would wait for a minute.
    kill(&pool, "w1", Signal::STOP);
    pool.order("w0", 2, Order::Abort(Abort {})).await;
    while !matches!(pool.hear().await.what, Some(Body::Idle(_))) {}
    kill(&pool, "w1", Signal::KILL);
    while pool.hear().await.what.is_some() {}
    pool.all_here().await;
    assert_eq!(pool.register("w0").incarnation, waiting, "it is the same process");
    let mut kept = false;
    let stops = stops_after_a_step(&mut kept);
    assert!(trained(pool.attempt(&job, TaskKind::Train, 3, 2, stops).await)[0].stopped);
    assert!(kept, "from the memory of the one that waited");
    let audit = job.audit().await;
    assert!(audit.passed(), "{audit:?}");
    pool.end().await;
}

/// Stops training after a step; takes note whether it went on from memory.
fn stops_after_a_step(kept: &mut bool) -> impl FnMut(&Said) -> Act {
    move |said| {
        if let Some(Body::TrainingStarted(started)) = &said.what {
            *kept = started.kept && started.step > 0;
        }
        if step_of(said) > 0 { Act::Stop } else { Act::GoOn }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_ready_while_another_trains_joins_with_everything_open() {
    let mut job = Job::new("train: {global_batch: 32, steps: 100000}");
    let mut pool = Pool::start(2, &job.run()).await;
    pool.prepare(&mut job).await;

    let nowhere =
        Assign { dataset_uri: format!("{}/nothing", job.run().display()), ..job.part(TaskKind::Train, 0, 2) };
    pool.order("w1", 0, Order::GetReady(nowhere)).await;
    let failed = ready(&mut pool).await.failed.expect("there is no dataset");
    assert!(!failed.code.is_empty() && failed.message.contains("nothing"), "{failed:?}");

    let trains = |said: &Said| if step_of(said) > 0 { Act::TakeOver } else { Act::GoOn };
    let alone = pool.attempt(&job, TaskKind::Train, 2, 1, trains).await;
    assert!(matches!(alone, Ended::NotYet), "{alone:?}");
    for _ in 0..2 {
        // The second time it is ready already, and says so again.
        pool.order("w1", 0, Order::GetReady(job.part(TaskKind::Train, 0, 2))).await;
        assert_eq!(ready(&mut pool).await, Ready { job: "small".into(), ..Ready::default() });
    }
    pool.order("w0", 2, Order::StopAfterStep(StopAfterStep { checkpoint: false })).await;
    assert!(trained(pool.see_to(2, 1, |_| Act::GoOn).await)[0].stopped);

    let mut kept = false;
    let stops = stops_after_a_step(&mut kept);
    assert!(trained(pool.attempt(&job, TaskKind::Train, 3, 2, stops).await)[0].stopped);
    assert!(kept, "from the memory of the one that trained");
    assert!(job.log("w0", 2).contains("computing"), "that is what opening says");
    let joined = job.log("w1", 3);
    assert!(joined.contains("met the other ranks") && !joined.contains("computing"), "it was open: {joined}");
    let audit = job.audit().await;
    assert!(audit.passed(), "{audit:?}");
    pool.end().await;
}

/// What a worker says that was asked to get ready.
async fn ready(pool: &mut Pool) -> Ready {
    loop {
        if let Some(Body::Ready(ready)) = pool.hear().await.what {
            return ready;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_end_by_the_system_finishes_its_step_and_leaves() {
    let mut job = Job::new("train: {global_batch: 32, steps: 100000}\n");
    let mut pool = Pool::start(1, &job.run()).await;
    pool.prepare(&mut job).await;
    let pid = Pid::from_raw(pool.register("w0").pid as i32).unwrap();
    let mut told = false;
    let act = |said: &Said| match &said.what {
        Some(Body::Leaving(_)) => Act::Stop,
        _ => {
            if step_of(said) > 0 && !told {
                told = true;
                kill_process(pid, Signal::TERM).unwrap();
            }
            Act::GoOn
        }
    };
    let stopped = trained(pool.attempt(&job, TaskKind::Train, 2, 1, act).await);
    assert!(told && stopped[0].stopped);
    assert_eq!(job.checkpoint().await.unwrap().manifest.step.0, stopped[0].step);
    pool.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn training_goes_on_while_checkpoints_cannot_be_written() {
    let mut job = Job::new("train: {global_batch: 32, steps: 100000}\ncheckpoint: {every_steps: 20}\n");
    // Training stalls for a quarter of that at most.
    job.collective_timeout_ms = 400;
    let mut pool = Pool::start(1, &job.run()).await;
    pool.prepare(&mut job).await;
    let (audit, away) = (job.run().join("audit"), job.run().join("away"));
    let mut blocked = false;
    let mut failed_at = Vec::new();
    let act = |said: &Said| match &said.what {
        Some(Body::CheckpointCommitted(_)) if !blocked => {
            blocked = true;
            // A file where the directory was: nothing can be put in there.
            std::fs::rename(&audit, &away).unwrap();
            std::fs::write(&audit, "").unwrap();
            Act::GoOn
        }
        Some(Body::CheckpointFailed(failed)) if blocked => {
            failed_at.push(failed.step);
            if failed_at.len() == 3 {
                std::fs::remove_file(&audit).unwrap();
                std::fs::rename(&away, &audit).unwrap();
            }
            Act::GoOn
        }
        Some(Body::CheckpointCommitted(now)) if failed_at.len() >= 3 && now.step > failed_at[2] => Act::Stop,
        _ => Act::GoOn,
    };
    let stopped = trained(pool.attempt(&job, TaskKind::Train, 2, 1, act).await);
    assert!(failed_at.len() >= 3, "{failed_at:?}");
    assert_eq!(job.checkpoint().await.unwrap().manifest.step.0, stopped[0].step);
    let audit = job.audit().await;
    assert!(audit.passed(), "{audit:?}");
    pool.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_there_is_the_users_mistake_and_the_worker_goes_on() {
    let mut job = Job::new("train: {global_batch: 32, steps: 10}\n");
    let mut pool = Pool::start(1, &job.run()).await;
    let right = std::mem::replace(&mut job.spec.log.uri, vec!["/nowhere/events-*.parquet".into()]);
    let ended = pool.attempt(&job, TaskKind::Prepare, 1, 1, |_| Act::GoOn).await;
    assert!(matches!(&ended, Ended::Failed(why) if why.contains("TW2001")), "{ended:?}");
    until("what it logged is kept", || job.log("w0", 1).contains("TW2001")).await;
    job.spec.log.uri = right;
    let ended = pool.attempt(&job, TaskKind::Prepare, 2, 1, |_| Act::GoOn).await;
    assert!(matches!(ended, Ended::Done(_)), "{ended:?}");
    pool.end().await;
}
