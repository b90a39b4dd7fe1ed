//! The committed reference page is the generated one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

#[test]
fn the_reference_page_is_what_the_types_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/job-file.md");
    let committed = fs::read_to_string(page).unwrap_or_default();
    let current = twinspire_job::reference();
    let differs = current.lines().zip(committed.lines()).find(|(new, old)| new != old);
    assert!(
        committed == current,
        "docs/job-file.md is out of date (first difference: {differs:?}): run \
         `cargo run -p twinspire-job --example reference > docs/job-file.md`"
    );
}
