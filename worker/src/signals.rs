//! What the system wants of this process.

use tokio::sync::mpsc;
use twinspire_processes::Requests;

/// Says each time the system wants this process to end. Call it within a runtime.
pub(crate) fn told_to_end() -> std::io::Result<mpsc::Receiver<()>> {
    let mut requests = Requests::listen()?;
    let (told, heard) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            requests.next().await;
            if told.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(heard)
}
