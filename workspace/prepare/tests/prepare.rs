//! Logs of every form become the dataset they should, and the same one each time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use common::{HEADER, Place, bytes, log_lines, names, users};
use parquet::arrow::ArrowWriter;
use twinspire_dataset::{Dataset, FeatureColumn};
use twinspire_job::ByteSize;
use twinspire_prepare::prepare;

const CSV_JOB: &str = "
log:
  uri: $/events*.csv
  columns: {action: action, duration: duration}
  actions: {click: {}, save: {weight: 2.0}, hide: {positive: false}}
";

fn csv(lines: &[String]) -> String {
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

/// What the timelines must be, by the plainest means.
fn expected(lines: &[String]) -> BTreeMap<String, Vec<(i64, String, String)>> {
    let mut users: BTreeMap<String, Vec<(i64, String, String)>> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let time = fields[3].parse::<i64>().unwrap() * 1000;
        users.entry(fields[0].into()).or_default().push((time, fields[1].into(), fields[2].into()));
    }
    users
}

#[tokio::test]
async fn a_log_in_any_order_becomes_timelines_split_leave_one_out() {
    let place = Place::new();
    let mut lines = log_lines(3000);
    lines.reverse();
    place.file("events.csv", csv(&lines));
    let prepared = place.prepare(CSV_JOB, &[]).await.unwrap();
    let users = users(&prepared).await;
    let mut dropped = 0;
    for (id, mut rows) in expected(&lines) {
        let user = &users[&id];
        rows.sort_by_key(|row| row.0);
        let positives: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].2 != "hide").collect();
        assert!(user.timestamps.is_sorted());
        assert!(positives.len() >= 3, "the log is dense enough");
        // Rows of the same time may change places; times and parts may not.
        dropped += rows.len() - user.items.len();
        assert_eq!(user.timestamps, rows.iter().map(|row| row.0).take(user.items.len()).collect::<Vec<_>>());
        let mut ours: Vec<_> = (0..user.items.len())
            .map(|i| (user.timestamps[i], user.items[i].clone(), user.actions[i].clone()))
            .collect();
        ours.sort();
        let last = user.timestamps.last().copied().unwrap();
        assert!(ours.iter().filter(|row| row.0 < last).all(|row| rows.contains(row)));
        // The test target is the last action that is kept, the validation target the positive before.
        assert_eq!(user.validation_end, user.items.len() - 1);
        let held: Vec<usize> = (0..user.items.len()).filter(|i| user.actions[*i] != "hide").collect();
        assert_eq!(held[held.len() - 1], user.validation_end);
        assert_eq!(held[held.len() - 2], user.train_end);
    }
    let manifest = &prepared.manifest;
    assert_eq!(manifest.users, 97);
    assert_eq!(manifest.rows_read, 3000);
    assert_eq!(manifest.counts.total + dropped as u64, 3000);
    assert_eq!(manifest.dropped.iter().map(|dropped| dropped.rows).sum::<u64>(), dropped as u64);
    assert_eq!(manifest.counts.test, 97);
    let actions: Vec<_> = manifest.actions.iter().map(|a| (a.name.as_str(), a.positive, a.weight)).collect();
    assert_eq!(actions, [("click", true, 1.0), ("hide", false, 1.0), ("save", true, 2.0)]);
}

