//! A thread that produces ahead of its consumer, and stops when nobody wants its product.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::error::DatasetError;

/// The tokio runtime of a reader's I/O and decoding. Its own, so that readers work from any
/// thread of any program.
pub(super) struct Io(Option<Runtime>);

impl Io {
    pub(super) fn start() -> Result<Io, DatasetError> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("twinspire-read").enable_all().build();
        runtime.map(|runtime| Io(Some(runtime))).map_err(|error| not_started(&error))
    }

    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // Unlike a plain drop this waits for nothing, so it is allowed inside other runtimes.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A background thread's products, in order.
pub(super) struct Producer<T> {
    receiver: Option<Receiver<Result<T, DatasetError>>>,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The producing side.
pub(super) struct Outlet<T> {
    sender: SyncSender<Result<T, DatasetError>>,
    stopped: watch::Receiver<()>,
    io: Handle,
}

/// Nobody wants the product any more.
pub(super) struct Stopped;

impl<T: Send + 'static> Producer<T> {
    /// Starts a thread that runs `produce` to its end, at most `depth` products ahead.
    pub(super) fn start(
        io: &Io,
        depth: usize,
        produce: impl FnOnce(&Outlet<T>) -> Result<(), Stopped> + Send + 'static,
    ) -> Result<Producer<T>, DatasetError> {
        let Some(io) = io.handle() else { return Err(stopped("its runtime has been shut down")) };
        let (sender, receiver) = sync_channel(depth);
        let (stop, stopped) = watch::channel(());
        let outlet = Outlet { sender, stopped, io };
        let thread = std::thread::Builder::new()
            .name("twinspire-batch".into())
            .spawn(move || {
                // Both ends are regular: all was produced, or nobody wants it.
                let _ended = produce(&outlet);
            })
            .map_err(|error| not_started(&error))?;
        Ok(Producer { receiver: Some(receiver), stop: Some(stop), thread: Some(thread) })
    }

    /// Waits for the next product; `None` when the thread has ended.
    pub(super) fn next(&mut self) -> Option<Result<T, DatasetError>> {
        self.receiver.as_ref()?.recv().ok()
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // Both wake the thread: from a wait for storage and from a full queue.
        self.stop.take();
        self.receiver.take();
        if let Some(thread) = self.thread.take() {
            // If it panicked, the end of the queue has told.
            let _panicked = thread.join();
        }
    }
}

impl<T> Outlet<T> {
    /// Hands over a product, waiting for room.
    pub(super) fn send(&self, product: Result<T, DatasetError>) -> Result<(), Stopped> {
        self.sender.send(product).map_err(|_| Stopped)
    }

    /// Runs a future, unless the product is no longer wanted.
    pub(super) fn wait<F: Future>(&self, future: F) -> Result<F::Output, Stopped> {
        let mut stopped = self.stopped.clone();
        self.io.block_on(async {
            tokio::select! {
                biased;
                // Only ever ends because the other side is gone.
                _ = stopped.changed() => Err(Stopped),
                output = future => Ok(output),
            }
        })
    }

    /// Where to spawn work that should go on meanwhile.
    pub(super) fn io(&self) -> &Handle {
        &self.io
    }
}

fn not_started(error: &std::io::Error) -> DatasetError {
    stopped(&format!("a thread could not be started: {error}"))
}

pub(super) fn stopped(why: &str) -> DatasetError {
    DatasetError::ReaderStopped { why: why.to_owned() }
}
