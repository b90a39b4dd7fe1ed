//! The file that makes a checkpoint one.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, Step};
use crate::layout::part_file;
use crate::part::PartInfo;
use crate::tensor::TensorInfo;

/// Version of the layout and the manifest that this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Stands where the checksum will.
const NO_CHECKSUM: &str = "00000000";

/// What a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the build that wrote it.
    pub format_version: u32,
    /// The state is that after this step.
    pub step: Step,
    /// Epoch of that step, from 0.
    pub epoch: u32,
    /// Who wrote it.
    pub generation: Generation,
    /// Fingerprint of the settings that training depends on; "" when not given.
    pub spec_fingerprint: String,
    /// Fingerprint of the dataset; "" when not given.
    pub dataset_fingerprint: String,
    /// Lanes of the job.
    pub lanes: u32,
    /// Workers that wrote it.
    pub workers: u32,
    /// The tensors of the state, in order.
    pub tensors: Vec<TensorInfo>,
    /// One a rank, in rank order.
    pub parts: Vec<PartInfo>,
    /// Measured at this step, such as `validation.ndcg@10`. What is not finite is left out.
    pub metrics: BTreeMap<String, f64>,
    /// Small state that is not a tensor.
    pub extra: serde_json::Value,
    /// When, in milliseconds since 1970.
    pub created_ms: u64,
}

impl Manifest {
    /// A manifest of these parts, made now; the other fields are empty.
    pub fn new(
        step: Step,
        generation: Generation,
        tensors: Vec<TensorInfo>,
        parts: Vec<PartInfo>,
    ) -> Manifest {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Manifest {
            format_version: FORMAT_VERSION,
            step,
            epoch: 0,
            generation,
            spec_fingerprint: String::new(),
            dataset_fingerprint: String::new(),
            lanes: 0,
            workers: parts.len() as u32,
            tensors,
            parts,
            metrics: BTreeMap::new(),
            extra: serde_json::Value::Null,
            created_ms: now.as_millis() as u64,
        }
    }

    /// Bytes of all parts.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// Whether both describe the same state written by the same generation, whenever and with
    /// whatever measured.
    pub(crate) fn same_state(&self, other: &Manifest) -> bool {
        let plain =
            |manifest: &Manifest| Manifest { metrics: BTreeMap::new(), created_ms: 0, ..manifest.clone() };
        plain(self) == plain(other)
    }

    /// `Err` says why a checkpoint of this manifest could not be restored.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.format_version != FORMAT_VERSION {
            return Err(format!("format version {}, this build has {FORMAT_VERSION}", self.format_version));
        }
        if self.parts.is_empty() {
            return Err("it has no parts".into());
        }
        for (rank, part) in self.parts.iter().enumerate() {
            let expected = part_file(rank, self.parts.len());
            if part.file != expected {
                return Err(format!("part {rank} is `{}`, not `{expected}`", part.file));
            }
        }
        let bytes = self.tensors.iter().try_fold(0u64, |sum, tensor| {
            let elements =
                tensor.elements().ok_or_else(|| format!("tensor `{}` has no possible size", tensor.name))?;
            Ok::<u64, String>(sum.saturating_add((elements * tensor.dtype.size()) as u64))
        })?;
        if bytes > self.size() {
            return Err(format!("its tensors have {bytes} bytes, its parts only {}", self.size()));
        }
        Ok(())
    }

    /// The manifest as a file that notices its own damage.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let file = File { checksum: NO_CHECKSUM.into(), manifest: self.clone() };
        let mut text = serde_json::to_string_pretty(&file)?;
        text.push('\n');
        let checksum = format!("{:08x}", crc32fast::hash(text.as_bytes()));
        // The checksum is the first field, so that its place is the first such text.
        Ok(text.replacen(NO_CHECKSUM, &checksum, 1).into_bytes())
    }

    /// `Err` says what is wrong with the file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Manifest, String> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "the manifest is not text".to_owned())?;
        let version: Version =
            serde_json::from_str(text).map_err(|error| format!("the manifest cannot be read: {error}"))?;
        if version.format_version != FORMAT_VERSION {
            return Err(format!(
                "the manifest has format version {}, this build reads {FORMAT_VERSION}",
                version.format_version
            ));
        }
        let file: File =
            serde_json::from_str(text).map_err(|error| format!("the manifest cannot be read: {error}"))?;
        let plain = text.replacen(&file.checksum, NO_CHECKSUM, 1);
        if format!("{:08x}", crc32fast::hash(plain.as_bytes())) != file.checksum {
            return Err("the manifest's checksum is not its content's".into());
        }
        file.manifest.check().map_err(|reason| format!("the manifest makes no sense: {reason}"))?;
        Ok(file.manifest)
    }
}

/// The manifest and the CRC-32 of the file as it is with `00000000` for the checksum.
#[derive(Serialize, Deserialize)]
struct File {
    checksum: String,
    #[serde(flatten)]
    manifest: Manifest,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tensor::Dtype;

    fn manifest() -> Manifest {
        let tensors = vec![TensorInfo { name: "w".into(), dtype: Dtype::F32, shape: vec![2, 2] }];
        let part = |rank| PartInfo { file: part_file(rank, 2), size: 100, crc32: 7 };
        Manifest {
            metrics: [("ndcg@10".to_owned(), 0.1 + 0.2)].into(),
            extra: serde_json::json!({"sketch": [1, 2.5, null], "checksum": "00000000"}),
            ..Manifest::new(Step(12), Generation(3), tensors, vec![part(0), part(1)])
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = manifest();
        assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let written = manifest().encode().unwrap();
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 1;
            assert!(
                Manifest::decode(&damaged).is_err(),
                "byte {at} of {}",
                String::from_utf8_lossy(&damaged)
            );
            assert!(Manifest::decode(&written[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_format_version_is_told_before_anything_else() {
        let error = Manifest::decode(br#"{"format_version": 7, "whatever": []}"#).unwrap_err();
        assert!(error.contains("format version 7"), "{error}");
    }

    #[test]
    fn a_manifest_that_could_not_be_restored_makes_no_sense() {
        let change = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            manifest.check().unwrap_err()
        };
        assert!(change(|m| m.parts.clear()).contains("no parts"));
        assert!(change(|m| m.parts.swap(0, 1)).contains("part 0"));
        assert!(change(|m| m.parts[0].file = "../x".into()).contains("part 0"));
        assert!(change(|m| m.tensors[0].shape = vec![1000]).contains("only 200"));
        assert!(change(|m| m.tensors[0].shape = vec![usize::MAX, 2]).contains("no possible size"));
    }
}
