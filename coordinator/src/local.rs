//! A job run from this process, from its spec to its results: the service, with one job and worker
//! processes of its own.

mod address;
mod workers;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::MissedTickBehavior;
use twinspire_control::{
    DeviceWish, Failure, Fault, JobName, Notice, Phase, Policy, Pool, Request, Stage, TaskResult, Verb,
};
use twinspire_job::JobSpec;

pub(crate) use self::address::address;
use self::{address::Address, workers::Workers};
use crate::{
    ControlError,
    display::{Screen, duration},
    service::{Engine, Found, Handle, Listening, Places, Records, Server, Signals, Submission, View},
};

/// How long workers have to end when the job is over.
const GRACE: Duration = Duration::from_secs(5);

/// Between two looks at which workers are registered.
const LOOK: Duration = Duration::from_secs(1);

/// An engine that does not answer within this time is busy.
const ANSWER: Duration = Duration::from_millis(100);

/// A worker that was started again has its place again so soon: it is the last that is going to come.
const SETTLE: Duration = Duration::from_secs(2);

/// Between two reminders of why a run that is to stop does not.
const REMIND: Duration = Duration::from_secs(20);

/// What to do with a job.
pub(crate) struct Run<'a> {
    pub(crate) spec: &'a JobSpec,
    pub(crate) workers: u32,
    pub(crate) plan: Vec<Stage>,
    /// The newest generation and checkpoint there are.
    pub(crate) generation: u64,
    pub(crate) checkpoint: Option<u64>,
    pub(crate) records: Records,
    /// What the records say of earlier workers and generations.
    pub(crate) pool: Pool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Everything planned is done.
    Succeeded,
    /// It cannot go on.
    Failed(Failure),
    /// It was stopped and can be resumed.
    Stopped {
        /// What there is to resume from, in words.
        reason: String,
    },
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) results: Vec<TaskResult>,
}

impl Run<'_> {
    /// Runs the plan to its end and shows how it goes on standard error.
    pub(crate) async fn run(self) -> Result<Ran, ControlError> {
        let Run { spec, workers, plan, generation, checkpoint, records, pool } = self;
        let mut signals = Signals::listen()?;
        let places = Places::of(spec);
        let listening = Listening::on("127.0.0.1:0").await?;
        let url = listening.url();
        let policy = policy();
        let found = Found { pool, ..Found::default() };
        let (handle, mut engine) = Engine::start(policy, records, found);
        let server = Server::start(listening, std::future::pending()).await;
        server.lead(handle.clone(), policy.idle_heartbeat, None);

        let mut screen = Screen::new(&spec.name, places.logs());
        let mut notices = handle.board().listen();
        let submission = Submission::new(spec.clone(), String::new(), 0, generation, checkpoint);
        let request = Request {
            min_workers: fewest(spec, workers),
            max_workers: workers,
            // There are no others to wait for: they say themselves what they lack.
            device: DeviceWish::Auto,
            plan,
            ..submission.request.clone()
        };
        let job = request.name.clone();
        handle.submit(Submission { request, ..submission }).await??;
        let mut processes = Workers::start(&places, &url, workers)?;
        let _found = Address::write(&places, &url).inspect_err(|why| {
            screen.say(&format!("WARNING: commands about this run need --coordinator {url}: {why}"))
        });

        let mut results = Vec::new();
        let mut interrupts = 0;
        let mut stopped = None;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut remind = tokio::time::interval(REMIND);
        // Whatever makes it end, the workers are ended after it. Nothing here waits for the engine, which may wait for a
        // full disk: whoever is told to end does.
        let ended = async {
            loop {
                tokio::select! {
                    Some((_, notice)) = notices.recv() => {
                        screen.show(&notice);
                        match notice {
                            Notice::Done(result) => results.push(result),
                            Notice::Assigned { .. } => processes.began(),
                            Notice::Injected { worker: Some(worker), fault: Fault::PauseWorker(span) } => {
                                processes.sleeps(worker.as_str(), span);
                            }
                            // Its last notice: all others have come before it.
                            Notice::Phase { phase, .. } if phase.is_final() || phase == Phase::Paused => {
                                if let Some(outcome) = handle.board().job(&job).as_ref().and_then(outcome) {
                                    return Ok(outcome);
                                }
                            }
                            _ => {}
                        }
                    }
                    exit = processes.exited() => {
                        if let Some(failure) = processes.given_up(&exit) {
                            return Ok(Outcome::Failed(failure));
                        }
                        let (handle, name) = (handle.clone(), exit.name.as_str().into());
                        tokio::spawn(async move { handle.ended(name, exit.why).await });
                    }
                    _ = look.tick() => {
                        let there = tokio::time::timeout(ANSWER, handle.workers()).await;
                        let failure = there.ok().transpose()?.and_then(|there| processes.look(&there));
                        if let Some(failure) = failure {
                            return Ok(Outcome::Failed(failure));
                        }
                    }
                    _ = remind.tick(), if interrupts > 0 => remind_of_trouble(&handle, &job, &screen),
                    () = signals.next() => {
                        interrupts += 1;
                        if interrupts == 2 {
                            let reason = "killed: what was not in a checkpoint is lost".into();
                            return Ok(Outcome::Stopped { reason });
                        }
                        pause(&handle, &job, &screen);
                        remind.reset_after(REMIND / 10);
                    }
                    ended = &mut engine, if stopped.is_none() => {
                        stopped = Some(ended);
                        return Err(ControlError::Stopped);
                    }
                }
            }
        }
        .await;
        let clean = interrupts < 2 && matches!(ended, Ok(Outcome::Succeeded | Outcome::Stopped { .. }));
        processes.end(if clean { GRACE } else { Duration::ZERO }).await;
        screen.close();
        let outcome = match ended {
            // It has ended, and knows why.
            Err(ControlError::Stopped) => {
                let why = match stopped {
                    Some(why) => why,
                    None => engine.await,
                };
                return Err(match why {
                    Ok(Err(why)) => why,
                    _ => ControlError::Stopped,
                });
            }
            ended => ended?,
        };
        if let Outcome::Failed(failure) = &outcome {
            screen.failed(failure);
        }
        Ok(Ran { outcome, results })
    }
}

