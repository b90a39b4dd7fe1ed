//! The name of a dataset: a hash of everything that decides what is in it.

use serde_json::json;
use sha2::{Digest, Sha256};
use twinspire_dataset::format::FORMAT_VERSION;
use twinspire_job::JobSpec;

use crate::input::InputFile;

/// Raised when the same inputs come to be prepared differently.
const METHOD: u32 = 1;

/// 32 hexadecimal digits: of the log, catalogue and split sections, the size of shards, and every
/// input file's place, size and version. Memory and threads do not matter.
pub(crate) fn fingerprint(spec: &JobSpec, files: &[InputFile]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| json!([file.section, file.part as u8, file.uri(), file.size, file.version]))
        .collect();
    let all = json!({
        "format": FORMAT_VERSION,
        "method": METHOD,
        "spec": spec.dataset_fingerprint_inputs(),
        "files": files,
    });
    let digest = Sha256::digest(all.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
