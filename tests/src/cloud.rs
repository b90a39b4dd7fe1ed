//! A place whose commands reach an S3 server of their own.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use twinspire_test_s3::S3Server;

use crate::{
    place::{Place, files_below, steps_below},
    programs::Program,
};

/// A [`Place`], and a server with a bucket `team` that its commands reach.
pub struct Cloud {
    /// Where commands run.
    pub place: Place,
    /// What they reach.
    pub server: S3Server,
    _runtime: Runtime,
}

impl Cloud {
    /// With an empty bucket.
    pub fn empty(place: Place) -> Cloud {
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(S3Server::start(&["team"])).expect("a server");
        Cloud { place, server, _runtime: runtime }
    }

    /// A coordinator command that reaches the server.
    pub fn coordinator(&self, arguments: &[&str]) -> Program {
        self.place.coordinator(arguments).environment(&self.server.environment())
    }

    /// Where an object lies as a file.
    pub fn bucket(&self, name: impl AsRef<Path>) -> PathBuf {
        self.server.bucket_path("team").join(name)
    }

    /// Steps of the committed checkpoints below a name, in order.
    pub fn checkpoints(&self, name: &str) -> Vec<u64> {
        steps_below(&self.bucket(name))
    }

    /// Every object below a name, as a file.
    pub fn files(&self, name: &str) -> Vec<PathBuf> {
        files_below(&self.bucket(name))
    }

    /// How many manifests there are below a name.
    pub fn manifests(&self, name: &str) -> usize {
        self.files(name).iter().filter(|file| file.ends_with("manifest.json")).count()
    }
}