/// The first Ctrl-C.
fn pause(handle: &Handle, job: &JobName, screen: &Screen) {
    let trains = handle.board().job(job).is_some_and(|view| view.job.phase == Phase::Running);
    if trains {
        screen.say("stopping: finishing the step and writing a checkpoint (Ctrl-C again to kill)");
    }
    let (handle, job) = (handle.clone(), job.clone());
    // When it is over already, that is seen at once.
    tokio::spawn(async move { handle.ask(Verb::Pause(job)).await });
}

/// It is to stop, and cannot save what it has.
fn remind_of_trouble(handle: &Handle, job: &JobName, screen: &Screen) {
    let Some((since, why)) = handle.board().job(job).and_then(|view| view.trouble) else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let ago = duration(Duration::from_millis(now.saturating_sub(since.0)));
    screen.say(&format!(
        "still stopping: no checkpoint can be written for {ago}, and it is tried on (Ctrl-C again to kill, and lose \
         what is in none): {why}"
    ));
}

/// One machine, one job: nobody to be patient with.
fn policy() -> Policy {
    Policy { idle_heartbeat: Duration::from_millis(500), settle: SETTLE, ..Policy::default() }
}

/// The fewest workers that train: as many as there are, unless the job says that fewer will do.
fn fewest(spec: &JobSpec, workers: u32) -> u32 {
    match spec.workers.min() < spec.workers.max() {
        true => spec.workers.min().clamp(1, workers),
        false => workers,
    }
}

fn outcome(view: &View) -> Option<Outcome> {
    let job = &view.job;
    match job.phase {
        Phase::Succeeded => Some(Outcome::Succeeded),
        Phase::Failed => job.failure.clone().map(Outcome::Failed),
        Phase::Paused | Phase::Cancelled => Some(Outcome::Stopped { reason: job.reason.clone() }),
        _ => None,
    }
}

/// The number of workers: as asked for, or as the job says; at most one a lane.
pub(crate) fn workers(spec: &JobSpec, asked: Option<u32>) -> Result<u32, ControlError> {
    let workers = asked.unwrap_or(spec.workers.max()).max(1);
    if workers > spec.lanes {
        return Err(ControlError::TooManyWorkers { workers, lanes: spec.lanes });
    }
    Ok(workers)
}
