#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A job, its clock, and everything that was ever decided.
struct World {
    state: State,
    now: Duration,
    log: Vec<Command>,
}

impl World {
    fn new(workers: u32, plan: &[Stage]) -> World {
        let setup = Setup {
            job: "beauty".into(),
            lanes: 8,
            workers,
            plan: plan.to_vec(),
            generation: Generation(4),
            checkpoint_step: None,
            split: Split::Test,
            timeouts: Timeouts::from_recovery_target(Duration::from_secs(30)),
        };
        World { state: State::new(setup), now: Duration::ZERO, log: Vec::new() }
    }

    fn tell(&mut self, event: Event) -> Vec<Command> {
        let (state, commands) = self.state.clone().apply(event, self.now);
        self.state = state;
        self.log.extend(commands.iter().cloned());
        commands
    }

    fn register(&mut self, ids: std::ops::Range<u64>) {
        for (slot, id) in ids.enumerate() {
            self.tell(Event::Registered { worker: WorkerId(id), name: format!("worker-{slot}") });
        }
    }

    fn say(&mut self, worker: u64, what: FromWorker) -> Vec<Command> {
        let generation = self.state.generation();
        self.tell(Event::Said { worker: WorkerId(worker), generation, what })
    }

    fn prepared(&mut self, worker: u64) {
        let result = TaskResult::Prepared {
            dataset_uri: "runs/datasets/f".into(),
            fingerprint: "f".into(),
            reused: false,
            warnings: vec![],
        };
        self.say(worker, FromWorker::Done(result));
    }

    /// A job of `workers`, whose workers 1.. are training.
    fn training(workers: u32) -> World {
        let mut world = World::new(workers, &[Stage::Prepare, Stage::Train, Stage::Evaluate, Stage::Export]);
        world.tell(Event::Begin);
        world.register(1..1 + u64::from(workers));
        world.prepared(1);
        assert_eq!(world.state.phase().0, Phase::Running);
        world
    }

    fn launches(&self) -> usize {
        self.log.iter().filter(|command| matches!(command, Command::Launch { .. })).count()
    }
}

fn assignments(commands: &[Command]) -> Vec<(WorkerId, Assignment)> {
    commands
        .iter()
        .filter_map(|command| match command {
            Command::Send { worker, order: Order::Assign(assignment), .. } => {
                Some((*worker, assignment.clone()))
            }
            _ => None,
        })
        .collect()
}

fn trained(stopped: bool) -> FromWorker {
    FromWorker::Done(TaskResult::Trained { step: 10, total_steps: 10, stopped, ended_early: String::new() })
}

fn failure(kind: FailureKind) -> FromWorker {
    FromWorker::Failed(Failure { code: "TW4001".into(), message: "it broke".into(), kind, worker: None })
}

fn part(step: u64) -> FromWorker {
    FromWorker::CheckpointPart { step, part: format!("part of {step}") }
}

#[test]
fn a_job_goes_through_its_stages_and_succeeds() {
    let mut world = World::training(2);
    for worker in [1, 2] {
        world.say(worker, trained(false));
    }
    assert_eq!(world.state.phase().0, Phase::Evaluating);
    for worker in [1, 2] {
        let report = if worker == 1 { "{}" } else { "" }.to_owned();
        world.say(worker, FromWorker::Done(TaskResult::Evaluated { step: 10, split: Split::Test, report }));
    }
    assert_eq!(world.state.phase().0, Phase::Exporting);
    world.say(1, FromWorker::Done(TaskResult::Exported { step: 10, files: vec![] }));
    assert_eq!(world.state.outcome(), Some(&Outcome::Succeeded));
}

#[test]
fn preparing_begins_with_the_first_worker_and_training_waits_for_all() {
    let mut world = World::new(2, &[Stage::Prepare, Stage::Train]);
    world.tell(Event::Begin);
    world.register(1..2);
    assert_eq!(world.state.phase().0, Phase::Preparing);
    world.prepared(1);
    assert_eq!(world.state.phase(), (Phase::Running, "waiting for 1 more worker"));
}

#[test]
fn the_generation_goes_on_from_that_of_an_earlier_run() {
    let world = World::training(1);
    assert_eq!(world.state.generation(), Generation(6), "4, then one to prepare and one to train");
}

#[test]
fn a_message_of_an_older_generation_changes_nothing() {
    let mut world = World::training(1);
    let before = world.state.clone();
    let old = Event::Said { worker: WorkerId(1), generation: Generation(5), what: trained(false) };
    let commands = world.tell(old);
    assert!(matches!(commands.as_slice(), [Command::Tell(Notice::Refused { .. })]), "{commands:?}");
    assert_eq!(world.state, before);
}

