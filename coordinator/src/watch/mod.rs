//! The live view of a service: jobs, the loss of one of them, workers, events.
//!
//! ```text
//!   poll ── news ──► State ──► frame ──► terminal
//!   keys ── act ───►   │
//!     └──────────── requests to the coordinator
//! ```
//! What is on the screen is a pure function of [`State`]; what a key does is one of the state and
//! the key.

mod chart;
mod frame;
mod keys;
mod panels;
mod poll;
mod request;
mod state;
mod terminal;

use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::{ControlError, client::Lasting, service::Signals};
use keys::{Act, act};
use state::State;
use terminal::{Input, Keyboard, Screen};

/// News that may wait to be shown.
const WAITING: usize = 16;

/// The clock on the screen goes on though nothing happens.
const TICK: Duration = Duration::from_secs(1);

/// Why the view was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// By a key.
    Key,
    /// By a signal.
    Signal,
}

/// Shows a service until it is left. `job` is selected first.
pub(crate) async fn run(
    service: Lasting,
    addresses: Vec<String>,
    job: Option<String>,
) -> Result<Left, ControlError> {
    let mut state = State { selected: job, now_ms: now_ms(), ..State::default() };
    let mut signals = Signals::listen()?;
    let (select, selected) = watch::channel(state.selected.clone());
    let (sender, mut news) = mpsc::channel(WAITING);
    let _poller = AbortOnDropHandle::new(tokio::spawn(poll::poll(service.quiet(), selected, sender.clone())));
    let mut screen = Screen::open()?;
    let mut keyboard = Keyboard::listen()?;
    let mut tick = tokio::time::interval(TICK);
    loop {
        screen.draw(|frame| frame::draw(frame, &state))?;
        tokio::select! {
            Some(one) = news.recv() => state.take(one)?,
            input = keyboard.next() => match input? {
                Input::Resized => {}
                Input::Key(key) => match act(&mut state, key) {
                    Act::Nothing => {}
                    Act::Quit => return Ok(Left::Key),
                    Act::Ask(asked) => request::send(addresses.clone(), asked, sender.clone()),
                },
            },
            () = signals.next() => return Ok(Left::Signal),
            _ = tick.tick() => {}
        }
        state.now_ms = now_ms();
        select.send_if_modified(|before| {
            let differs = *before != state.selected;
            before.clone_from(&state.selected);
            differs
        });
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}
