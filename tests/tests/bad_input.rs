//! Bad job files and bad logs, as a person meets them: exit code 2, an error that says what is wrong
//! where, and nothing left that looks like a dataset.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs::File, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Builder, ListBuilder, TimestampMillisecondArray},
    datatypes::DataType,
};
use twinspire_tests::{Place, one_at_a_time, parquet, texts};

/// What was done wrong, and what must be said about it.
struct Case {
    name: &'static str,
    /// Writes the log (and catalogue).
    make: fn(&Place),
    /// The job, in YAML, after its name.
    job: &'static str,
    /// The code, the file, the column, the row, the remedy …
    says: &'static [&'static str],
}

const CSV: &str = "log: {uri: log.csv}";
const PARQUET: &str = "log: {uri: log.parquet}";
const ACTIONS: &str = "log: {uri: log.csv, columns: {action: action}, actions: {click: {}, save: {}}}";
const VECTORS: &str = "log: {uri: log.csv}
catalogue: {uri: items.parquet, features: [{name: image, type: vector, dim: 2}]}";
const TITLES: &str = "log: {uri: log.csv}
catalogue: {uri: items.csv, features: [{name: title, type: text}]}";

/// A good log of 20 users and 10 items, as CSV; `spoil` may change a row.
fn rows(spoil: impl Fn(usize, String) -> String) -> String {
    let rows = (0..200).map(|i| {
        let (user, item, second) = (i % 20, (i * 7 + i / 20) % 10, 1_700_000_000 + i);
        spoil(i, format!("u{user},i{item},{second},click"))
    });
    let header = "user_id,item_id,timestamp,action".to_owned();
    std::iter::once(header).chain(rows).collect::<Vec<_>>().join("\n") + "\n"
}

fn good(place: &Place) {
    place.write("log.csv", rows(|_, row| row));
}

fn ids(prefix: &str, count: usize) -> ArrayRef {
    texts((0..count).map(|i| format!("{prefix}{i}")))
}

/// A catalogue of ten items with vectors of two numbers.
fn items_with_image(place: &Place, first: &[f32]) {
    let mut images = ListBuilder::new(Float32Builder::new());
    for item in 0..10 {
        images.values().append_slice(if item == 3 { first } else { &[0.5, 1.5] });
        images.append(true);
    }
    let images: ArrayRef = Arc::new(images.finish());
    parquet(&place.path("items.parquet"), vec![("item_id", ids("i", 10)), ("image", images)]);
}

const LOGS: &[Case] = &[
    Case {
        name: "an empty file",
        make: |place| place.write("log.csv", ""),
        job: CSV,
        says: &["TW2004", "log.csv"],
    },
    Case {
        name: "a header and no rows",
        make: |place| place.write("log.csv", "user_id,item_id,timestamp\n"),
        job: CSV,
        says: &["TW2010"],
    },
    Case {
        name: "a truncated Parquet file",
        make: |place| {
            let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(0..1000));
            let columns =
                vec![("user_id", ids("u", 1000)), ("item_id", ids("i", 1000)), ("timestamp", times)];
            parquet(&place.path("log.parquet"), columns);
            let file = File::options().write(true).open(place.path("log.parquet")).expect("a file");
            file.set_len(file.metadata().expect("a file").len() / 2).expect("a shorter file");
        },
        job: PARQUET,
        says: &["TW2005", "log.parquet"],
    },
    Case {
        name: "CSV under the name of Parquet",
        make: |place| place.write("log.parquet", rows(|_, row| row)),
        job: PARQUET,
        says: &["TW2005", "log.parquet"],
    },
    Case {
        name: "columns of the wrong type",
        make: |place| {
            let nothing: ArrayRef = arrow::array::new_empty_array(&DataType::Boolean);
            let columns = vec![("user_id", ids("u", 0)), ("item_id", ids("i", 0)), ("timestamp", nothing)];
            parquet(&place.path("log.parquet"), columns);
        },
        job: PARQUET,
        says: &["TW2007", "log.parquet", "timestamp"],
    },
    Case {
        name: "a missing column",
        make: |place| place.write("log.csv", "user,item_id,timestamp\n1,2,3\n"),
        job: CSV,
        says: &["TW2006", "log.csv", "user_id", "`user`"],
    },
    Case {
        name: "a NaN in a vector",
        make: |place| {
            good(place);
            items_with_image(place, &[0.5, f32::NAN]);
        },
        job: VECTORS,
        says: &["TW2017", "items.parquet", "i3", "image"],
    },
    Case {
        name: "a vector of another length",
        make: |place| {
            good(place);
            items_with_image(place, &[0.5, 1.5, 2.5]);
        },
        job: VECTORS,
        says: &["TW2017", "items.parquet", "i3", "image"],
    },
    Case {
        name: "two rows of one item that contradict each other",
        make: |place| {
            good(place);
            place.write("items.csv", "item_id,title\ni1,a red lamp\ni2,a chair\ni1,a blue lamp\n");
        },
        job: TITLES,
        says: &["TW2018", "i1", "title"],
    },
    Case {
        name: "a single user",
        make: |place| {
            place.write(
                "log.csv",
                "user_id,item_id,timestamp\n1,1,1700000000\n1,2,1700000001\n1,3,1700000002\n",
            );
        },
        job: CSV,
        says: &["TW2014", "1 users"],
    },
    Case {
        name: "an action nobody declared",
        make: |place| {
            place.write("log.csv", rows(|i, row| if i == 7 { row.replace("click", "purchase") } else { row }))
        },
        job: ACTIONS,
        says: &["TW2011", "purchase", "log.csv\"", "\"row\":8"],
    },
    Case {
        name: "text where a time should be",
        make: |place| {
            place.write("log.csv", rows(|i, row| if i == 7 { row.replace(",17", ",x17") } else { row }))
        },
        job: CSV,
        says: &["TW2011", "timestamp", "log.csv"],
    },
    Case {
        name: "timestamps in another unit than the job says",
        make: good,
        job: "log: {uri: log.csv, timestamp_unit: us}",
        says: &["TW2009", "timestamp"],
    },
    Case {
        name: "no file of that name",
        make: good,
        job: "log: {uri: logs.csv}",
        says: &["TW2001", "logs.csv", "log.csv"],
    },
    Case {
        name: "a file in a file",
        make: good,
        job: "log: {uri: log.csv/part-0.csv}",
        says: &["TW2001", "log.csv/part-0.csv", "there is no directory"],
    },
    Case {
        name: "a pattern that matches nothing",
        make: good,
        job: "log: {uri: '*.parquet'}",
        says: &["TW2001", "*.parquet"],
    },
    Case {
        name: "a filter that leaves nothing",
        make: good,
        job: "log: {uri: log.csv, filter: \"action = 'save'\"}",
        says: &["TW2010", "filter"],
    },
    Case {
        name: "a filter that is no SQL",
        make: good,
        job: "log: {uri: log.csv, filter: 'action = = 1'}",
        says: &["TW2008", "action = = 1"],
    },
    Case {
        name: "a filter over a column that is not there",
        make: good,
        job: "log: {uri: log.csv, filter: 'rating > 3'}",
        says: &["TW2008", "rating"],
    },
    Case {
        name: "a line of a hundred megabytes",
        make: |place| {
            let damage = "x".repeat(100 << 20);
            place.write("log.csv", rows(|i, row| if i == 5 { format!("{row}{damage}") } else { row }));
        },
        job: CSV,
        says: &["TW2012", "log.csv row"],
    },
];

