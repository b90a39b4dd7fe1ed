//! One fault, and how training gets over it.

use std::{fmt, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep};
use tonic::Status;
use twinspire_job::JobSpec;
use twinspire_proto::v1;

use super::Kind;
use crate::{
    ControlError,
    client::{Lasting, may_pass},
    display::duration,
    local,
};

/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(50);

/// A coordinator that is not back by then does not come back.
const NOBODY: Duration = Duration::from_secs(120);

/// A local run that does not answer for so long was killed: nobody starts it again.
const GONE: Duration = Duration::from_secs(10);

/// Training that has not gone on after so many times its recovery target is not going to.
const PATIENCE: u32 = 20;

/// What happened, and what it cost.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Strike {
    #[serde(serialize_with = "as_text")]
    pub(super) fault: Kind,
    /// Whom it struck; empty for the coordinator.
    pub(super) worker: String,
    /// When, in milliseconds since 1970.
    pub(super) at_ms: u64,
    /// Milliseconds until the next step was committed; none if that never came.
    pub(super) recovery_ms: Option<u64>,
    /// Steps that were done before and had to be done again.
    pub(super) steps_redone: u64,
    /// Milliseconds that training stood still each time workers joined or left in good order since the fault before.
    pub(super) regrouped_ms: Vec<u64>,
}

fn as_text<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.worker.is_empty() { String::new() } else { format!(" {}", self.worker) };
        write!(f, "{}{at}: ", self.fault)?;
        match self.recovery_ms {
            Some(ms) => write!(f, "trained on after {:.2} s", ms as f64 / 1000.0)?,
            None => write!(f, "did not train on")?,
        }
        match self.steps_redone {
            0 => Ok(()),
            1 => write!(f, ", 1 step done again"),
            steps => write!(f, ", {steps} steps done again"),
        }
    }
}

/// A job that trains.
pub(super) struct Target {
    /// Who is at it, by rank.
    pub(super) workers: Vec<String>,
    pub(super) recovery_target: Duration,
    generation: u64,
    step: u64,
}

/// The job, and the way to it.
pub(super) struct Scene {
    service: Lasting,
    job: String,
    /// The directory of runs of a local run: when that is over, nobody answers any more.
    runs: Option<String>,
    /// Number of the newest event that was looked at.
    seen: u64,
}

impl Scene {
    pub(super) fn new(service: Lasting, job: &str, runs: Option<&str>) -> Scene {
        Scene { service, job: job.into(), runs: runs.map(str::to_owned), seen: 0 }
    }

    /// What happened before is of no interest.
    pub(super) async fn begin(&mut self) -> Result<(), ControlError> {
        self.events().await.map(drop)
    }

    /// Waits until steps are committed, or says why there will be none.
    pub(super) async fn until_it_trains(&mut self) -> Result<Result<Target, Over>, ControlError> {
        let mut first: Option<(u64, u64)> = None;
        loop {
            let job = match self.look().await? {
                Ok(job) => job,
                Err(over) => return Ok(Err(over)),
            };
            if let Some(why) = over(&job) {
                return Ok(Err(why));
            }
            match step_of(&job) {
                // One that was seen before may be from before the last fault.
                Some(step) => match first {
                    Some((generation, seen)) if generation == job.generation && step > seen => {
                        return Ok(Ok(target(&job, step)));
                    }
                    Some((generation, _)) if generation == job.generation => {}
                    _ => first = Some((job.generation, step)),
                },
                None => first = None,
            }
            sleep(LOOK).await;
        }
    }

    /// Strikes, and waits until training goes on.
    pub(super) async fn strike(
        &mut self,
        fault: Kind,
        worker: String,
        span: Duration,
        target: &Target,
    ) -> Result<Result<Strike, String>, ControlError> {
        let request = v1::InjectRequest {
            name: self.job.clone(),
            fault: fault.fault().into(),
            worker: worker.clone(),
            span_ms: span.as_millis() as u64,
        };
        // Since the fault before this one.
        let events = self.events().await?;
        let regrouped = events.iter().filter(|event| event.kind == "regrouped");
        let regrouped_ms: Vec<u64> = regrouped.filter_map(|event| event.took_ms).collect();
        let struck = match self.service.jobs().inject(request).await {
            Ok(struck) => struck.into_inner(),
            // Who it was to strike has gone, or the coordinator has: that may happen in a storm.
            Err(why) if may_pass(&why) || is_gone(&why) => {
                if may_pass(&why) {
                    self.back(why.clone()).await?;
                }
                return Ok(Err(why.message().to_owned()));
            }
            Err(why) => return Err(why.into()),
        };
        self.seen = self.seen.max(struck.sequence);
        let begun = Instant::now();
        let mut strike =
            Strike { fault, worker, at_ms: struck.at_ms, recovery_ms: None, steps_redone: 0, regrouped_ms };
        let mut highest = target.step;
        let mut stepped: Option<Duration> = None;
        while begun.elapsed() < target.recovery_target * PATIENCE + span {
            let Ok(job) = self.look().await? else {
                let after = stepped.unwrap_or(begun.elapsed()).as_millis() as u64;
                strike.recovery_ms = Some(after);
                return Ok(Ok(strike));
            };
            if let Some(step) = step_of(&job) {
                if step > highest + 1 && stepped.is_none() {
                    stepped = Some(begun.elapsed());
                }
                if job.generation == target.generation {
                    highest = highest.max(step);
                }
            }
            for event in self.events().await? {
                match (event.kind.as_str(), event.took_ms) {
                    ("recovered", Some(_)) => {
                        strike.recovery_ms = Some(event.at_ms.saturating_sub(struck.at_ms));
                        let from = job.started.as_ref().map_or(highest, |started| started.step);
                        strike.steps_redone = highest.saturating_sub(from);
                        return Ok(Ok(strike));
                    }
                    ("regrouped", Some(took)) => strike.regrouped_ms.push(took),
                    _ => {}
                }
            }
            // What nobody noticed was got over all the same, once it has passed.
            let has_passed = match fault {
                // It met workers that were joining or leaving: they trained on in other company.
                Kind::KillWorker | Kind::CrashWorker => {
                    job.generation > target.generation && begun.elapsed() > target.recovery_target / 2
                }
                Kind::PauseWorker => begun.elapsed() > span + target.recovery_target / 2,
                // Checkpoints are written again, if any was due meanwhile.
                Kind::FailStorage => begun.elapsed() > span && job.checkpoint_trouble.is_none(),
                Kind::KillCoordinator => true,
            };
            if let Some(after) = stepped.filter(|_| has_passed) {
                strike.recovery_ms = Some(after.as_millis() as u64);
                return Ok(Ok(strike));
            }
            if let Some(over) = over(&job) {
                let after = stepped.unwrap_or(begun.elapsed()).as_millis() as u64;
                strike.recovery_ms = (!over.is_lost).then_some(after);
                return Ok(Ok(strike));
            }
            sleep(LOOK).await;
        }
        Ok(Ok(strike))
    }

