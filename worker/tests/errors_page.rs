//! docs/errors.md lists every error code of every crate.
//!
//! `UPDATE_DOCS=1 cargo test --workspace --test errors_page` writes the page anew.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Codes of one crate with what they mean.
type Codes = &'static [(&'static str, &'static str)];

/// Every crate's codes, by what they are about.
const SECTIONS: [(&str, &[Codes]); 5] = [
    ("Job files (TW1xxx)", &[twinspire_job::CODES]),
    (
        "Logs and datasets (TW2xxx)",
        &[twinspire_prepare::CODES, twinspire_dataset::CODES, twinspire_generate::CODES],
    ),
    (
        "Files, checkpoints and reports (TW3xxx)",
        &[twinspire_storage::CODES, twinspire_checkpoint::CODES, twinspire_report::CODES],
    ),
    ("Training (TW4xxx)", &[twinspire_towers::CODES, twinspire_collective::CODES]),
    (
        "Coordinator, workers and their store (TW5xxx)",
        &[
            twinspire_coordinator::CODES,
            twinspire_control::CODES,
            twinspire_processes::CODES,
            twinspire_worker::CODES,
            twinspire_store::CODES,
        ],
    ),
];

#[test]
fn the_errors_page_lists_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let page = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, page,
        "docs/errors.md is stale: UPDATE_DOCS=1 cargo test --workspace --test errors_page"
    );
}

#[test]
fn no_code_has_two_meanings() {
    let mut meanings: BTreeMap<&str, &str> = BTreeMap::new();
    for (code, meaning) in SECTIONS.iter().flat_map(|(_, crates)| crates.iter().copied().flatten()) {
        if let Some(other) = meanings.insert(code, meaning) {
            assert_eq!(other, *meaning, "{code}");
        }
    }
}

fn render() -> String {
    let mut page = String::from(
        "# Error codes\n\nEvery error names its code, what is wrong, where, and how to mend it. Codes do not change \
         their meaning.\nThis page is generated from the code.\n",
    );
    for (title, crates) in SECTIONS {
        let codes: BTreeMap<&str, &str> = crates.iter().copied().flatten().copied().collect();
        write!(page, "\n## {title}\n\n| code | meaning |\n|---|---|\n").unwrap();
        for (code, meaning) in codes {
            writeln!(page, "| {code} | {} |", meaning.trim_end_matches('.')).unwrap();
        }
    }
    page
}
