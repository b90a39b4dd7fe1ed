//! A worker that says what a worker says and does nothing.

use std::time::{Duration, Instant};

use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};
use twinspire_proto::{
    from_worker,
    v1::{
        Assign, CoordinatorMessage, Heartbeat, Idle, Prepared, Ready, Register, RendezvousReady, TaskDone,
        TaskKind, Trained, TrainingStarted, WorkerMessage, coordinator_client::CoordinatorClient,
        coordinator_message::Body as Order, task_done, worker_message::Body,
    },
};

use crate::Failure;

/// Steps of the training that never happens.
const STEPS: u64 = 1000;

/// Messages on their way: as many as a real worker has.
const IN_FLIGHT: usize = 256;

/// What all workers do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    /// Heartbeats at the pace asked for, and what orders demand.
    Idle,
    /// Heartbeats as fast as they are read, then the end.
    Flood,
}

/// A worker was given training to do.
pub(crate) struct Assigned {
    pub(crate) job: String,
    pub(crate) at: Instant,
}

/// A registered worker.
pub(crate) struct Simulated {
    words: mpsc::Sender<WorkerMessage>,
    orders: Streaming<CoordinatorMessage>,
    assigned: mpsc::UnboundedSender<Assigned>,
    idle: Duration,
    generation: u64,
}

impl Simulated {
    /// A worker that was welcomed.
    pub(crate) async fn register(
        number: usize,
        channel: Channel,
        assigned: mpsc::UnboundedSender<Assigned>,
    ) -> Result<Simulated, Failure> {
        let (words, said) = mpsc::channel(IN_FLIGHT);
        let register = Register {
            name: format!("simulated-{number:05}"),
            device: "cpu".into(),
            pid: number as u32 + 1,
            host: "127.0.0.1".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            incarnation: number as u64 + 1,
            ..Register::default()
        };
        words.send(from_worker(0, Body::Register(register))).await?;
        let mut orders =
            CoordinatorClient::new(channel).session(ReceiverStream::new(said)).await?.into_inner();
        let Some(CoordinatorMessage { body: Some(Order::Welcome(welcome)), .. }) = orders.message().await?
        else {
            return Err("no welcome".into());
        };
        let idle = Duration::from_millis(welcome.heartbeat_ms);
        Ok(Simulated { words, orders, assigned, idle, generation: 0 })
    }

    /// Lives through all phases, the first of which it is in.
    pub(crate) async fn live(
        mut self,
        mut phase: watch::Receiver<Phase>,
        heartbeats: usize,
    ) -> Result<(), Failure> {
        let mut beat = every(self.idle);
        loop {
            tokio::select! {
                order = self.orders.message() => match order? {
                    Some(CoordinatorMessage { generation, body: Some(order) }) => {
                        if let Some(pace) = self.obey(generation, order).await? {
                            beat = every(pace);
                        }
                    }
                    Some(CoordinatorMessage { body: None, .. }) => return Err("an order without a body".into()),
                    None => return Err("the coordinator ended a session".into()),
                },
                _ = beat.tick() => self.say(Body::Heartbeat(Heartbeat {})).await?,
                changed = phase.changed() => {
                    changed?;
                    break;
                }
            }
        }
        for _ in 0..heartbeats {
            self.say(Body::Heartbeat(Heartbeat {})).await?;
        }
        drop(self.words);
        while self.orders.message().await?.is_some() {}
        Ok(())
    }

    async fn say(&self, body: Body) -> Result<(), Failure> {
        Ok(self.words.send(from_worker(self.generation, body)).await?)
    }

    /// Answers an order; the new pace of heartbeats, if it changes.
    async fn obey(&mut self, generation: u64, order: Order) -> Result<Option<Duration>, Failure> {
        match order {
            Order::Assign(assign) => {
                self.generation = generation;
                self.take_on(&assign).await?;
                Ok(Some(Duration::from_millis(assign.heartbeat_ms)))
            }
            Order::StopAfterStep(_) => {
                let trained = Trained { step: 1, total_steps: STEPS, stopped: true, ..Trained::default() };
                self.done(task_done::Result::Trained(trained)).await?;
                Ok(Some(self.idle))
            }
            Order::Abort(_) => {
                self.say(Body::Idle(Idle {})).await?;
                Ok(Some(self.idle))
            }
            Order::GetReady(Assign { job, submitted_ms, .. }) => {
                let ready = Ready { job, submitted_ms, failed: None };
                self.words.send(from_worker(0, Body::Ready(ready))).await?;
                Ok(None)
            }
            Order::Shutdown(_) => Err("a worker was shut down".into()),
            Order::Welcome(_) | Order::Rendezvous(_) | Order::CommitCheckpoint(_) | Order::Suffer(_) => {
                Ok(None)
            }
        }
    }

    async fn take_on(&self, assign: &Assign) -> Result<(), Failure> {
        match assign.kind() {
            TaskKind::Train => {
                self.assigned.send(Assigned { job: assign.job.clone(), at: Instant::now() })?;
                if assign.rank > 0 {
                    return Ok(());
                }
                self.say(Body::RendezvousReady(RendezvousReady { host: "127.0.0.1".into(), port: 1 }))
                    .await?;
                let started = TrainingStarted { total_steps: STEPS, ..TrainingStarted::default() };
                self.say(Body::TrainingStarted(started)).await
            }
            TaskKind::Prepare => {
                let prepared = Prepared {
                    dataset_uri: "/nowhere/dataset".into(),
                    fingerprint: "none".into(),
                    reused: true,
                    ..Prepared::default()
                };
                self.done(task_done::Result::Prepared(prepared)).await
            }
            kind => Err(format!("a task that was not expected: {kind:?}").into()),
        }
    }

    async fn done(&self, result: task_done::Result) -> Result<(), Failure> {
        self.say(Body::TaskDone(TaskDone { result: Some(result) })).await
    }
}

fn every(period: Duration) -> Interval {
    let period = period.max(Duration::from_millis(10));
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
