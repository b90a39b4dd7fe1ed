//! Settings of programs, read as strictly as job files.

use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::code::Code;
use crate::error::{JobError, Problem, Problems};
use crate::file::text;
use crate::path::FieldPath;
use crate::shape;
use crate::tree;

/// Reads a file of settings (YAML): what is wrong with it is said as of a job file, all of it at
/// once, each problem with its line, unknown names with the nearest one there is. An empty file
/// says nothing.
///
/// The fields and their descriptions are those of `T`, whose fields all have defaults; `noun` is
/// what messages call it: `the coordinator's settings`.
pub fn read_settings<T>(path: impl AsRef<Path>, noun: &str) -> Result<T, JobError>
where
    T: DeserializeOwned + JsonSchema,
{
    let path = path.as_ref();
    let origin = path.display().to_string();
    let text = text(path, &origin).map_err(|error| match error {
        JobError::Unreadable { origin, what, .. } => {
            JobError::Unreadable { origin, what, remedy: format!("give a file (YAML) of {noun}") }
        }
        error => error,
    })?;
    parse(&text, &origin, noun)
}

fn parse<T: DeserializeOwned + JsonSchema>(text: &str, origin: &str, noun: &str) -> Result<T, JobError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (root, mut problems) = tree::parse(text);
    let root = root.unwrap_or_else(tree::nothing);
    let shape = shape::of(&schemars::schema_for!(T).to_value());
    let fit = shape::fit::fit_as(&shape, &root, noun);
    problems.extend(fit.problems);
    if problems.is_empty() {
        match serde_json::from_value(fit.json.unwrap_or_default()) {
            Ok(settings) => return Ok(settings),
            Err(error) => problems.push(Problem::new(
                Code::Type,
                root.place.clone(),
                FieldPath::default(),
                format!("this cannot be read as {noun}: {error}"),
                "compare it with the documentation",
            )),
        }
    }
    Err(JobError::Invalid(Problems::new(origin, text, problems)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::units::Span;

    #[derive(Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
    struct Settings {
        /// Where.
        listen: Option<String>,
        /// How many.
        max_jobs: Option<u32>,
        /// How long.
        patience: Option<Span>,
    }

    fn read(text: &str) -> Result<Settings, String> {
        parse(text, "serve.yaml", "the settings").map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read_with_their_units_and_what_is_not_said_is_not_there() {
        let settings = read("listen: 0.0.0.0:7070\npatience: 2m\n").unwrap();
        assert_eq!(settings.listen.as_deref(), Some("0.0.0.0:7070"));
        assert_eq!(settings.patience, Some("2m".parse().unwrap()));
        assert_eq!(settings.max_jobs, None);
        assert_eq!(read("# nothing yet\n").unwrap(), Settings::default());
    }

    #[test]
    fn an_unknown_name_is_refused_with_its_line_and_the_nearest_there_is() {
        let error = read("listen: here\nmax_job: 3\n").unwrap_err();
        assert!(
            error.starts_with("serve.yaml:2:1: max_job: `max_job` is not a field of the settings"),
            "{error}"
        );
        assert!(error.contains("did you mean `max-jobs`?"), "{error}");
    }
}
