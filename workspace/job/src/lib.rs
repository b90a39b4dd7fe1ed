//! job.yaml -> validated [`JobSpec`].
//!
//! A job file says which logs, which towers, how to train and what to keep. Its types are in
//! [`spec`](JobSpec), and everything else here follows from them:
//!
//! ```text
//! text --tree--> located YAML --overrides--> changed YAML --shape::fit--> JSON --serde--> JobSpec
//!                                                 ^                                          |
//!      JSON Schema (from the types' docs) --> shape                    resolve (defaults that |
//!                                                                      depend on others) <----+
//!                                                                        |
//!                                                                      check (what does not go together)
//! ```
//! A user gets *all* mistakes at once, each with its place, the field, what is wrong, why, and what
//! to write instead:
//!
//! ```
//! use twinspire_job::JobFile;
//!
//! let text = "
//! name: demo
//! lanes: 8
//! log: {uri: events.parquet}
//! towers: {item: {id_embeding: table}}
//! train:
//!   global_batch: 100
//! ";
//! let error = JobFile::parse(text, "job.yaml", &[]).unwrap_err();
//! let message = error.to_string();
//! let lines: Vec<&str> = message.lines().collect();
//! assert_eq!(lines, [
//!     "job.yaml:5:17: towers.item.id_embeding: `id_embeding` is not a field of `towers.item`: \
//!         did you mean `id_embedding`? [TW1003]",
//!     "job.yaml:7:17: train.global_batch: 100 is not a multiple of lanes (8): use 96 or 104 [TW1010]",
//! ]);
//! ```
//!
//! The same with a job that works:
//!
//! ```
//! use twinspire_job::{JobFile, Override};
//!
//! let text = "
//! name: beauty
//! log: {uri: events.csv.gz, columns: {timestamp: null, order: position}}
//! towers: {item: {encoder: id, id_embedding: table}}
//! ";
//! let steps: Override = "train.steps=100".parse()?;
//! let job = JobFile::parse(text, "job.yaml", &[steps])?;
//! assert_eq!(job.spec().train.steps, Some(100));
//! assert!(!job.spec().towers.user.time.gap, "there is no time in this log");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod code;
mod error;
mod explain;
mod file;
mod fingerprint;
mod lists;
mod overrides;
mod path;
mod places;
mod reference;
mod resolve;
mod resume;
mod schema;
mod settings;
mod shape;
mod spec;
mod suggest;
mod text;
mod timeouts;
mod tree;
mod units;

pub use check::parse_instant;
pub use code::{CODES, Code};
pub use error::{JobError, Place, Problem, Problems};
pub use file::JobFile;
pub use fingerprint::fingerprint;
pub use overrides::Override;
pub use path::{FieldPath, Segment};
pub use places::is_relative;
pub use reference::reference;
pub use resume::{Conflict, resume_conflicts};
pub use schema::schema;
pub use settings::read_settings;
pub use spec::*;
pub use timeouts::Timeouts;
pub use units::{ByteSize, Span};
