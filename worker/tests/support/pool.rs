//! Real worker processes, and as much of a coordinator as one task needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};
use twinspire_processes::{Child, Device, Seat, Supervisor};
use twinspire_proto::{
    from_coordinator,
    v1::{
        Abort, CommitCheckpoint, Register, Rendezvous, Shutdown, StopAfterStep, TaskKind,
        coordinator_message::Body as Order, task_done, worker_message::Body,
    },
};

use super::{
    fake::{Answer, Connection, DEADLINE, Fake},
    job::Job,
};

/// Something a worker said, or that its connection ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) worker: String,
    /// On which of its connections.
    connection: u64,
    pub(crate) generation: u64,
    /// None: the connection ended.
    pub(crate) what: Option<Body>,
}

/// What a test does on hearing something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    GoOn,
    /// Training is to stop, after a checkpoint.
    Stop,
    /// The coordinator gives the attempt up.
    Abandon,
    /// The coordinator dies.
    Die,
    /// The test takes over.
    TakeOver,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// All ranks are done: what they say, by rank.
    Done(Vec<task_done::Result>),
    /// A rank failed, is gone, or the attempt was given up, and all have let go.
    Failed(String),
    /// The coordinator died, or the test took over.
    NotYet,
}

struct Member {
    register: Register,
    connection: u64,
    orders: mpsc::Sender<Answer>,
    listening: JoinHandle<()>,
}

pub(crate) struct Pool {
    fake: Option<Fake>,
    address: std::net::SocketAddr,
    pub(crate) processes: Supervisor,
    members: BTreeMap<String, Member>,
    tell: mpsc::UnboundedSender<Said>,
    said: mpsc::UnboundedReceiver<Said>,
    names: Vec<String>,
    connections: u64,
}

impl Pool {
    /// Starts `count` workers, `w0`, `w1`, …, with their logs in `logs`.
    pub(crate) async fn start(count: u32, logs: &Path) -> Pool {
        let fake = Fake::start().await;
        let address = fake.address;
        let names: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
        let children: Vec<Child> = names
            .iter()
            .map(|name| {
                let seat =
                    Seat { name: name.clone(), device: Device::Cpu, visible: String::new(), workers: count };
                seat.child(&[fake.url()], Some(logs.join(format!("{name}.log"))))
            })
            .collect();
        let processes = Supervisor::start(env!("CARGO_BIN_EXE_worker").into(), children).unwrap();
        let (tell, said) = mpsc::unbounded_channel();
        let members = BTreeMap::new();
        let mut pool =
            Pool { fake: Some(fake), address, processes, members, tell, said, names, connections: 0 };
        pool.all_here().await;
        pool
    }

    /// Waits until all workers are connected.
    pub(crate) async fn all_here(&mut self) {
        while self.names.iter().any(|name| !self.members.contains_key(name)) {
            let connection = self.fake.as_mut().expect("a coordinator").connection().await;
            self.welcome(connection);
        }
    }

    fn welcome(&mut self, connection: Connection) {
        let (register, mut words, orders) = connection.split();
        self.connections += 1;
        let (worker, connection, tell) = (register.name.clone(), self.connections, self.tell.clone());
        let name = worker.clone();
        let listening = tokio::spawn(async move {
            while let Ok(Some(message)) = words.message().await {
                let what = message.body.filter(|body| !matches!(body, Body::Heartbeat(_)));
                if what.is_some() {
                    let (worker, generation) = (name.clone(), message.generation);
                    let _ = tell.send(Said { worker, connection, generation, what });
                }
            }
            let _ = tell.send(Said { worker: name, connection, generation: 0, what: None });
        });
        self.members.insert(worker, Member { register, connection, orders, listening });
    }

    pub(crate) fn register(&self, worker: &str) -> &Register {
        &self.members[worker].register
    }

    pub(crate) async fn order(&self, worker: &str, generation: u64, order: Order) {
        if let Some(member) = self.members.get(worker) {
            let _ = member.orders.send(Ok(from_coordinator(generation, order))).await;
        }
    }

    /// Hears nothing and listens nowhere any more.
    pub(crate) async fn die(&mut self) {
        if let Some(fake) = self.fake.take() {
            fake.stop().await;
        }
        for (_, member) in std::mem::take(&mut self.members) {
            member.listening.abort();
        }
        while self.said.try_recv().is_ok() {}
    }

    /// Another coordinator listens where the one that died did, and all workers come to it.
    pub(crate) async fn live_again(&mut self) {
        self.fake = Some(Fake::listen(self.address).await);
        self.all_here().await;
    }

