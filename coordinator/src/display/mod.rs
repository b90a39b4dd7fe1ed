//! What a person sees while a job runs: one live line on a terminal, plain lines otherwise.
//! Everything goes to standard error; results go to standard output.

mod format;
mod line;
mod note;
mod screen;
mod words;

pub use format::{clock, duration, number, stamp};
pub use note::note;
pub use screen::Screen;
pub(crate) use words::{FAULT, in_words};
