//! What the end-to-end tests share.
//!
//! They run the real programs, `coordinator` and the `worker`s it starts, on small generated logs:
//!
//! ```no_run
//! use twinspire_tests::{Place, one_at_a_time};
//!
//! let _alone = one_at_a_time();
//! let place = Place::with_log(300, 200, 9_000);
//! place.run(&["local", "features.yaml", "--workers", "2"]).expect_exit(0);
//! println!("{}", place.run(&["audit", "features", "-o", "json"]).expect_exit(0).json());
//! ```
//!
//! or on a service of their own:
//!
//! ```no_run
//! use twinspire_tests::{Service, one_at_a_time};
//!
//! let _alone = one_at_a_time();
//! let service = Service::with_workers(2);
//! service.submit("first", &["train.steps=30"], &["--wait"]).expect_exit(0);
//! service.assert_all_rows_were_trained_once("first");
//! ```
//!
//! The machine may be slow and busy: nothing here rests on how long something takes, but every
//! wait has a deadline far beyond what it should need.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cloud;
mod damage;
mod disk;
mod files;
mod memory;
mod network;
mod place;
mod process;
mod programs;
mod service;
mod state;
mod wait;

pub use cloud::Cloud;
pub use damage::flip_a_byte;
pub use disk::no_small_disks;
pub use files::{gzip, parquet, texts};
pub use memory::NoMemory;
pub use network::Network;
pub use place::Place;
pub use process::{Ended, Held, Process};
pub use programs::{Program, closed_pipe, program};
pub use service::Service;
pub use state::StateTensors;
pub use wait::{DEADLINE, one_at_a_time, until};
