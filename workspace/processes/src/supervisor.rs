//! Children, kept running.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
};

use crate::{
    Child, Exit, ProcessError,
    child::Started,
    ended::{self, NOT_STARTED},
    restarts::Restarts,
};

/// Children of this process, each started again when it ends before it should. Dropping it kills
/// them all.
///
/// A child that ends with exit code 0 is done, one that ends with [`RESTART`](crate::RESTART) is
/// started again at once, and whatever else ends it is a crash: it is started again after pauses
/// that grow while crashes follow one another.
///
/// ```no_run
/// # async fn example() -> Result<(), twinspire_processes::ProcessError> {
/// use std::time::Duration;
/// use twinspire_processes::{Child, Supervisor};
///
/// let child = Child { name: "worker-0".into(), ..Child::default() };
/// let mut workers = Supervisor::start("target/debug/worker".into(), vec![child])?;
/// while let Some(exit) = workers.exits.recv().await {
///     println!("{}: {}", exit.name, exit.why);
/// }
/// workers.end(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct Supervisor {
    /// Every end of a child, in order, told before the next one of its name is started. Ends when
    /// the last child has ended for good.
    pub exits: mpsc::UnboundedReceiver<Exit>,
    orders: broadcast::Sender<Order>,
    keepers: JoinSet<i32>,
    worst: i32,
}

#[derive(Clone, Debug)]
enum Order {
    Signal(Signal),
    /// The child of this name is to be another process.
    Replace(String),
    /// Whoever ends now is not started again.
    NoMore,
}

/// Orders on their way to a child at a time; more than anybody presses Ctrl-C.
const ORDERS: usize = 16;

impl Supervisor {
    /// Starts the children. Call it within a tokio runtime.
    ///
    /// # Errors
    /// One of them cannot be started; then none runs.
    pub fn start(program: PathBuf, children: Vec<Child>) -> Result<Supervisor, ProcessError> {
        let (orders, _) = broadcast::channel(ORDERS);
        let (exits, told) = mpsc::unbounded_channel();
        // All of them before the first one is kept: what was started is killed when this fails.
        let started: Vec<(Child, Started)> = children
            .into_iter()
            .map(|child| child.start(&program).map(|started| (child, started)))
            .collect::<Result<_, _>>()?;
        let mut keepers = JoinSet::new();
        for (child, started) in started {
            let keeper = Keeper {
                child,
                orders: orders.subscribe(),
                exits: exits.clone(),
                restarts: Restarts::default(),
                no_more: false,
            };
            keepers.spawn(keeper.keep(program.clone(), started));
        }
        Ok(Supervisor { exits: told, orders, keepers, worst: 0 })
    }

    /// Sends a signal to all children there are, and starts none again.
    pub fn signal_all(&self, signal: Signal) {
        // Nobody listens when all have ended.
        let _ = self.orders.send(Order::Signal(signal));
    }

    /// Kills the process of a child, so that another takes its place: for one that does not answer
    /// any more.
    pub fn replace(&self, name: &str) {
        let _ = self.orders.send(Order::Replace(name.to_owned()));
    }

    /// Waits until all children have ended for good; the worst of their last exit codes. One that
    /// wanted to be started again and was not does not count as bad.
    pub async fn wait(&mut self) -> i32 {
        while let Some(ended) = self.keepers.join_next().await {
            // A keeper does not panic, and is only aborted together with this.
            self.worst = self.worst.max(ended.unwrap_or(NOT_STARTED));
        }
        self.worst
    }

    /// Starts none again, waits until all have ended, but no longer than `grace`, then kills those
    /// that are left.
    pub async fn end(&mut self, grace: Duration) {
        let _ = self.orders.send(Order::NoMore);
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.signal_all(Signal::KILL);
            self.wait().await;
        }
    }
}

/// Why a child ended whose place another was to take.
const REPLACED: &str = "its process did not answer any more, and was killed";

/// Keeps one child running.
struct Keeper {
    child: Child,
    orders: broadcast::Receiver<Order>,
    exits: mpsc::UnboundedSender<Exit>,
    restarts: Restarts,
    no_more: bool,
}

impl Keeper {
    /// To the child's last end: its exit code.
    async fn keep(mut self, program: PathBuf, started: Started) -> i32 {
        let mut running = Ok(started);
        loop {
            let since = Instant::now();
            let (why, code) = match running {
                Ok(started) => self.watch(started).await,
                Err(error) => (error, NOT_STARTED),
            };
            let lived = since.elapsed();
            let again_in = self.restarts.after(code, lived).filter(|_| !self.no_more);
            self.tell(why, code, lived, again_in);
            let Some(pause) = again_in else { return if code == crate::RESTART { 0 } else { code } };
            if !self.pause(pause).await {
                return code;
            }
            running = self.start_again(&program);
        }
    }

    fn start_again(&self, program: &Path) -> Result<Started, String> {
        self.child.start(program).map_err(|error| error.to_string())
    }

    /// To this end of the child.
    async fn watch(&mut self, mut started: Started) -> (String, i32) {
        let mut is_replaced = false;
        loop {
            tokio::select! {
                status = started.process.wait() => {
                    let (why, code) = status.map_or_else(|why| (why.to_string(), NOT_STARTED), ended::describe);
                    return (if is_replaced { REPLACED.into() } else { why }, code);
                }
                order = self.orders.recv() => match order {
                    Ok(Order::Signal(signal)) => {
                        self.no_more = true;
                        send(&started, signal);
                    }
                    Ok(Order::Replace(name)) => {
                        if name == self.child.name {
                            is_replaced = true;
                            send(&started, Signal::KILL);
                        }
                    }
                    Ok(Order::NoMore) | Err(broadcast::error::RecvError::Lagged(_)) => self.no_more = true,
                    Err(broadcast::error::RecvError::Closed) => {
                        self.no_more = true;
                        // The supervisor is being dropped, and this task with it.
                        std::future::pending::<()>().await;
                    }
                },
            }
        }
    }

    /// Whether the pause went by undisturbed.
    async fn pause(&mut self, pause: Duration) -> bool {
        let mut end = pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                // Orders first: who is not to be started again must not be, however short the pause.
                biased;
                order = self.orders.recv() => {
                    // There is no process to replace.
                    if !matches!(order, Ok(Order::Replace(_))) {
                        return false;
                    }
                }
                () = &mut end => return true,
            }
        }
    }

    fn tell(&self, why: String, code: i32, lived: Duration, again_in: Option<Duration>) {
        let (name, lived_s) = (&self.child.name, lived.as_secs());
        match again_in {
            Some(pause) => {
                tracing::warn!(child = name, lived_s, "{why}; it is started again in {} s", pause.as_secs());
            }
            None if code == 0 => tracing::info!(child = name, lived_s, "{why}"),
            None => tracing::warn!(child = name, lived_s, "{why}"),
        }
        let exit = Exit { name: name.clone(), why, code, lived, again_in };
        // Whoever does not listen need not know.
        let _ = self.exits.send(exit);
    }
}

fn send(started: &Started, signal: Signal) {
    let pid = started.process.id().and_then(|pid| Pid::from_raw(pid as i32));
    // One that ends at this moment needs no signal.
    let _ = pid.map(|pid| kill_process(pid, signal));
}
