//! The reference page, `docs/job-file.md`.

/// The page, as Markdown.
pub fn reference() -> String {
    String::new()
}
