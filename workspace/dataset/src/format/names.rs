//! Names of files and columns.

/// The manifest: written last, so a directory with one is whole.
pub const MANIFEST: &str = "manifest.json";
/// The items, row i being item index i.
pub const ITEMS: &str = "items.parquet";
/// Rows of the log that were left out, with the reason; one JSON object a line.
pub const REJECTS: &str = "rejects.jsonl";

/// Name of the n-th file of timelines: `timelines-00000.parquet`, …
pub fn timelines_file(number: usize) -> String {
    format!("timelines-{number:05}.parquet")
}

/// Name of the file with the tokens of a text or categorical feature.
pub fn vocabulary_file(feature: &str) -> String {
    format!("vocabulary-{feature}.parquet")
}

/// Columns of a timelines file. See [`crate::format::timelines_schema`].
pub mod timelines {
    /// `Utf8`: the user's id, as in the log.
    pub const USER_ID: &str = "user_id";
    /// `List<Int32>`: the item index of each action, in time order.
    pub const ITEMS: &str = "items";
    /// `List<UInt8>`: each action's kind, an index into the manifest's `actions`.
    pub const ACTIONS: &str = "actions";
    /// `List<Int64>`: milliseconds since 1970; no such column when the log has no time.
    pub const TIMESTAMPS: &str = "timestamps";
    /// `List<UInt8>`: an index into the manifest's `surfaces`; no such column when it has none.
    pub const SURFACES: &str = "surfaces";
    /// `List<Float32>`: seconds; no such column when the log has no durations.
    pub const DURATIONS: &str = "durations";
    /// `Int32`: actions before this index are trained on.
    pub const TRAIN_END: &str = "train_end";
    /// `Int32`: actions from `train_end` up to this index validate, those from it on test.
    pub const VALIDATION_END: &str = "validation_end";
}

/// Columns of the items file that are not features. See [`crate::format::items_schema`].
pub mod items {
    /// `Utf8`: the item's id, as in the log.
    pub const ITEM_ID: &str = "item_id";
    /// `Int64`: the item's rows in the training part.
    pub const COUNT: &str = "count";
    /// `Int64`: those of them with a positive action.
    pub const POSITIVES: &str = "positives";
}

/// Columns of a vocabulary file. See [`crate::format::vocabulary_schema`].
pub mod vocabulary {
    /// `Utf8`: the token.
    pub const TOKEN: &str = "token";
    /// `Int32`: its id, 0 up to the vocabulary's size.
    pub const ID: &str = "id";
    /// `Int64`: items that have it.
    pub const COUNT: &str = "count";
}
