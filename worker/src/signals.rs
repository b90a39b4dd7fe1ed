//! What the system wants of this process.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Says each time the system wants this process to end. Call it within a runtime.
pub(crate) fn told_to_end() -> std::io::Result<mpsc::Receiver<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (told, heard) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if told.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(heard)
}
