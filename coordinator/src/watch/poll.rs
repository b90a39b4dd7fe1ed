//! Looks at the service, twice a second.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tonic::{Code, Status};
use twinspire_proto::v1;

use super::state::{Detail, Look, News};
use crate::client::{Jobs, Lasting};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// Looks at the service until nobody wants to know any more.
pub(super) async fn poll(
    mut service: Lasting,
    mut selected: watch::Receiver<Option<String>>,
    sender: mpsc::Sender<News>,
) {
    let mut job = selected.borrow_and_update().clone();
    let mut after = 0;
    loop {
        let now = selected.borrow_and_update().clone();
        if now != job {
            (job, after) = (now, 0);
        }
        let news = match look(service.jobs(), job.as_deref(), &mut after).await {
            Ok(look) => {
                service.well();
                News::Look(Box::new(look))
            }
            Err(lost) => {
                let said = sender.send(News::Lost(lost.message().to_owned())).await;
                match (said, service.lost(lost).await) {
                    (Ok(()), Ok(())) => continue,
                    (_, Err(why)) => News::Failed(why),
                    (Err(_), Ok(())) => return,
                }
            }
        };
        if sender.send(news).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            // Another job is looked at: at once.
            changed = selected.changed() => if changed.is_err() { return },
        }
    }
}

async fn look(jobs: &mut Jobs, selected: Option<&str>, after: &mut u64) -> Result<Look, Status> {
    let detail = match selected {
        Some(name) => match detail(jobs, name, after).await {
            // It was deleted a moment ago.
            Err(gone) if gone.code() == Code::NotFound => None,
            detail => Some(detail?),
        },
        None => None,
    };
    Ok(Look {
        detail,
        jobs: jobs.list(v1::ListRequest::default()).await?.into_inner().jobs,
        workers: jobs.list_workers(v1::ListWorkersRequest {}).await?.into_inner().workers,
    })
}

async fn detail(jobs: &mut Jobs, name: &str, after: &mut u64) -> Result<Detail, Status> {
    let losses = jobs.losses(v1::LossesRequest { name: name.into() }).await?.into_inner().points;
    let request = v1::EventsRequest { name: name.into(), follow: false, after: *after };
    let mut stream = jobs.events(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(event) = stream.message().await? {
        events.push(event);
    }
    *after = events.last().map_or(*after, |event| event.sequence);
    Ok(Detail { job: name.into(), losses, events })
}
