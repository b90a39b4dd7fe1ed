//! One way to name and reach files: local paths, `file://` and `s3://` URIs.
//!
//! Datasets, checkpoints, metrics and exports are kept in directories that are local for one
//! person and in a bucket for a cluster. A [`Location`] is such a directory; everything above this
//! crate says `location.join("checkpoints").put("manifest.json", bytes)` and never asks which kind
//! it has.
//!
//! ```text
//! runs/x              relative to where the command runs ┐
//! /data/runs          absolute                           ├─ local files, written durably
//! file:///data/runs   the same                           ┘
//! s3://bucket/prefix  any S3-compatible server
//! ```
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let uri = directory.path().to_string_lossy().into_owned();
//! use twinspire_storage::{Location, Put};
//!
//! let runs = Location::parse(&uri)?;
//! let step = runs.join("checkpoints/step-000001200");
//! step.put("state.bin", &b"weights"[..]).await?;
//! assert_eq!(step.put_if_absent("manifest.json", &b"{}"[..]).await?, Put::Created);
//! assert_eq!(step.put_if_absent("manifest.json", &b"[]"[..]).await?, Put::AlreadyThere);
//! assert_eq!(&step.get("manifest.json").await?[..], b"{}");
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! 1. A name appears with its whole content or not at all: a reader, or a process that comes after
//!    a `kill -9`, never sees half an object.
//! 2. [`Location::put_if_absent`] creates or leaves alone, and of two callers one creates. On local
//!    files that is a hard link's doing. On S3 it is the server's, and there are servers that
//!    ignore the condition: [`Location::probe`] finds out.
//! 3. What a local `put` has returned from outlives a power cut: file and directory are synced.
//! 4. Every error says which URI, what was tried, why it failed and what to do about it.
//!
//! # Settings for S3
//! From the environment, by the names other tools know:
//!
//! | variable | meaning |
//! |---|---|
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | static credentials |
//! | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` | a role for a Kubernetes service account |
//! | `AWS_CONTAINER_CREDENTIALS_*` | the role of an ECS task or EKS pod |
//! | none of these | the role of the EC2 instance, unless `AWS_EC2_METADATA_DISABLED=true` |
//! | `AWS_REGION` or `AWS_DEFAULT_REGION` | region; us-east-1 when not given |
//! | `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3` | a server other than Amazon's |
//! | `AWS_ALLOW_HTTP=true` | allows an `http://` endpoint |
//! | `AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true` | the endpoint names the bucket already; otherwise path style |
//! | `AWS_MAX_ATTEMPTS` | tries a request, 11 when not given, with backoff from 0.1 s to 5 s, within 60 s |
//! | `AWS_TIMEOUT`, `AWS_CONNECT_TIMEOUT` | time-outs of one try, as `30s` and `5s` |
//!
//! An object above 32 MiB is sent as a multipart upload. One that is cut off (kill -9) stays
//! invisible, but the server keeps its parts: give the bucket a lifecycle rule that aborts
//! incomplete multipart uploads.

#![forbid(unsafe_code)]

mod error;
mod faults;
mod files;
mod location;
mod objects;
mod s3;

pub use error::{CODES, Operation, StorageError};
pub use faults::fail_writes_for;
pub use location::Location;
pub use object_store::PutPayload;
pub use objects::{Entry, Probe, Put};
