//! Jobs that are submitted, assigned and cancelled.

use std::time::{Duration, Instant};

use tokio::{sync::mpsc, time::timeout};
use tonic::transport::Channel;
use twinspire_job::JobFile;
use twinspire_proto::v1::{
    GetRequest, JobRequest, ListWorkersRequest, SubmitRequest, jobs_client::JobsClient,
};

use crate::{Failure, simulated::Assigned};

/// What is waited for longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two questions about the same thing.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// Someone who submits jobs.
pub(crate) struct Jobs {
    client: JobsClient<Channel>,
    workers: usize,
}

impl Jobs {
    /// Jobs of so many workers each.
    pub(crate) fn new(channel: Channel, workers: usize) -> Jobs {
        Jobs { client: JobsClient::new(channel).max_decoding_message_size(64 << 20), workers }
    }

    /// Waits until the coordinator lists so many workers.
    pub(crate) async fn all_listed(&mut self, workers: usize) -> Result<(), Failure> {
        let by = Instant::now() + PATIENCE;
        loop {
            let listed = self.client.list_workers(ListWorkersRequest {}).await?.into_inner().workers.len();
            if listed == workers {
                return Ok(());
            }
            if Instant::now() > by {
                return Err(format!("{listed} of {workers} workers are listed").into());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// How long after it was submitted the last of a job's workers had its part of the training. The job
    /// is prepared in between, by a worker that answers at once. It is cancelled then.
    pub(crate) async fn one(
        &mut self,
        number: usize,
        assigned: &mut mpsc::UnboundedReceiver<Assigned>,
    ) -> Result<Duration, Failure> {
        let name = format!("job-{number:05}");
        let request = SubmitRequest { spec_json: self.spec(&name)?, ..SubmitRequest::default() };
        let submitted = Instant::now();
        self.client.submit(request).await?;
        let mut last = submitted;
        for had in 0..self.workers {
            let next = timeout(PATIENCE, assigned.recv()).await;
            let next = next.map_err(|_| format!("{name}: {had} of {} workers assigned", self.workers))?;
            let next = next.ok_or("the workers are gone")?;
            if next.job != name {
                return Err(format!("{} was assigned again", next.job).into());
            }
            last = last.max(next.at);
        }
        self.client.cancel(JobRequest { name: name.clone() }).await?;
        let by = Instant::now() + PATIENCE;
        loop {
            let job = self.client.get(GetRequest { name: name.clone() }).await?.into_inner();
            if job.phase == "cancelled" {
                return Ok(last - submitted);
            }
            if Instant::now() > by {
                return Err(format!("{name} is {}: {}", job.phase, job.reason).into());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn spec(&self, name: &str) -> Result<String, Failure> {
        let workers = self.workers;
        let batch = workers * 16;
        let text = format!(
            "{{name: {name}, workers: {workers}, lanes: {workers}, device: cpu, \
             log: {{uri: /nowhere/events.parquet}}, train: {{global_batch: {batch}}}}}"
        );
        let file = JobFile::parse(&text, name, &[]).map_err(|error| error.report())?;
        Ok(file.spec().to_json())
    }
}