    /// Waits for a coordinator to come back. A local run that is over, or was killed, has none.
    async fn back(&mut self, why: Status) -> Result<Option<Over>, ControlError> {
        let (runs, job) = (&self.runs, &self.job);
        let ended = async {
            let Some(runs) = runs else { return std::future::pending().await };
            for _ in 0..GONE.as_millis() / LOOK.as_millis() {
                if local::address(runs, job).is_none() {
                    return Over { why: format!("the run of {job} is over"), is_lost: false };
                }
                sleep(LOOK).await;
            }
            Over { why: format!("the run of {job} does not answer any more"), is_lost: true }
        };
        tokio::select! {
            back = self.service.lost(why) => back.map(|()| None),
            over = ended => Ok(Some(over)),
        }
    }

    /// The job, from whichever coordinator answers.
    async fn look(&mut self) -> Result<Result<v1::Job, Over>, ControlError> {
        let look = async {
            loop {
                let request = v1::GetRequest { name: self.job.clone() };
                match self.service.jobs().get(request).await {
                    Ok(job) => {
                        self.service.well();
                        return Ok(Ok(job.into_inner()));
                    }
                    Err(why) => {
                        if let Some(over) = self.back(why).await? {
                            return Ok(Err(over));
                        }
                    }
                }
            }
        };
        let why = "no coordinator has come back; who starts it again?";
        match tokio::time::timeout(NOBODY, look).await {
            Ok(looked) => looked,
            Err(_) => Err(ControlError::Unreachable { addresses: self.job.clone(), why: why.into() }),
        }
    }

    /// What happened since the last time.
    async fn events(&mut self) -> Result<Vec<v1::JobEvent>, ControlError> {
        let request = v1::EventsRequest { name: self.job.clone(), follow: false, after: self.seen };
        let mut events = Vec::new();
        let ended = async {
            let mut stream = self.service.jobs().events(request).await?.into_inner();
            while let Some(event) = stream.message().await? {
                events.push(event);
            }
            Ok::<(), Status>(())
        };
        if let Err(why) = ended.await {
            // They are there the next time.
            self.back(why).await?;
        }
        self.seen = events.iter().map(|event| event.sequence).max().unwrap_or(self.seen).max(self.seen);
        Ok(events)
    }
}

/// The newest step of training under way.
fn step_of(job: &v1::Job) -> Option<u64> {
    let training = job.progress.as_ref()?.training.as_ref()?;
    (job.phase == "running").then_some(training.step)
}

fn target(job: &v1::Job, step: u64) -> Target {
    let spec = JobSpec::from_json(&job.spec_json);
    let recovery_target = spec.map_or(Duration::from_secs(30), |spec| spec.recovery_target.0);
    Target { workers: job.workers.clone(), recovery_target, generation: job.generation, step }
}

/// There will be no more steps.
pub(super) struct Over {
    pub(super) why: String,
    /// It failed, or somebody ended it.
    pub(super) is_lost: bool,
}

fn over(job: &v1::Job) -> Option<Over> {
    let (is_lost, what) = match job.phase.as_str() {
        "evaluating" | "exporting" => (false, "done with training".into()),
        "succeeded" => (false, format!("succeeded: {}", job.reason)),
        "failed" | "cancelled" | "paused" => (true, format!("{}: {}", job.phase, job.reason)),
        _ => return None,
    };
    Some(Over { why: format!("{} is {what}", job.name), is_lost })
}

fn is_gone(why: &Status) -> bool {
    let code = why.metadata().get(twinspire_proto::CODE_KEY).and_then(|code| code.to_str().ok());
    matches!(code, Some("TW5303" | "TW5309"))
}

/// A span as people read it.
pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.2} s", ms as f64 / 1000.0),
        _ => duration(Duration::from_millis(ms)).to_string(),
    }
}