    /// Prepares the job's dataset.
    pub(crate) async fn prepare(&mut self, job: &mut Job) {
        match self.attempt(job, TaskKind::Prepare, 1, 1, |_| Act::GoOn).await {
            Ended::Done(results) => match &results[..] {
                [task_done::Result::Prepared(prepared)] => job.dataset_uri = prepared.dataset_uri.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// Leases a task to the first `world` workers and sees to it until it ends, one way or another.
    pub(crate) async fn attempt(
        &mut self,
        job: &Job,
        kind: TaskKind,
        generation: u64,
        world: u32,
        hear: impl FnMut(&Said) -> Act,
    ) -> Ended {
        self.all_here().await;
        for rank in 0..world {
            self.order(&format!("w{rank}"), generation, Order::Assign(job.part(kind, rank, world))).await;
        }
        self.see_to(generation, world, hear).await
    }

    /// Sees to an attempt that was begun, perhaps by another coordinator.
    pub(crate) async fn see_to(
        &mut self,
        generation: u64,
        world: u32,
        mut hear: impl FnMut(&Said) -> Act,
    ) -> Ended {
        let names: Vec<String> = self.names[..world as usize].to_vec();
        let mut done: BTreeMap<String, task_done::Result> = BTreeMap::new();
        let mut parts: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
        loop {
            let said = self.hear().await;
            match hear(&said) {
                Act::GoOn => {}
                Act::Stop => {
                    for name in &names {
                        let stop = StopAfterStep { checkpoint: true };
                        self.order(name, generation, Order::StopAfterStep(stop)).await;
                    }
                }
                Act::Abandon => return self.abandon(generation, &names, "given up".into()).await,
                Act::Die => {
                    self.die().await;
                    return Ended::NotYet;
                }
                Act::TakeOver => return Ended::NotYet,
            }
            match said.what {
                None => {
                    let why = format!("{} is gone", said.worker);
                    return self.abandon(generation, &names, why).await;
                }
                Some(_) if said.generation != generation => {}
                Some(Body::RendezvousReady(there)) => {
                    for name in &names[1..] {
                        let there = Rendezvous { host: there.host.clone(), port: there.port };
                        self.order(name, generation, Order::Rendezvous(there)).await;
                    }
                }
                Some(Body::CheckpointPart(part)) => {
                    let written = parts.entry(part.step).or_default();
                    written.insert(said.worker, part.part_json);
                    if written.len() == names.len() {
                        let part_json = names.iter().map(|name| written[name].clone()).collect();
                        let commit = CommitCheckpoint { step: part.step, part_json };
                        self.order(&names[0], generation, Order::CommitCheckpoint(commit)).await;
                    }
                }
                Some(Body::TaskDone(result)) => {
                    done.insert(said.worker, result.result.unwrap());
                    if done.len() == names.len() {
                        return Ended::Done(done.into_values().collect());
                    }
                }
                Some(Body::TaskFailed(failed)) => {
                    let why = format!("{}: {} {}", said.worker, failed.code, failed.message);
                    let others: Vec<String> = names.into_iter().filter(|name| *name != said.worker).collect();
                    return self.abandon(generation, &others, why).await;
                }
                Some(_) => {}
            }
        }
    }

    /// Has the workers let go, each in its own way.
    async fn abandon(&mut self, generation: u64, names: &[String], why: String) -> Ended {
        for name in names {
            self.order(name, generation, Order::Abort(Abort {})).await;
        }
        let mut has_it: BTreeSet<String> =
            names.iter().filter(|name| self.members.contains_key(*name)).cloned().collect();
        while !has_it.is_empty() {
            let said = self.hear().await;
            if matches!(said.what, None | Some(Body::Idle(_) | Body::TaskDone(_) | Body::TaskFailed(_))) {
                has_it.remove(&said.worker);
            }
        }
        Ended::Failed(why)
    }

    /// What the workers say next.
    pub(crate) async fn hear(&mut self) -> Said {
        loop {
            let said = tokio::time::timeout(DEADLINE, self.said.recv()).await.expect("in time").unwrap();
            if said.what.is_some() {
                return said;
            }
            // One that has connected again is not gone.
            if self.members.get(&said.worker).is_some_and(|member| member.connection == said.connection) {
                self.members.remove(&said.worker);
                return said;
            }
        }
    }

    /// Tells all workers to end, and sees that they do in good order.
    pub(crate) async fn end(mut self) {
        for name in &self.names {
            self.order(name, 0, Order::Shutdown(Shutdown::default())).await;
        }
        let code = tokio::time::timeout(Duration::from_secs(30), self.processes.wait()).await;
        assert_eq!(code, Ok(0), "workers end when told");
    }
}
