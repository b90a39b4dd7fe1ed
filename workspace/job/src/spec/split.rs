use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which engagements are held out for validation and test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SplitSpec {
    /// A user's last positive action is the test, the one before it the validation, the rest is
    /// trained on. Users with fewer than three are trained on only.
    #[default]
    LeaveOneOut,
    /// Actions before `validation` are trained on, those from it up to `test` validate, the rest
    /// test. ISO 8601 dates or times, UTC.
    ByTime {
        /// Start of the validation window.
        validation: String,
        /// Start of the test window.
        test: String,
    },
    /// `log.uri` is trained on; the held-out rows are in files of their own, in the same format.
    Files {
        /// Files of the validation rows.
        #[serde(default, deserialize_with = "crate::lists::one_or_many")]
        #[schemars(with = "crate::lists::OneOrMany")]
        validation: Vec<String>,
        /// Files of the test rows.
        #[serde(deserialize_with = "crate::lists::one_or_many")]
        #[schemars(with = "crate::lists::OneOrMany")]
        test: Vec<String>,
    },
}