#[test]
fn a_checkpoint_is_committed_by_rank_0_once_every_rank_wrote_its_part() {
    let mut world = World::training(2);
    assert_eq!(world.say(2, part(100)), []);
    let commands = world.say(1, part(100));
    let [Command::Send { worker: WorkerId(1), order: Order::CommitCheckpoint { step: 100, parts }, .. }] =
        commands.as_slice()
    else {
        panic!("{commands:?}")
    };
    assert_eq!(parts.len(), 2);
}

#[test]
fn a_lost_worker_starts_all_workers_again_in_a_new_generation() {
    let mut world = World::training(2);
    world.say(1, FromWorker::CheckpointCommitted { step: 100 });
    let commands = world.tell(Event::Left { worker: WorkerId(2), why: "killed by signal 9".into() });
    assert!(
        commands.iter().any(|command| matches!(command, Command::Launch { launch: Launch(2), count: 2, .. }))
    );
    let before = world.state.generation();
    world.register(11..13);
    assert_eq!(world.state.phase().0, Phase::Running);
    assert!(world.state.generation() > before);
    assert_eq!(assignments(&world.log[world.log.len() - 2..]).len(), 2);
}

#[test]
fn a_job_whose_workers_keep_dying_without_getting_further_fails_and_says_why() {
    let mut world = World::training(1);
    let mut id = 1;
    while world.state.outcome().is_none() {
        world.tell(Event::Left { worker: WorkerId(id), why: "killed by signal 9".into() });
        id += 10;
        world.register(id..id + 1);
        assert!(world.launches() <= 4, "1 start and 3 retries");
    }
    let Some(Outcome::Failed(failure)) = world.state.outcome() else { panic!() };
    assert!(failure.message.contains("worker-0 is gone: killed by signal 9 (tried 4 times"), "{failure:?}");
}

#[test]
fn a_newer_checkpoint_gives_the_retries_back() {
    let mut world = World::training(1);
    let mut id = 1;
    for round in 1..20 {
        world.say(id, FromWorker::CheckpointCommitted { step: round * 100 });
        world.tell(Event::Left { worker: WorkerId(id), why: "killed".into() });
        id += 10;
        world.register(id..id + 1);
    }
    assert_eq!(world.state.outcome(), None);
    assert_eq!(world.launches(), 20);
}

#[test]
fn bad_input_fails_the_job_at_once_with_its_code() {
    let mut world = World::training(2);
    world.say(2, failure(FailureKind::BadInput));
    let Some(Outcome::Failed(failure)) = world.state.outcome() else { panic!() };
    assert_eq!((failure.code.as_str(), failure.kind), ("TW4001", FailureKind::BadInput));
    assert_eq!(failure.worker.as_deref(), Some("worker-1"));
}

#[test]
fn who_lost_a_peer_waits_for_the_peer_to_say_why() {
    let mut world = World::training(2);
    world.say(1, failure(FailureKind::LostPeer));
    assert_eq!(world.state.outcome(), None);
    assert_eq!(world.launches(), 1);
    world.say(2, failure(FailureKind::BadInput));
    assert!(matches!(world.state.outcome(), Some(Outcome::Failed(_))));
}

#[test]
fn when_nobody_says_why_a_peer_was_lost_the_job_starts_again() {
    let mut world = World::training(2);
    world.say(1, failure(FailureKind::LostPeer));
    world.now += Duration::from_secs(4);
    world.say(1, FromWorker::Heartbeat);
    world.say(2, FromWorker::Heartbeat);
    world.tell(Event::Tick);
    assert_eq!(world.launches(), 2);
}

#[test]
fn a_frozen_worker_is_lost_after_three_tenths_of_the_recovery_target() {
    let mut world = World::training(2);
    world.now += Duration::from_secs(8);
    world.say(1, FromWorker::Heartbeat);
    world.tell(Event::Tick);
    assert_eq!(world.launches(), 1);
    world.now += Duration::from_secs(2);
    world.tell(Event::Tick);
    assert_eq!(world.launches(), 2);
}

#[test]
fn a_process_that_dies_before_it_registers_is_noticed() {
    let mut world = World::new(1, &[Stage::Prepare]);
    world.tell(Event::Begin);
    for launch in 1..=4 {
        let why = "exit status 127".to_owned();
        world.tell(Event::Exited { launch: Launch(launch), name: "worker-0".into(), why });
    }
    assert!(
        matches!(world.state.outcome(), Some(Outcome::Failed(failure)) if failure.message.contains("127"))
    );
}

#[test]
fn the_exit_of_a_process_that_was_replaced_is_old_news() {
    let mut world = World::training(1);
    world.tell(Event::Left { worker: WorkerId(1), why: "killed".into() });
    world.tell(Event::Exited { launch: Launch(1), name: "worker-0".into(), why: "killed".into() });
    assert_eq!(world.launches(), 2);
}