#[test]
fn a_bad_log_is_an_error_with_its_place_and_leaves_nothing_behind() {
    let _alone = one_at_a_time();
    let mut wrong = Vec::new();
    for Case { name, make, job, says } in LOGS {
        let place = Place::new();
        make(&place);
        place.write("job.yaml", format!("name: bad\ndevice: cpu\n{job}\n"));
        for verb in ["local", "prepare"] {
            let ended = place.run(&[verb, "job.yaml"]);
            let left = [place.files("runs/datasets"), place.files("runs/bad/checkpoints")].concat();
            let mut problems: Vec<String> = says
                .iter()
                .filter(|says| !ended.stderr.contains(**says))
                .map(|says| format!("`{says}` is not said"))
                .collect();
            if ended.exit() != Some(2) {
                problems.push(format!("exit code {:?}", ended.exit()));
            }
            if ended.stderr.contains(".log:") {
                problems.push("a worker's log is shown, for a mistake in the data".into());
            }
            if !left.is_empty() {
                problems.push(format!("left {left:?}"));
            }
            if !problems.is_empty() {
                wrong.push(format!("{verb}, {name}: {}:\n{}", problems.join(", "), ended.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Job files, and what is said about each.
const JOBS: &[(&str, &[&str])] = &[
    ("", &["TW1002"]),
    ("name: [", &["TW1002"]),
    ("name: x\nlog: {uri: log.csv}\nlanse: 4\n", &["TW1003", "job.yaml:3", "lanse", "lanes"]),
    ("name: x\n", &["TW1004", "log"]),
    ("name: x\nlog: {uri: log.csv}\nlanes: many\n", &["TW1005", "job.yaml:3", "lanes"]),
    ("name: x\nlog: {uri: log.csv}\ndevice: tpu\n", &["TW1006", "job.yaml:3", "device", "cuda"]),
    ("name: x\nlog: {uri: log.csv}\nprepare: {memory: 2 GX}\n", &["TW1007", "job.yaml:3", "prepare.memory"]),
    ("name: x\nlog: {uri: log.csv}\nlanes: 0\n", &["TW1008", "job.yaml:3", "lanes"]),
    ("name: x\nlog: {uri: log.csv}\nlanes: 4\nlanes: 4\n", &["TW1009", "job.yaml:4", "lanes"]),
    (
        "name: x\nlog: {uri: log.csv}\nlanes: 4\ntrain: {global_batch: 7}\n",
        &["TW1010", "job.yaml:4", "global_batch"],
    ),
    ("name: No Name\nlog: {uri: log.csv}\n", &["TW1014", "job.yaml:1", "name"]),
    // All of it at once.
    (
        "name: x\nlog: {uri: log.csv}\nlanes: 0\ndevice: tpu\n",
        &["TW1008", "TW1006", "job.yaml:3", "job.yaml:4"],
    ),
];

#[test]
fn a_bad_job_file_is_an_error_with_line_and_field_and_starts_nothing() {
    for (job, says) in JOBS {
        let place = Place::new();
        good(&place);
        place.write("job.yaml", job);
        for verb in ["local", "prepare", "validate"] {
            let ended = place.run(&[verb, "job.yaml"]).expect_exit(2);
            for says in *says {
                assert!(
                    ended.stderr.contains(says),
                    "{verb} of {job:?}: `{says}` is not in:\n{}",
                    ended.stderr
                );
            }
            assert!(!place.path("runs").exists(), "{verb} of {job:?} left {:?}", place.files("runs"));
        }
    }
}

#[test]
fn a_mended_job_file_runs_without_more_ado() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let short = ["local", "ids.yaml", "--set", "train.steps=5"];
    let wrong = [&short[..], &["--set", "log.uri=logs/*.parquet"]].concat();
    let ended = place.run(&wrong).expect_exit(2);
    assert!(ended.stderr.contains("TW2001"), "{}", ended.stderr);
    place.run(&short).expect_exit(0);
}
