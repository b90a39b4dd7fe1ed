//! What is asked of the coordinator by a key.

use tokio::sync::mpsc;
use twinspire_proto::v1;

use super::{keys::Ask, state::News};
use crate::{ControlError, client};

/// Asks in the background; what comes of it is news.
pub(super) fn send(addresses: Vec<String>, ask: Ask, news: mpsc::Sender<News>) {
    tokio::spawn(async move {
        let said = ask_for(&addresses, ask).await.unwrap_or_else(|why| format!("{why} [{}]", why.code()));
        // Whoever asked may have left.
        let _ = news.send(News::Said(said)).await;
    });
}

async fn ask_for(addresses: &[String], ask: Ask) -> Result<String, ControlError> {
    let mut jobs = client::connect(addresses).await?;
    let of = |name: &String| v1::JobRequest { name: name.clone() };
    let (answer, name, done, already) = match &ask {
        Ask::Pause(name) => (jobs.pause(of(name)).await?, name, "pausing", "paused already"),
        Ask::Resume(name) => (jobs.resume(of(name)).await?, name, "resumed", "under way already"),
        Ask::Cancel(name) => (jobs.cancel(of(name)).await?, name, "cancelling", "cancelled already"),
    };
    Ok(format!("{name}: {}", if answer.into_inner().already { already } else { done }))
}