#[test]
fn stopping_finishes_the_step_and_can_be_resumed() {
    let mut world = World::training(2);
    let commands = world.tell(Event::StopRequested);
    let told = commands
        .iter()
        .filter(|c| matches!(c, Command::Send { order: Order::StopAfterStep { checkpoint: true }, .. }))
        .count();
    assert_eq!(told, 2);
    world.say(1, FromWorker::CheckpointCommitted { step: 7 });
    world.say(1, trained(true));
    world.say(2, trained(true));
    let Some(Outcome::Stopped { reason }) = world.state.outcome() else { panic!() };
    assert_eq!(reason, "stopped while running; checkpoint of step 7");
}

#[test]
fn stopping_before_training_stops_at_once() {
    let mut world = World::new(1, &[Stage::Prepare, Stage::Train]);
    world.tell(Event::Begin);
    world.register(1..2);
    world.tell(Event::StopRequested);
    assert!(matches!(world.state.outcome(), Some(Outcome::Stopped { .. })));
}

/// Anything that may happen to a job of up to three workers.
fn anything() -> impl Strategy<Value = (u64, Event)> {
    let worker = (1u64..12).prop_map(WorkerId);
    let what = prop_oneof![
        4 => Just(FromWorker::Heartbeat),
        2 => (1u64..50).prop_map(part),
        2 => (1u64..50).prop_map(|step| FromWorker::CheckpointCommitted { step }),
        1 => Just(FromWorker::RendezvousReady { host: "127.0.0.1".into(), port: 1 }),
        2 => Just(trained(false)),
        1 => Just(trained(true)),
        1 => Just(failure(FailureKind::LostPeer)),
        1 => Just(failure(FailureKind::Storage)),
    ];
    let event = prop_oneof![
        4 => (worker.clone(), 0u32..3)
            .prop_map(|(worker, slot)| Event::Registered { worker, name: format!("worker-{slot}") }),
        12 => (worker.clone(), 4u64..30, what)
            .prop_map(|(worker, g, what)| Event::Said { worker, generation: Generation(g), what }),
        1 => worker.prop_map(|worker| Event::Left { worker, why: "gone".into() }),
        1 => (0u32..6, 0u32..3).prop_map(|(launch, slot)| Event::Exited {
            launch: Launch(launch), name: format!("worker-{slot}"), why: "gone".into() }),
        2 => Just(Event::Tick),
    ];
    (0u64..5000, event)
}

proptest! {
    #[test]
    fn the_invariants_hold_whatever_happens(workers in 1u32..4, events in prop::collection::vec(anything(), 1..120)) {
        let mut world = World::new(workers, &[Stage::Prepare, Stage::Train, Stage::Evaluate, Stage::Export]);
        world.tell(Event::Begin);
        let mut progress = 0;
        for (millis, event) in events {
            world.now += Duration::from_millis(millis);
            let before = world.state.clone();
            let commands = world.tell(event.clone());
            // E
            if before.outcome().is_some() {
                prop_assert!(commands.is_empty());
                prop_assert_eq!(&before, &world.state);
            }
            // A
            prop_assert!(world.state.generation() >= before.generation());
            if let Event::Said { generation, .. } = &event
                && before.attempt().is_none_or(|attempt| attempt.generation != *generation)
            {
                prop_assert_eq!(before.attempt(), world.state.attempt());
            }
            // B
            let assigned = assignments(&commands);
            if !assigned.is_empty() {
                let lanes: Vec<u32> = assigned.iter().flat_map(|(_, a)| a.lanes.clone()).collect();
                prop_assert_eq!(lanes, (0..8).collect::<Vec<_>>());
                let mut members: Vec<_> = assigned.iter().map(|(worker, _)| *worker).collect();
                members.dedup();
                prop_assert_eq!(members.len(), assigned[0].1.world as usize);
                // F
                let recorded = commands.iter().position(|c| matches!(c, Command::Record(_)));
                let sent = commands.iter().position(|c| matches!(c, Command::Send { .. }));
                prop_assert!(recorded < sent && recorded.is_some());
            }
            // C
            for command in &commands {
                if let Command::Send { order: Order::CommitCheckpoint { parts, .. }, generation, .. } = command {
                    prop_assert_eq!(Some(*generation), before.attempt().map(|attempt| attempt.generation));
                    prop_assert_eq!(Some(parts.len()), before.attempt().map(|attempt| attempt.members.len()));
                }
                progress += u32::from(matches!(
                    command,
                    Command::Tell(Notice::Committed { .. } | Notice::Done(_))
                ));
            }
        }
        // D
        let launches = world.launches() as u32;
        prop_assert!(launches <= 4 + 4 * progress, "{launches} starts with {progress} steps forward");
    }
}
