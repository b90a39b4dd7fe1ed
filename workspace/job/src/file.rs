//! Text -> tree -> shape -> spec -> checks: the way of a job file.

use std::fs;
use std::path::Path;

use crate::check::{Finding, check};
use crate::code::Code;
use crate::error::{JobError, Place, Problem, Problems};
use crate::explain::explain;
use crate::overrides::Override;
use crate::path::FieldPath;
use crate::resolve::resolve;
use crate::shape::JOB;
use crate::shape::fit::{Fit, fit};
use crate::spec::JobSpec;
use crate::tree::{self, Entry, Node, Scalar, Value};

/// Job files have a few hundred lines; this stops at data passed by mistake.
const LARGEST: u64 = 4 << 20;

/// Fields of which one replaces the other when it is set from the command line.
const EXCLUSIVE: [[&str; 2]; 1] = [["train.steps", "train.epochs"]];

/// A job file that has been read, checked and completed.
#[derive(Clone, Debug, PartialEq)]
pub struct JobFile {
    spec: JobSpec,
}

impl JobFile {
    /// Reads the job file at `path`, with `overrides` applied in order.
    pub fn read(path: impl AsRef<Path>, overrides: &[Override]) -> Result<JobFile, JobError> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        JobFile::parse(&text(path, &origin)?, &origin, overrides)
    }

    /// Reads a job from `text`; `origin` is what messages call it.
    pub fn parse(text: &str, origin: &str, overrides: &[Override]) -> Result<JobFile, JobError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let invalid = |problems| Err(JobError::Invalid(Problems::new(origin, text, problems)));
        let (root, mut problems) = tree::parse(text);
        let mut root = match root {
            Some(root) => root,
            None if problems.is_empty() && overrides.is_empty() => return invalid(vec![empty()]),
            None if problems.is_empty() => tree::nothing(),
            None => return invalid(problems),
        };
        for change in overrides {
            problems.extend(change.apply(&mut root, &JOB).err().map(|problem| *problem));
        }
        make_way(&mut root, overrides);

        let Fit { json, problems: misfits, doubtful } = fit(&JOB, &root);
        problems.extend(misfits);
        let spec = json.map(serde_json::from_value::<JobSpec>);
        let spec = match spec {
            Some(Ok(spec)) => Some(spec),
            // The schema allows what serde does not: ours to mend, but the user must hear of it.
            Some(Err(error)) if problems.is_empty() => {
                let what = format!("this cannot be read as a job: {error}");
                let remedy = "compare it with docs/job-file.md";
                problems.push(Problem::new(
                    Code::Type,
                    root.place.clone(),
                    FieldPath::default(),
                    what,
                    remedy,
                ));
                None
            }
            _ => None,
        };
        let Some(spec) = spec else { return invalid(problems) };
        let mentions = |path: &str| path.parse().is_ok_and(|path| root.get(&path).is_some());
        let spec = resolve(spec, &mentions);
        let certain = check(&spec).into_iter().filter(|finding| is_certain(finding, &doubtful));
        problems.extend(certain.map(|finding| placed(finding, &root)));
        if problems.is_empty() { Ok(JobFile { spec }) } else { invalid(problems) }
    }

    /// The job.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// The job.
    pub fn into_spec(self) -> JobSpec {
        self.spec
    }

    /// The job as a job file in which every field is given and explained. Reading it gives the
    /// same job.
    pub fn explain(&self) -> String {
        explain(&self.spec)
    }
}

impl JobSpec {
    /// The job as one line of JSON, to be kept or sent; [`JobSpec::from_json`] reads it.
    pub fn to_json(&self) -> String {
        self.json().to_string()
    }

    /// Reads and checks what [`JobSpec::to_json`] wrote. Use this and not `serde_json::from_str`,
    /// which may read a float one bit off: equal jobs would then have different fingerprints.
    pub fn from_json(json: &str) -> Result<JobSpec, JobError> {
        JobFile::parse(json, "job", &[]).map(JobFile::into_spec).map_err(JobError::nowhere)
    }

    /// Checks a spec that was not read from a file; every field counts as given by the user.
    pub fn validate(&self) -> Result<(), JobError> {
        JobSpec::from_json(&self.to_json()).map(drop)
    }
}

/// The file's text, or why there is none.
pub(crate) fn text(path: &Path, origin: &str) -> Result<String, JobError> {
    let fail = |what: String, remedy: &str| {
        Err(JobError::Unreadable { origin: origin.to_owned(), what, remedy: remedy.to_owned() })
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return fail("there is no such file".into(), "give the path of a job file");
        }
        Err(error) => return fail(format!("the file cannot be read ({error})"), "check its permissions"),
    };
    if metadata.is_dir() {
        return fail("this is a directory".into(), "give the path of a job file in it");
    }
    if metadata.len() > LARGEST {
        let what = format!("{} bytes are too many for a job file", metadata.len());
        return fail(what, "give a job file (YAML); data files are named in its log.uri");
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return fail(format!("the file cannot be read ({error})"), "check its permissions"),
    };
    String::from_utf8(bytes).or_else(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        let what = match error.as_bytes() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16".into(),
            _ => format!("byte {at} (line {line}) is not UTF-8"),
        };
        fail(what, "give a job file (YAML) saved as UTF-8")
    })
}

fn empty() -> Problem {
    let place = Place::File { line: 1, column: 1 };
    let remedy = "the smallest job is `name: my-job` and `log: {uri: events.parquet}`; see docs/job-file.md";
    Problem::new(Code::Syntax, place, FieldPath::default(), "the file is empty", remedy)
}

/// `--set train.steps=100` on a file with `epochs: 10` means steps.
fn make_way(root: &mut Node, overrides: &[Override]) {
    let is_set = |path: &str| overrides.iter().any(|change| change.path().to_string() == path);
    for [one, other] in EXCLUSIVE {
        for (winner, loser) in [(one, other), (other, one)] {
            if is_set(winner) && !is_set(loser) {
                remove(root, loser);
            }
        }
    }
}

fn remove(root: &mut Node, path: &str) {
    let mut node = root;
    for key in path.split('.') {
        let Value::Map(entries) = &mut node.value else { return };
        let Some(entry) = entries.iter_mut().find(|Entry { key: name, .. }| name == key) else { return };
        node = &mut entry.node;
    }
    node.value = Value::Scalar(Scalar::plain(""));
}

/// Whether what a finding is about was given as the user meant it.
fn is_certain(finding: &Finding, doubtful: &[FieldPath]) -> bool {
    let about = std::iter::once(finding.path.as_str()).chain(finding.related.iter().copied());
    about
        .filter_map(|path| path.parse::<FieldPath>().ok())
        .all(|path| doubtful.iter().all(|doubt| !path.starts_with(doubt) && !doubt.starts_with(&path)))
}

fn placed(finding: Finding, root: &Node) -> Problem {
    let path: FieldPath = finding.path.parse().unwrap_or_default();
    let place = root.place_of(&path);
    let problem = Problem::new(finding.code, place, path, finding.what, finding.remedy);
    match finding.why {
        Some(why) => problem.because(why),
        None => problem,
    }
}
