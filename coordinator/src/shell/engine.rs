//! The loop around the core.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use twinspire_proto::{from_coordinator, v1::Shutdown, v1::coordinator_message::Body as Message};

use super::{
    Keep, Places, Processes, Server, Signals,
    convert::{self, Job},
    processes::Exit,
    server::{Incoming, Outbox},
};
use crate::{
    core::{Command, Event, Launch, Notice, Outcome, Setup, State, WorkerId},
    error::ControlError,
};

/// How often the core looks at the clock.
const TICK: Duration = Duration::from_millis(200);

/// How long a connection's end waits for the end of its process, which says more.
const EXIT_STATUS: Duration = Duration::from_millis(500);

/// How long workers have to end when the job is over.
const GRACE: Duration = Duration::from_secs(5);

/// One job, its workers, and all that it takes to run them from this process.
pub struct Engine<'a> {
    state: State,
    job: Job,
    server: Server,
    processes: Processes,
    signals: Signals,
    keep: Keep,
    show: &'a mut (dyn FnMut(&Notice) + Send),
    begun: Instant,
    connected: HashMap<WorkerId, (String, Outbox)>,
    waiting: Option<(Instant, Launch, u32)>,
    exits: Vec<Exit>,
    interrupts: u32,
}

impl<'a> Engine<'a> {
    /// An engine that has not begun. `program` is the worker's; `show` is told all that people
    /// should know.
    pub async fn new(
        program: PathBuf,
        setup: Setup,
        spec_json: String,
        places: Places,
        keep: Keep,
        show: &'a mut (dyn FnMut(&Notice) + Send),
    ) -> Result<Engine<'a>, ControlError> {
        let signals = Signals::listen()?;
        let server = Server::on_loopback(setup.timeouts.heartbeat).await?;
        let processes = Processes::new(program, places.logs(), server.url());
        Ok(Engine {
            job: Job { name: setup.job.clone(), spec_json, places },
            state: State::new(setup),
            server,
            processes,
            signals,
            keep,
            show,
            begun: Instant::now(),
            connected: HashMap::new(),
            waiting: None,
            exits: Vec::new(),
            interrupts: 0,
        })
    }

    /// Runs the job to its end.
    pub async fn run(mut self) -> Result<Outcome, ControlError> {
        let ended = self.until_finished().await;
        for (_, outbox) in self.connected.values() {
            let _ = outbox.try_send(Ok(from_coordinator(0, Message::Shutdown(Shutdown {}))));
        }
        let grace = if ended.is_ok() && self.interrupts < 2 { GRACE } else { Duration::ZERO };
        self.processes.end(grace).await;
        ended
    }

    async fn until_finished(&mut self) -> Result<Outcome, ControlError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.tell(Event::Begin).await?;
        while self.interrupts < 2 {
            let event = if let Some(exit) = self.exits.pop() {
                Some(exited(exit))
            } else {
                self.next_event(&mut tick).await?
            };
            if let Some(event) = event
                && let Some(outcome) = self.tell(event).await?
            {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Stopped { reason: "killed: what was not in a checkpoint is lost".into() })
    }

    async fn next_event(&mut self, tick: &mut tokio::time::Interval) -> Result<Option<Event>, ControlError> {
        Ok(tokio::select! {
            Some(incoming) = self.server.incoming.recv() => self.event_of(incoming).await,
            Some(exit) = self.processes.exited.recv() => Some(exited(exit)),
            () = self.signals.next() => {
                self.interrupts += 1;
                Some(Event::StopRequested)
            }
            _ = tick.tick() => {
                self.launch_when_due()?;
                Some(Event::Tick)
            }
        })
    }

    async fn event_of(&mut self, incoming: Incoming) -> Option<Event> {
        match incoming {
            Incoming::Registered { worker, register, outbox } => {
                self.connected.insert(worker, (register.name.clone(), outbox));
                Some(Event::Registered { worker, name: register.name })
            }
            Incoming::Said { worker, generation, body } => {
                let what = convert::from_worker(body)?;
                Some(Event::Said { worker, generation: crate::core::Generation(generation), what })
            }
            Incoming::Left { worker, why } => {
                let (name, _) = self.connected.remove(&worker)?;
                // How the process ended says more than that its connection did.
                let its_exit = async {
                    while let Some(exit) = self.processes.exited.recv().await {
                        if exit.name == name {
                            return Some(exit.why);
                        }
                        self.exits.push(exit);
                    }
                    None
                };
                let exit = tokio::time::timeout(EXIT_STATUS, its_exit).await.ok().flatten();
                Some(Event::Left { worker, why: exit.unwrap_or(why) })
            }
        }
    }

    /// Applies an event and carries out what follows. The outcome, when the job is over.
    async fn tell(&mut self, event: Event) -> Result<Option<Outcome>, ControlError> {
        tracing::trace!(?event);
        let now = self.begun.elapsed();
        let state = self.state.clone();
        let (state, commands) = state.apply(event, now);
        self.state = state;
        for command in commands {
            tracing::debug!(?command);
            match command {
                Command::Launch { launch, count, after } => {
                    self.connected.clear();
                    self.processes.end(Duration::ZERO).await;
                    self.waiting = Some((Instant::now() + after, launch, count));
                    self.launch_when_due()?;
                }
                Command::Send { worker, generation, order } => {
                    let message = from_coordinator(generation.0, convert::to_worker(order, &self.job));
                    if let Some((name, outbox)) = self.connected.get(&worker)
                        && outbox.try_send(Ok(message)).is_err()
                    {
                        // Its connection is about to be reported as ended.
                        tracing::warn!(name, "a message could not be delivered");
                    }
                }
                Command::Record(record) => self.keep.record(&record).await?,
                Command::Tell(notice) => (self.show)(&notice),
                Command::Finish(outcome) => return Ok(Some(outcome)),
            }
        }
        Ok(None)
    }

    fn launch_when_due(&mut self) -> Result<(), ControlError> {
        if let Some((due, launch, count)) = self.waiting
            && Instant::now() >= due
        {
            self.waiting = None;
            self.processes.launch(launch, count)?;
        }
        Ok(())
    }
}

fn exited(Exit { launch, name, why }: Exit) -> Event {
    Event::Exited { launch, name, why }
}
