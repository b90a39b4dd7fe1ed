//! The terminal: taken over, and given back whatever happens.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyEvent, KeyEventKind},
};
use tokio::sync::mpsc;

use crate::ControlError;

/// How soon the keyboard is let go of.
const PATIENCE: Duration = Duration::from_millis(100);

/// A terminal that is drawn on. Dropped, it is as it was before; a panic gives it back too, before
/// its message is written.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> Result<Screen, ControlError> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Screen(terminal)),
            Err(source) => {
                // It may have come half-way.
                ratatui::restore();
                Err(ControlError::Terminal { source })
            }
        }
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), ControlError> {
        self.0.draw(draw).map_err(|source| ControlError::Terminal { source })?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What a terminal says.
pub(super) enum Input {
    Key(KeyEvent),
    Resized,
}

/// The keys that are pressed, read by a thread: reading them blocks.
pub(super) struct Keyboard {
    inputs: mpsc::Receiver<io::Result<Input>>,
    stop: Arc<AtomicBool>,
}

impl Keyboard {
    pub(super) fn listen() -> Result<Keyboard, ControlError> {
        let (sender, inputs) = mpsc::channel(16);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("keyboard".into());
        let spawned = thread.spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let input = match read() {
                    Ok(None) => continue,
                    Ok(Some(input)) => Ok(input),
                    Err(why) => Err(why),
                };
                let failed = input.is_err();
                if sender.blocking_send(input).is_err() || failed {
                    return;
                }
            }
        });
        spawned.map_err(|source| ControlError::Terminal { source })?;
        Ok(Keyboard { inputs, stop })
    }

    /// Waits for the next.
    pub(super) async fn next(&mut self) -> Result<Input, ControlError> {
        let gone = || Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        let input = self.inputs.recv().await.unwrap_or_else(gone);
        input.map_err(|source| ControlError::Terminal { source })
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn read() -> io::Result<Option<Input>> {
    if !event::poll(PATIENCE)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Some(Input::Key(key)),
        Event::Resize(..) => Some(Input::Resized),
        _ => None,
    })
}
