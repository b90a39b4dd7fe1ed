//! Every mistake is a typed error with its place and a remedy, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use common::{HEADER, Place, log_lines};
use parquet::arrow::ArrowWriter;

const LOG: &str = "log: {uri: $/events.csv, columns: {action: action, duration: duration}}";

fn good(place: &Place) {
    place.file("events.csv", format!("{HEADER}\n{}\n", log_lines(300).join("\n")));
}

fn parquet(place: &Place, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(place.path(name)).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// One mistake: how it is made, the job, overrides, the code, and what the message must say.
struct Case {
    name: &'static str,
    make: fn(&Place),
    job: &'static str,
    set: &'static [&'static str],
    code: &'static str,
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "no such file",
        make: good,
        job: "log: {uri: $/event.csv}",
        set: &[],
        code: "TW2001",
        says: &["log.uri", "did you mean `events.csv`"],
    },
    Case {
        name: "a pattern that matches nothing",
        make: good,
        job: "log: {uri: '$/*.parquet'}",
        set: &[],
        code: "TW2001",
        says: &["none of the 1 files"],
    },
    Case {
        name: "a name that says no format",
        make: |place| {
            place.file("events.txt", "x");
        },
        job: "log: {uri: $/events.txt}",
        set: &[],
        code: "TW2002",
        says: &["log.format"],
    },
    Case {
        name: "a directory of mixed formats",
        make: |place| {
            std::fs::create_dir(place.path("log")).unwrap();
            place.file("log/a.csv", "x");
            place.file("log/b.jsonl", "x");
        },
        job: "log: {uri: $/log}",
        set: &[],
        code: "TW2003",
        says: &["a.csv (CSV)", "b.jsonl (JSON lines)"],
    },
    Case {
        name: "an empty CSV file",
        make: |place| {
            place.file("events.csv", "");
        },
        job: LOG,
        set: &[],
        code: "TW2004",
        says: &["events.csv"],
    },
    Case {
        name: "an empty Parquet file",
        make: |place| {
            place.file("events.parquet", "");
        },
        job: "log: {uri: $/events.parquet}",
        set: &[],
        code: "TW2004",
        says: &["events.parquet"],
    },
    Case {
        name: "a truncated Parquet file",
        make: |place| {
            let ids: ArrayRef = Arc::new(StringArray::from(vec!["a"; 1000]));
            parquet(place, "events.parquet", vec![("user_id", ids)]);
            let file = File::options().write(true).open(place.path("events.parquet")).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        },
        job: "log: {uri: $/events.parquet}",
        set: &[],
        code: "TW2005",
        says: &["events.parquet", "Parquet"],
    },
    Case {
        name: "a file that is no gzip",
        make: |place| {
            place.file("events.csv.gz", "this is not gzip");
        },
        job: "log: {uri: $/events.csv.gz}",
        set: &[],
        code: "TW2005",
        says: &["events.csv.gz"],
    },
    Case {
        name: "a JSON array",
        make: |place| {
            place.file("events.json", "[\n{\"user_id\": 1}\n]\n");
        },
        job: "log: {uri: $/events.json}",
        set: &[],
        code: "TW2005",
        says: &["JSON array", "one object a line"],
    },
    Case {
        name: "a missing column",
        make: good,
        job: "log: {uri: $/events.csv, columns: {user: userid}}",
        set: &[],
        code: "TW2006",
        says: &["log.columns.user", "did you mean `user_id`", "`item_id`"],
    },
    Case {
        name: "a column of the wrong type",
        make: |place| {
            let yes: ArrayRef = Arc::new(BooleanArray::from(vec![true; 3]));
            let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
            let columns = vec![("user_id", ids.clone()), ("item_id", ids), ("timestamp", yes)];
            parquet(place, "events.parquet", columns);
        },
        job: "log: {uri: $/events.parquet}",
        set: &[],
        code: "TW2007",
        says: &["log.columns.timestamp", "Boolean"],
    },
    Case {
        name: "a filter that is no SQL",
        make: good,
        job: LOG,
        set: &["log.filter=duration >"],
        code: "TW2008",
        says: &["duration >", "`duration`"],
    },
    Case {
        name: "a filter over a column that is not there",
        make: good,
        job: LOG,
        set: &["log.filter=rating > 3"],
        code: "TW2008",
        says: &["rating", "`duration`"],
    },
    Case {
        name: "a filter that is no condition",
        make: good,
        job: LOG,
        set: &["log.filter=duration + 1"],
        code: "TW2008",
        says: &["not true or false"],
    },
    Case {
        name: "timestamps in the wrong unit",
        make: good,
        job: LOG,
        set: &["log.timestamp_unit=ms"],
        code: "TW2009",
        says: &["set log.timestamp_unit: s"],
    },
    Case {
        name: "timestamps in no unit",
        make: |place| {
            place.file("events.csv", "user_id,item_id,timestamp\n1,1,1\n1,2,2\n2,1,3\n2,2,4\n");
        },
        job: "log: {uri: $/events.csv}",
        set: &[],
        code: "TW2009",
        says: &["between 1990 and 2100", "log.columns.order"],
    },
    Case {
        name: "a log of a header",
        make: |place| {
            place.file("events.csv", format!("{HEADER}\n"));
        },
        job: LOG,
        set: &[],
        code: "TW2010",
        says: &["no rows"],
    },
    Case {
        name: "a filter that leaves nothing",
        make: good,
        job: LOG,
        set: &["log.filter=duration > 1000"],
        code: "TW2010",
        says: &["leaves none of 300"],
    },
    Case {
        name: "minimums that leave nothing",
        make: good,
        job: LOG,
        set: &["log.min_user_actions=1000"],
        code: "TW2010",
        says: &["log.min_user_actions = 1000"],
    },
    Case {
        name: "an action nobody declared",
        make: good,
        job: LOG,
        set: &["log.actions={click: {}, save: {}}"],
        code: "TW2011",
        says: &["undeclared_action", "hide", "log.max_bad_rows", "events.csv"],
    },
    Case {
        name: "a line of a gigabyte",
        make: |place| {
            let path = place.file("events.csv", format!("{HEADER}\nu1,i1,click,1700000000,1\n"));
            // Sparse: zeros without a line end.
            File::options().write(true).open(path).unwrap().set_len(1 << 30).unwrap();
        },
        job: LOG,
        set: &[],
        code: "TW2012",
        says: &["events.csv row 2", "67108864"],
    },
    Case {
        name: "a surface that is really an id",
        make: |place| {
            let rows: String = (0..600).map(|i| format!("{},{},s{i},{i}\n", i % 9, i % 7)).collect();
            place.file("events.csv", format!("user_id,item_id,where,n\n{rows}"));
        },
        job: "log: {uri: $/events.csv, columns: {timestamp: null, order: n, surface: where}}",
        set: &[],
        code: "TW2013",
        says: &["`where`", "256"],
    },
    Case {
        name: "one user only",
        make: |place| {
            place.file("events.csv", "user_id,item_id,n\n1,1,1\n1,2,2\n1,3,3\n1,4,4\n");
        },
        job: "log: {uri: $/events.csv, columns: {timestamp: null, order: n}}",
        set: &[],
        code: "TW2014",
        says: &["1 users"],
    },
    Case {
        name: "a split that leaves nothing to train on",
        make: good,
        job: "log: {uri: $/events.csv, columns: {action: action}}\nsplit: {kind: by_time, validation: 2001-01-01, test: 2002-01-01}",
        set: &[],
        code: "TW2016",
        says: &["no action to train on"],
    },
    Case {
        name: "given parts that overlap in time",
        make: |place| {
            good(place);
            place.file("test.csv", format!("{HEADER}\nu1,i1,click,1690000000,1\n"));
        },
        job: "log: {uri: $/events.csv}\nsplit: {kind: files, test: $/test.csv}",
        set: &[],
        code: "TW2016",
        says: &["1 users", "log.columns.timestamp to null"],
    },
    Case {
        name: "a vector with a NaN",
        make: |place| {
            good(place);
            let ids: ArrayRef = Arc::new(StringArray::from(vec!["i1", "i2"]));
            let numbers = [vec![Some(1.0f32), Some(2.0)], vec![Some(1.0), Some(f32::NAN)]];
            let vectors = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Float32Type, _, _>(
                numbers.into_iter().map(Some),
            );
            parquet(place, "items.parquet", vec![("item_id", ids), ("look", Arc::new(vectors))]);
        },
        job: "log: {uri: $/events.csv}\ncatalogue: {uri: $/items.parquet, features: [{name: look, type: vector, dim: 2}]}",
        set: &[],
        code: "TW2017",
        says: &["`i2`", "`look`", "number 1", "NaN"],
    },
    Case {
        name: "a vector of the wrong length",
        make: |place| {
            good(place);
            place.file("items.jsonl", "{\"item_id\": \"i1\", \"look\": [1, 2, 3]}\n");
        },
        job: "log: {uri: $/events.csv}\ncatalogue: {uri: $/items.jsonl, features: [{name: look, type: vector, dim: 2}]}",
        set: &[],
        code: "TW2017",
        says: &["`i1`", "3 numbers", "dim: 2"],
    },
    Case {
        name: "an item that is described twice, differently",
        make: |place| {
            good(place);
            place.file("items.csv", "item_id,title\ni1,red\ni2,blue\ni1,green\n");
        },
        job: "log: {uri: $/events.csv}\ncatalogue: {uri: $/items.csv, features: [{name: title, type: text}]}",
        set: &[],
        code: "TW2018",
        says: &["`i1`", "`title`"],
    },
    Case {
        name: "a vector feature that is text",
        make: |place| {
            good(place);
            place.file("items.csv", "item_id,title\ni1,red\n");
        },
        job: "log: {uri: $/events.csv}\ncatalogue: {uri: $/items.csv, features: [{name: title, type: vector, dim: 2}]}",
        set: &[],
        code: "TW2007",
        says: &["catalogue.features.title", "a list of numbers"],
    },
];

#[tokio::test]
async fn every_mistake_is_a_typed_error_that_leaves_nothing_behind() {
    for case in CASES {
        let place = Place::new();
        (case.make)(&place);
        let error = match place.prepare(case.job, case.set).await {
            Ok(prepared) => panic!("{}: it was prepared: {:?}", case.name, prepared.manifest),
            Err(error) => error,
        };
        assert_eq!(error.code(), case.code, "{}: {error}", case.name);
        assert!(error.is_user_mistake(), "{}", case.name);
        for says in case.says {
            assert!(error.to_string().contains(says), "{}: `{says}` is not in: {error}", case.name);
        }
        assert!(place.left().is_empty(), "{}: left {:?}", case.name, place.left());
    }
}

#[test]
fn every_code_has_a_case_or_cannot_be_a_users_mistake() {
    let covered: Vec<&str> = CASES.iter().map(|case| case.code).collect();
    // More than two billion items; a feature's name (the job file's check comes first); and what
    // is not the user's: this machine, servers, cancellation.
    let elsewhere = ["TW2015", "TW2019", "TW2020", "TW2021", "TW2022"];
    for (code, _) in twinspire_prepare::CODES {
        assert!(covered.contains(code) || elsewhere.contains(code), "{code} is not covered");
    }
}