#[tokio::test]
async fn items_are_numbered_by_how_often_they_are_trained_on() {
    let place = Place::new();
    let lines = log_lines(2000);
    place.file("events.csv", csv(&lines));
    let prepared = place.prepare(CSV_JOB, &[]).await.unwrap();
    let mut counts: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for user in users(&prepared).await.values() {
        for (place, item) in user.items.iter().enumerate() {
            let count = counts.entry(item.clone()).or_default();
            if place < user.train_end {
                count.0 += 1;
                count.1 += i64::from(user.actions[place] != "hide");
            }
        }
    }
    let items = Dataset::open(prepared.location.clone()).await.unwrap().items().await.unwrap();
    let mut expected: Vec<(String, (i64, i64))> = counts.into_iter().collect();
    expected.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    let found: Vec<_> =
        (0..items.len()).map(|i| (items.ids[i].clone(), (items.counts[i], items.positives[i]))).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_bytes_do_not_depend_on_the_order_of_rows_the_files_the_threads_or_the_memory() {
    let lines = log_lines(20_000);
    let all = |lines: &[String], files: usize, threads: u32, memory: u64| {
        let place = Place::new();
        for (number, lines) in lines.chunks(lines.len().div_ceil(files)).enumerate() {
            place.file(&format!("events-{number}.csv"), csv(lines));
        }
        let mut job = place.job(CSV_JOB, &[]);
        (job.prepare.threads, job.prepare.memory) = (threads, ByteSize(memory));
        async move {
            let mut bytes = bytes(&prepare(&job, &place.runs(), |_| ()).await.unwrap());
            // It names the fingerprint, which is of the files.
            bytes.remove("manifest.json");
            bytes
        }
    };
    let one = all(&lines, 1, 1, 1 << 30).await;
    assert!(one.len() >= 3 && one["timelines-00000.parquet"].len() > 10_000);
    let mut turned = lines.clone();
    turned.reverse();
    turned.rotate_left(7777);
    assert!(all(&turned, 1, 4, 1 << 30).await == one, "order of rows");
    assert!(all(&turned, 5, 4, 1 << 30).await == one, "files and threads");
    assert!(all(&lines, 3, 2, 100_000).await == one, "spilled");
}

#[tokio::test]
async fn an_unchanged_log_is_not_prepared_twice_and_a_changed_one_is() {
    let place = Place::new();
    place.file("events.csv", csv(&log_lines(500)));
    let first = place.prepare(CSV_JOB, &[]).await.unwrap();
    let again = place.prepare(CSV_JOB, &["prepare.threads=1", "prepare.memory=1GB"]).await.unwrap();
    assert!(!first.reused && again.reused);
    assert_eq!(first.manifest, again.manifest);
    place.file("events.csv", csv(&log_lines(501)));
    let changed = place.prepare(CSV_JOB, &[]).await.unwrap();
    assert!(!changed.reused && changed.location.uri() != first.location.uri());
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_and_never_taken_for_a_dataset() {
    let place = Place::new();
    place.file("events.csv", csv(&log_lines(500)));
    let whole = place.prepare(CSV_JOB, &[]).await.unwrap();
    let dir = whole.location.local_path().unwrap();
    std::fs::remove_file(dir.join("manifest.json")).unwrap();
    std::fs::write(dir.join("left-over"), "x").unwrap();
    let dead = place.path("runs/datasets/.abc-1-1.partial");
    std::fs::create_dir_all(dead.join("spill")).unwrap();
    std::fs::write(dead.join("lock"), "").unwrap();
    let again = place.prepare(CSV_JOB, &[]).await.unwrap();
    assert!(!again.reused);
    assert_eq!(place.left(), std::slice::from_ref(&again.manifest.fingerprint));
    assert!(!names(&dir).contains(&"left-over".to_owned()));
}

#[tokio::test]
async fn formats_compressions_and_types_of_one_log_give_one_dataset() {
    let lines = log_lines(400);
    let place = Place::new();
    let fields: Vec<Vec<&str>> = lines.iter().map(|line| line.split(',').collect()).collect();
    // Ids as integers in Parquet, as text elsewhere; times of every kind.
    let number = |text: &str| text[1..].parse::<i64>().unwrap();
    let plain: Vec<String> = fields
        .iter()
        .map(|f| format!("{},{},{},{},{}", number(f[0]), number(f[1]), f[2], f[3], f[4]))
        .collect();
    place.file("a.csv", csv(&plain));
    place.file("b.tsv", csv(&plain).replace(',', "\t"));
    let json: String = fields
        .iter()
        .map(|f| {
            format!(
                "{{\"timestamp\": {}000, \"user_id\": {}, \"item_id\": \"{}\", \"action\": \"{}\", \"x\": [1]}}\n",
                f[3],
                number(f[0]),
                number(f[1]),
                f[2]
            )
        })
        .collect();
    let mut gz = flate(json.as_bytes());
    place.file("c.jsonl.gz", &mut gz);
    let batch = RecordBatch::try_from_iter([
        ("user_id", Arc::new(fields.iter().map(|f| Some(number(f[0]))).collect::<Int64Array>()) as ArrayRef),
        ("item_id", Arc::new(fields.iter().map(|f| Some(number(f[1]) as i32)).collect::<Int32Array>()) as _),
        ("action", Arc::new(fields.iter().map(|f| Some(f[2])).collect::<StringArray>()) as _),
        (
            "timestamp",
            Arc::new(
                fields
                    .iter()
                    .map(|f| f[3].parse::<i64>().ok().map(|s| s * 1_000_000))
                    .collect::<TimestampMicrosecondArray>(),
            ) as _,
        ),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(place.path("d.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let iso: Vec<String> = fields
        .iter()
        .map(|f| {
            let at = arrow::temporal_conversions::timestamp_s_to_datetime(f[3].parse().unwrap()).unwrap();
            format!("{},{},{},{}Z,{}", number(f[0]), number(f[1]), f[2], at.format("%Y-%m-%dT%H:%M:%S"), f[4])
        })
        .collect();
    place.file("e.csv", csv(&iso));

    let mut all = Vec::new();
    for name in ["a.csv", "b.tsv", "c.jsonl.gz", "d.parquet", "e.csv"] {
        let job = "
log: {uri: $/FILE, columns: {action: action}}
"
        .replace("FILE", name);
        all.push((name, users(&place.prepare(&job, &[]).await.unwrap()).await));
    }
    for (name, users) in &all[1..] {
        assert_eq!(users, &all[0].1, "{name}");
    }
}

fn flate(bytes: &[u8]) -> Vec<u8> {
    // A gzip stream of stored blocks: no compressor is needed to make one.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        out.extend((block.len() as u16).to_le_bytes());
        out.extend((!(block.len() as u16)).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

#[tokio::test]
async fn filter_minimums_and_bad_rows_are_accounted_for() {
    let place = Place::new();
    let mut lines = log_lines(2000);
    lines[10] = ",i1,click,1700000000,1".into();
    lines[20] = "u1,,click,1700000000,1".into();
    lines[30] = "u1,i1,dance,1700000000,1".into();
    lines[40] = "u1,i1,click,long ago,1".into();
    lines[50] = "u1,i1,click,1700000000,-1".into();
    lines[60] = "u1,i1".into();
    lines[70] = "u1,i1,click,0,1".into();
    place.file("events.csv", csv(&lines));
    let set =
        ["log.max_bad_rows=0.01", "log.filter=duration IS NULL OR duration <> 3", "log.min_item_actions=15"];
    let prepared = place.prepare(CSV_JOB, &set).await.unwrap();
    let manifest = &prepared.manifest;
    let rejected: BTreeMap<_, _> = manifest.rejected.iter().map(|r| (r.cause.as_str(), r.count)).collect();
    let causes = [
        "bad_duration",
        "bad_timestamp",
        "null_item",
        "null_user",
        "timestamp_out_of_range",
        "undeclared_action",
        "unreadable_row",
    ];
    assert_eq!(rejected, causes.iter().map(|cause| (*cause, 1)).collect());
    let dropped: u64 = manifest.dropped.iter().map(|dropped| dropped.rows).sum();
    assert_eq!(manifest.rows_read, 2000);
    assert_eq!(manifest.counts.total + dropped + 7, 2000);
    let filtered = manifest.dropped.iter().find(|dropped| dropped.reason.contains("filter")).unwrap().rows;
    assert_eq!(filtered as usize, lines.iter().filter(|line| line.ends_with(",3")).count());

    let rejects = prepared.location.get("rejects.jsonl").await.unwrap();
    let rejects: Vec<serde_json::Value> = rejects
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(rejects.len(), 7);
    let row = |cause: &str| rejects.iter().find(|r| r["cause"] == cause).unwrap()["row"].clone();
    assert_eq!((row("null_user"), row("unreadable_row")), (11.into(), 61.into()));
    for user in users(&prepared).await.values() {
        assert!(!user.items.is_empty());
    }
}

#[tokio::test]
async fn a_split_by_time_cuts_every_user_at_the_same_moments() {
    let place = Place::new();
    place.file("events.csv", csv(&log_lines(3000)));
    let job = format!(
        "{CSV_JOB}split: {{kind: by_time, validation: '2023-11-14T23:10:00Z', test: '2023-11-15T00:00:00Z'}}\n"
    );
    let prepared = place.prepare(&job, &[]).await.unwrap();
    let (validation, test) = (1_700_003_400_000, 1_700_006_400_000);
    for user in users(&prepared).await.values() {
        let before = |moment| user.timestamps.iter().filter(|time| **time < moment).count();
        assert_eq!((user.train_end, user.validation_end), (before(validation), before(test)));
    }
    assert!(prepared.manifest.counts.validation > 0 && prepared.manifest.counts.test > 0);
}

#[tokio::test]
async fn a_log_without_time_or_order_is_the_same_on_every_run() {
    let lines: Vec<String> =
        log_lines(500).iter().map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect();
    let mut runs = Vec::new();
    for turn in [0, 111] {
        let place = Place::new();
        let mut lines = lines.clone();
        lines.rotate_left(turn);
        place.file("events.csv", format!("user_id,item_id\n{}\n", lines.join("\n")));
        place.file(
            "test.csv",
            "user_id,item_id
u1,i1
u2,i2
",
        );
        let job = "
log: {uri: $/events.csv, columns: {timestamp: null}}
split: {kind: files, test: $/test.csv}
";
        let prepared = place.prepare(job, &[]).await.unwrap();
        assert!(!prepared.manifest.has_time);
        runs.push(users(&prepared).await);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn the_catalogue_becomes_tokens_and_vectors_by_item_index() {
    let place = Place::new();
    place.file("events.csv", csv(&log_lines(500)));
    let mut catalogue = File::create(place.path("items.jsonl")).unwrap();
    for item in 1..60 {
        let vectors = if item % 3 == 0 { "null".into() } else { format!("[[{item}, 0.5], [1, 2]]") };
        let line = format!(
            "{{\"item_id\": {item_id:?}, \"title\": \"Blue item {item}\", \"tags\": [\"t{tag}\", \"all\"], \"look\": {vectors}, \"place\": [{item}, 1, 0]}}",
            item_id = format!("i{item}"),
            tag = item % 4,
        );
        writeln!(catalogue, "{line}").unwrap();
        if item == 5 {
            writeln!(catalogue, "{line}").unwrap();
        }
    }
    drop(catalogue);
    let job = format!(
        "{CSV_JOB}
catalogue:
  uri: $/items.jsonl
  features:
    - {{name: title, type: text}}
    - {{name: tags, type: categorical, vocabulary: 3}}
    - {{name: look, type: vectors, dim: 2, max: 1}}
    - {{name: place, type: vector, dim: 3}}
"
    );
    let prepared = place.prepare(&job, &[]).await.unwrap();
    assert!(
        prepared.warnings.iter().any(|w| w.contains("`i0`") || w.contains("no row")),
        "{:?}",
        prepared.warnings
    );
    let again = place.prepare(&job, &[]).await.unwrap();
    assert_eq!((again.reused, &again.warnings), (true, &prepared.warnings));
    let dataset = Dataset::open(prepared.location.clone()).await.unwrap();
    dataset.verify().await.unwrap();
    let items = dataset.items().await.unwrap();
    let index = |id: &str| items.ids.iter().position(|other| other == id).unwrap();
    for feature in &items.features {
        match feature {
            FeatureColumn::Tokens { name, offsets, ids, vocabulary } => {
                let of = |id: &str| &ids[offsets[index(id)] as usize..offsets[index(id) + 1] as usize];
                assert!(of("i0").is_empty(), "it is not in the catalogue");
                if name == "tags" {
                    assert_eq!(*vocabulary, 3);
                    assert_eq!(of("i4").last(), Some(&0), "`all` is the most frequent");
                } else {
                    // 3 words, 2 pairs, and the pieces of "blue item 4".
                    assert_eq!(of("i4").len(), 3 + 2 + 9);
                    assert_eq!(of("i4")[..2], of("i7")[..2]);
                }
            }
            FeatureColumn::Vectors { name, offsets, values, dim, .. } => {
                let of = |id: &str| {
                    let (from, to) = (offsets[index(id)] as usize, offsets[index(id) + 1] as usize);
                    values[from * dim..to * dim].to_vec()
                };
                match name.as_str() {
                    "look" => assert_eq!((of("i4"), of("i6")), (vec![4.0, 0.5], vec![])),
                    _ => assert_eq!(of("i4"), [4.0, 1.0, 0.0]),
                }
            }
        }
    }

    let all = job.replace("uri: $/items.jsonl", "uri: $/items.jsonl\n  items: all");
    let prepared = place.prepare(&all, &[]).await.unwrap();
    let items = Dataset::open(prepared.location.clone()).await.unwrap().items().await.unwrap();
    assert_eq!(items.len(), 60);
    assert!(items.ids[59].starts_with('i') && items.counts[59] == 0);
}
