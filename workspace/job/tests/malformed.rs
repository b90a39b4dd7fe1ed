//! Malformed job files: each mistake is found, at its place, with its code and a remedy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_job::{JobFile, Place, Problem};

/// A job to which a case adds its mistake, from line 4 on.
const BASE: &str = "name: demo\nlog: {uri: a.parquet}\ntowers: {item: {encoder: id, id_embedding: table}}\n";
/// The same without towers, for cases about those; from line 3 on.
const NO_TOWERS: &str = "name: demo\nlog: {uri: a.parquet}\n";

/// code, line, column, field path, part of the message after the path
type Expected = (&'static str, usize, usize, &'static str, &'static str);

fn problems(text: &str) -> Vec<Problem> {
    match JobFile::parse(text, "job.yaml", &[]) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

fn place(problem: &Problem) -> (usize, usize) {
    match problem.place {
        Place::File { line, column } => (line, column),
        ref other => panic!("{other:?}"),
    }
}

/// What is not as expected, if anything is.
fn mismatch(text: &str, expected: &[Expected]) -> Option<String> {
    let found = problems(text);
    let listing: Vec<String> = found.iter().map(|problem| format!("{problem:?}\n")).collect();
    let all_as_expected = found.len() == expected.len()
        && found.iter().zip(expected).all(|(problem, (code, line, column, path, message))| {
            let why = problem.why.as_deref().unwrap_or_default();
            let whole = format!("{}; {why}: {}", problem.what, problem.remedy);
            problem.code.as_str() == *code
                && place(problem) == (*line, *column)
                && problem.path.to_string() == *path
                && whole.contains(message)
        });
    (!all_as_expected).then(|| format!("{text}\nexpected {expected:?}\nfound    {}", listing.concat()))
}

#[track_caller]
fn assert_problems(text: &str, expected: &[Expected]) {
    if let Some(mismatch) = mismatch(text, expected) {
        panic!("\n{mismatch}");
    }
}

/// Each case is `before`, its own text, and the one problem that has.
#[track_caller]
fn assert_each(before: &str, cases: &[(&str, Expected)]) {
    let mismatches: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| mismatch(&format!("{before}{text}"), &[*expected]))
        .collect();
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
}

#[test]
fn the_bases_themselves_are_sound() {
    assert_problems(BASE, &[]);
    assert_problems(&format!("{NO_TOWERS}towers: {{item: {{encoder: id, id_embedding: hash}}}}\n"), &[]);
}

#[test]
fn what_is_not_yaml_is_told_with_its_place() {
    let cases: &[(&str, Expected)] = &[
        ("", ("TW1002", 1, 1, "", "the smallest job is")),
        ("# only a comment\n", ("TW1002", 1, 1, "", "the file is empty")),
        ("~\n", ("TW1002", 1, 1, "", "the file is empty")),
        ("name: a\n\tlog: b\n", ("TW1002", 2, 1, "", "spaces, not tabs")),
        ("name: [a\n", ("TW1002", 1, 7, "", "close the bracket")),
        ("name: \"a\n", ("TW1002", 2, 1, "", "close the quote")),
        ("name: a\nlog: b: c\n", ("TW1002", 2, 7, "", "in quotes")),
        ("name: *x\n", ("TW1002", 1, 7, "", "is an alias")),
        ("name: a\n--- \nname: b\n", ("TW1002", 2, 1, "", "one job a file")),
        ("name: !secret a\n", ("TW1002", 1, 15, "", "leave the tag out")),
        ("name: !!int a\n", ("TW1002", 1, 13, "", "`a` is not a int")),
        ("<<: {name: a}\n", ("TW1002", 1, 1, "", "merge keys")),
        ("? [a, b]\n: c\n", ("TW1002", 1, 3, "", "a field name must be")),
        ("a: &a [*a]\n", ("TW1002", 1, 8, "", "alias")),
        ("just text\n", ("TW1005", 1, 1, "", "put its fields below it")),
        ("- a\n- b\n", ("TW1005", 1, 1, "", "not a list")),
    ];
    assert_each("", cases);
}

#[test]
fn fields_that_are_wrong_in_themselves() {
    let cases: &[(&str, Expected)] = &[
        // Unknown.
        ("lans: 8\n", ("TW1003", 4, 1, "lans", "did you mean `lanes`?")),
        (
            "train: {global_bacth: 8}\n",
            ("TW1003", 4, 9, "train.global_bacth", "did you mean `global_batch`?"),
        ),
        ("train: {globalBatch: 8}\n", ("TW1003", 4, 9, "train.globalBatch", "did you mean `global_batch`?")),
        ("learnable: 8\n", ("TW1003", 4, 1, "learnable", "the fields there are name, seed")),
        ("epochs: 5\n", ("TW1003", 4, 1, "epochs", "that is `train.epochs`: move it there")),
        (
            "train:\n  optimizer:\n    learning: 1\n",
            ("TW1003", 6, 5, "train.optimizer.learning", "leave it out"),
        ),
        ("workers: {min: 1, max: 2, wanted: 3}\n", ("TW1003", 4, 27, "workers.wanted", "min, max")),
        (
            "split: {kind: leave_one_out, test: x}\n",
            ("TW1003", 4, 30, "split.test", "not a field of `split`"),
        ),
        (
            "catalogue: {uri: i, features: [{name: t, type: text, dim: 3}]}\n",
            ("TW1003", 4, 54, "catalogue.features[0].dim", "not a field of `catalogue.features[0]`"),
        ),
        // Missing.
        ("catalogue: {format: csv}\n", ("TW1004", 4, 1, "catalogue.uri", "add `uri: …`")),
        (
            "split: {validation: 2020-01-01}\n",
            ("TW1004", 4, 1, "split.kind", "leave_one_out, by_time or files"),
        ),
        (
            "split: {kind: by_time, validation: 2020-01-01}\n",
            ("TW1004", 4, 1, "split.test", "start of the test window"),
        ),
        ("workers: {min: 2}\n", ("TW1004", 4, 1, "workers.max", "add `max: …`")),
        (
            "catalogue: {uri: i, features: [{name: v, type: vector}]}\n",
            ("TW1004", 4, 32, "catalogue.features[0].dim", "its length"),
        ),
        // Wrong type.
        ("lanes: many\n", ("TW1005", 4, 8, "lanes", "a whole number from 1 to 65536, not the text `many`")),
        ("lanes: 1_000\n", ("TW1005", 4, 8, "lanes", "write 1000")),
        ("lanes: 1e3\n", ("TW1005", 4, 8, "lanes", "write 1000")),
        ("lanes: \"8\"\n", ("TW1005", 4, 8, "lanes", "write 8")),
        ("lanes:\n", ("TW1005", 4, 1, "lanes", "leave the field out for its default")),
        ("lanes: [8]\n", ("TW1005", 4, 8, "lanes", "leave the brackets")),
        ("runs: 12\n", ("TW1005", 4, 7, "runs", "put it in quotes: \"12\"")),
        ("runs: {a: b}\n", ("TW1005", 4, 7, "runs", "one value after the colon")),
        ("train: {global_batch: 8.5}\n", ("TW1005", 4, 23, "train.global_batch", "write a whole number")),
        ("train: {optimizer: {lr: fast}}\n", ("TW1005", 4, 25, "train.optimizer.lr", "1e-3")),
        ("train: 5\n", ("TW1005", 4, 8, "train", "put its fields below it")),
        ("loss: {mask_user_positives: yes}\n", ("TW1005", 4, 29, "loss.mask_user_positives", "write true")),
        ("evaluate: {k: 10}\n", ("TW1005", 4, 15, "evaluate.k", "[10]")),
        ("evaluate: {k: {a: 1}}\n", ("TW1005", 4, 15, "evaluate.k", "one `- entry` a line")),
        ("split: leave_one_out\n", ("TW1005", 4, 8, "split", "write {kind: leave_one_out}")),
        ("workers: two\n", ("TW1005", 4, 10, "workers", "a section of `min`, `max`")),
        ("device: [cpu]\n", ("TW1005", 4, 9, "device", "`cuda`, not a list")),
        // Not a choice.
        ("device: gpu\n", ("TW1006", 4, 9, "device", "there are auto, cpu, cuda")),
        ("train: {schedule: cosin}\n", ("TW1006", 4, 19, "train.schedule", "did you mean `cosine`?")),
        ("train: {optimizer: {kind: lion}}\n", ("TW1006", 4, 27, "train.optimizer.kind", "adamw")),
        ("split: {kind: random}\n", ("TW1006", 4, 15, "split.kind", "leave_one_out")),
        (
            "catalogue: {uri: i, features: [{name: t, type: txt}]}\n",
            ("TW1006", 4, 48, "catalogue.features[0].type", "did you mean `text`?"),
        ),
        // Units.
        ("recovery_target: 30\n", ("TW1007", 4, 18, "recovery_target", "write 30s")),
        ("recovery_target: 30 parsecs\n", ("TW1007", 4, 18, "recovery_target", "500ms, 10s")),
        ("prepare: {memory: 2 elephants}\n", ("TW1007", 4, 19, "prepare.memory", "512MB")),
        ("prepare: {memory: -1}\n", ("TW1007", 4, 19, "prepare.memory", "512MB")),
        // Out of range.
        ("lanes: 0\n", ("TW1008", 4, 8, "lanes", "use 1 or more")),
        ("seed: -1\n", ("TW1008", 4, 7, "seed", "use 0 or more")),
        ("seed: 18446744073709551616\n", ("TW1008", 4, 7, "seed", "use 18446744073709551615 or less")),
        (
            "train: {global_batch: 5000000000}\n",
            ("TW1008", 4, 23, "train.global_batch", "use 16777216 or less"),
        ),
        ("train: {epochs: 0}\n", ("TW1008", 4, 17, "train.epochs", "use 1 or more")),
        ("train: {optimizer: {lr: 0}}\n", ("TW1008", 4, 25, "train.optimizer.lr", "a number above 0")),
        ("train: {clip_norm: .inf}\n", ("TW1008", 4, 20, "train.clip_norm", "a number from 0")),
        ("train: {clip_norm: .nan}\n", ("TW1008", 4, 20, "train.clip_norm", "a number from 0")),
        ("evaluate: {k: [0, 5]}\n", ("TW1008", 4, 16, "evaluate.k[0]", "use 1 or more")),
        ("workers: 0\n", ("TW1008", 4, 10, "workers", "use 1 or more")),
        ("recovery_target: 2s\n", ("TW1008", 4, 18, "recovery_target", "heartbeat is a tenth of it")),
        ("prepare: {memory: 10kB}\n", ("TW1008", 4, 19, "prepare.memory", "use 1MB or more")),
        // Twice.
        ("lanes: 4\nlanes: 8\n", ("TW1009", 5, 1, "lanes", "first on line 4")),
    ];
    assert_each(BASE, cases);
}

#[test]
fn jobs_without_a_name_or_a_log() {
    assert_problems(
        "seed: 1\ntowers: {item: {encoder: id, id_embedding: table}}\n",
        &[("TW1004", 1, 1, "name", "add `name: …`"), ("TW1004", 1, 1, "log", "add `log: …`")],
    );
    for (name, remedy) in
        [("My_Job", "`my-job`"), ("-a-", "`a`"), ("''", "`ml-1m`"), (&"a".repeat(64), "up to 63")]
    {
        let text = BASE.replace("name: demo", &format!("name: {name}"));
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].code.as_str(), place(&found[0])), ("TW1014", (1, 7)));
        assert!(format!("{:?}{}", found[0].why, found[0].remedy).contains(remedy), "{found:?}");
    }
}

#[test]
fn fields_that_do_not_go_together() {
    let cases: &[(&str, Expected)] = &[
        ("workers: 5\n", ("TW1010", 1, 1, "lanes", "set lanes to 5 or more")),
        ("workers: {min: 3, max: 2}\n", ("TW1010", 4, 1, "workers", "{min: 2, max: 3}")),
        ("train: {global_batch: 102}\n", ("TW1010", 4, 23, "train.global_batch", "use 100 or 104")),
        (
            "lanes: 8\ntrain: {global_batch: 4}\n",
            ("TW1010", 5, 23, "train.global_batch", "use 8 or a multiple"),
        ),
        ("train: {epochs: 1, steps: 1}\n", ("TW1010", 4, 27, "train.steps", "leave one of them out")),
        (
            "train: {steps: 100, warmup_steps: 200}\n",
            ("TW1010", 4, 35, "train.warmup_steps", "use 10 or fewer"),
        ),
        (
            "loss: {negatives: {mode: random, max_in_batch: 9}}\n",
            ("TW1010", 4, 48, "loss.negatives.max_in_batch", "mixed_concat"),
        ),
        (
            "loss: {negatives: {mode: mixed_sum, random: 0}}\n",
            ("TW1010", 4, 45, "loss.negatives.random", "use 8192"),
        ),
        (
            "loss: {negatives: {mode: in_batch, random: 9}}\n",
            ("TW1010", 4, 44, "loss.negatives.random", "leave it out"),
        ),
        ("loss: {negatives: {mode: full}, logq: exact}\n", ("TW1010", 4, 39, "loss.logq", "use `off`")),
        ("lanes: 1\ntrain: {global_batch: 1}\n", ("TW1010", 5, 23, "train.global_batch", "no other rows")),
        (
            "loss: {temperature: {initial: 0.05, min: 0.1}}\n",
            ("TW1010", 4, 42, "loss.temperature.min", "0.05 or less"),
        ),
        (
            "split: {kind: by_time, validation: 2020-02-01, test: 2020-01-01}\n",
            ("TW1010", 4, 54, "split.test", "later date"),
        ),
        (
            "split: {kind: by_time, validation: soon, test: 2020-01-01}\n",
            ("TW1014", 4, 36, "split.validation", "2014-09-30"),
        ),
        ("split: {kind: files, test: []}\n", ("TW1011", 4, 28, "split.test", "name a file")),
        (
            "split: {kind: files, test: t}\nevaluate: {best: ndcg}\n",
            ("TW1010", 5, 18, "evaluate.best", "split.validation"),
        ),
        (
            "split: {kind: files, test: t}\nevaluate: {every_epochs: 1}\n",
            ("TW1010", 5, 26, "evaluate.every_epochs", "use 0"),
        ),
        ("evaluate: {k: []}\n", ("TW1014", 4, 15, "evaluate.k", "[10, 20]")),
        ("evaluate: {k: [20, 10, 20]}\n", ("TW1014", 4, 15, "evaluate.k", "write [10, 20]")),
        (
            "evaluate: {best: last, patience: 3}\n",
            ("TW1010", 4, 34, "evaluate.patience", "ndcg, recall or mrr"),
        ),
        ("evaluate: {every_epochs: 0, patience: 3}\n", ("TW1010", 4, 39, "evaluate.patience", "every_steps")),
        ("checkpoint: {every: 0s}\n", ("TW1010", 4, 21, "checkpoint.every", "use 60s")),
        (
            "checkpoint: {keep_every_steps: 100}\n",
            ("TW1010", 4, 32, "checkpoint.keep_every_steps", "every_steps to 100"),
        ),
        ("checkpoint: {uri: gs://b/x}\n", ("TW1011", 4, 19, "checkpoint.uri", "s3://bucket")),
        ("export: {uri: s3:///x}\n", ("TW1011", 4, 15, "export.uri", "s3://BUCKET/PREFIX")),
        ("runs: ''\n", ("TW1011", 4, 7, "runs", "the path is empty")),
        ("catalogue: {uri: [], features: []}\n", ("TW1011", 4, 18, "catalogue.uri", "name a file")),
        (
            "catalogue: {uri: [a, 'ftp://h/x']}\n",
            ("TW1011", 4, 22, "catalogue.uri[1]", "`ftp://` is not supported"),
        ),
        (
            "catalogue: {uri: i, features: [{name: a, type: text}, {name: a, type: categorical}]}\n",
            ("TW1009", 4, 62, "catalogue.features[1].name", "another name"),
        ),
        (
            "catalogue: {uri: i, features: [{name: count, type: categorical}]}\n",
            ("TW1009", 4, 39, "catalogue.features[0].name", "name: count_feature, column: count"),
        ),
        (
            "catalogue: {uri: i, features: [{name: a/b, type: text}]}\n",
            ("TW1014", 4, 39, "catalogue.features[0].name", "use letters"),
        ),
        (
            "catalogue: {uri: i, features: [{name: a, type: text, tokens: {unigrams: 0, bigrams: 0, trigrams: 0}}]}\n",
            ("TW1010", 4, 54, "catalogue.features[0].tokens", "at least one of"),
        ),
    ];
    assert_each(BASE, cases);
}

#[test]
fn towers_that_cannot_be_built() {
    let features = "catalogue: {uri: i, features: [{name: title, type: text}]}\n";
    let cases: &[(&str, Expected)] = &[
        ("catalogue: {uri: i}\n", ("TW1010", 1, 1, "towers.item", "towers.item.encoder: id")),
        (
            "towers: {item: {encoder: transformer}}\n",
            ("TW1010", 3, 10, "towers.item", "describe features under catalogue.features"),
        ),
        (
            "towers: {item: {id_embedding: none}}\n",
            ("TW1010", 3, 31, "towers.item.id_embedding", "set towers.item.id_embedding to table"),
        ),
        (
            "towers: {item: {encoder: mlp, features: []}}\n",
            ("TW1010", 3, 10, "towers.item", "nothing to read"),
        ),
        (
            "towers: {item: {encoder: transformer, id_embedding: table, d_model: 100}}\n",
            ("TW1010", 3, 69, "towers.item.d_model", "use 96 or 104"),
        ),
        (
            "towers: {item: {id_embedding: table}, user: {d_model: 4, heads: 8}}\n",
            ("TW1010", 3, 55, "towers.user.d_model", "at most 4 heads"),
        ),
        (
            "towers: {item: {id_embedding: table}, user: {item_vector: frozen}}\n",
            ("TW1010", 3, 59, "towers.user.item_vector", "type: vector"),
        ),
        (
            "towers: {item: {id_embedding: table}, user: {window: 0s}}\n",
            ("TW1010", 3, 54, "towers.user.window", "longer than 0s"),
        ),
        (
            "towers: {item: {id_embedding: table}, user: {surface_dim: 8}}\n",
            ("TW1010", 3, 59, "towers.user.surface_dim", "set log.columns.surface"),
        ),
        (
            "towers: {item: {id_embedding: table}, user: {duration: true}}\n",
            ("TW1010", 3, 56, "towers.user.duration", "set log.columns.duration"),
        ),
        (
            "towers: {item: {id_embedding: table}, user: {action_dim: 8}}\n",
            ("TW1010", 3, 58, "towers.user.action_dim", "set log.columns.action"),
        ),
        (
            "towers: {item: {id_embedding: table, dropout: 1}}\n",
            ("TW1008", 3, 47, "towers.item.dropout", "from 0, below 1"),
        ),
        (
            "towers: {item: {id_embedding: table, mlp: [64, 0]}}\n",
            ("TW1008", 3, 48, "towers.item.mlp[1]", "use 1 or more"),
        ),
    ];
    assert_each(NO_TOWERS, cases);
    let with_features: &[(&str, Expected)] = &[
        (
            "towers: {item: {features: [titel]}}\n",
            ("TW1013", 4, 28, "towers.item.features[0]", "did you mean `title`?"),
        ),
        (
            "towers: {item: {features: [title, title]}}\n",
            ("TW1009", 4, 35, "towers.item.features[1]", "list it once"),
        ),
        (
            "towers: {item: {features: [title], encoder: id, id_embedding: table}}\n",
            ("TW1010", 4, 27, "towers.item.features", "`transformer` or `mlp`"),
        ),
    ];
    assert_each(&format!("{NO_TOWERS}{features}"), with_features);
}

#[test]
fn logs_that_cannot_be_read() {
    let cases: &[(&str, &[Expected])] = &[
        ("{uri: []}", &[("TW1011", 2, 12, "log.uri", "name a file")]),
        ("{uri: 'https://h/x'}", &[("TW1011", 2, 12, "log.uri", "`https://` is not supported")]),
        ("{uri: s3a://b/x}", &[("TW1011", 2, 12, "log.uri", "write s3://b/x")]),
        ("{uri: a, filter: ''}", &[("TW1014", 2, 23, "log.filter", "rating >= 4")]),
        (
            "{uri: a, columns: {user: item_id}}",
            &[("TW1009", 2, 15, "log.columns.item", "is the user already")],
        ),
        ("{uri: a, columns: {surface: ''}}", &[("TW1014", 2, 34, "log.columns.surface", "name a column")]),
        ("{uri: a, columns: {usr: x}}", &[("TW1003", 2, 25, "log.columns.usr", "did you mean `user`?")]),
        ("{uri: a, max_bad_rows: 5%}", &[("TW1005", 2, 29, "log.max_bad_rows", "write 0.05")]),
        ("{uri: a, max_bad_rows: 5}", &[("TW1008", 2, 29, "log.max_bad_rows", "up to 1")]),
        ("{uri: a, actions: {like: {}}}", &[("TW1010", 2, 15, "log.actions", "set log.columns.action")]),
        (
            "{uri: a, columns: {action: kind}, actions: {view: {positive: false}}}",
            &[("TW1010", 2, 40, "log.actions", "nothing to predict")],
        ),
        (
            "{uri: a, columns: {action: kind}, actions: {view: {wieght: 2}}}",
            &[("TW1003", 2, 57, "log.actions.view.wieght", "did you mean `weight`?")],
        ),
        (
            "{uri: a, columns: {action: kind}, actions: {view: {weight: -2}}}",
            &[("TW1008", 2, 65, "log.actions.view.weight", "a number from 0")],
        ),
        (
            "{uri: a, columns: {timestamp: null}}",
            &[("TW1010", 1, 1, "split", "set log.columns.timestamp or log.columns.order")],
        ),
        (
            "{uri: a, columns: {timestamp: null, order: n}, timestamp_unit: ms}",
            &[("TW1010", 2, 69, "log.timestamp_unit", "leave it out")],
        ),
    ];
    for (log, expected) in cases {
        assert_problems(&BASE.replace("{uri: a.parquet}", log), expected);
    }
}

#[test]
fn without_timestamps_only_what_was_asked_for_is_refused() {
    let base = "name: demo\nlog: {uri: a, columns: {timestamp: null, order: n}}\n";
    let asked = "towers: {item: {id_embedding: table}, user: {window: 7d, time: {gap: true}}}\n";
    assert_problems(
        &format!("{base}{asked}split: {{kind: by_time, validation: 2020-01-01, test: 2020-02-01}}\n"),
        &[
            ("TW1010", 3, 54, "towers.user.window", "leave it out"),
            ("TW1010", 3, 70, "towers.user.time.gap", "set log.columns.timestamp"),
            ("TW1010", 4, 1, "split", "use leave_one_out"),
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "\
nam: demo
seed: x
lanes: 3
log:
  uri: gs://b/x
  columns: {user: item_id}
towers:
  item: {encoder: id, id_embedding: none}
train:
  global_batch: 100
  steps: 10
  epochs: 10
  optimizer: {kind: sdg}
";
    assert_problems(
        text,
        &[
            ("TW1003", 1, 1, "nam", "did you mean `name`?"),
            ("TW1004", 1, 1, "name", "add `name: …`"),
            ("TW1005", 2, 7, "seed", "write a whole number"),
            ("TW1011", 5, 8, "log.uri", "`gs://` is not supported"),
            ("TW1009", 6, 3, "log.columns.item", "the user already"),
            ("TW1010", 8, 37, "towers.item.id_embedding", "table"),
            ("TW1010", 10, 17, "train.global_batch", "use 99 or 102"),
            ("TW1010", 11, 10, "train.steps", "leave one of them out"),
            ("TW1006", 13, 21, "train.optimizer.kind", "did you mean `sgd`?"),
        ],
    );
}

#[test]
fn nothing_is_concluded_from_a_field_that_is_itself_wrong() {
    // Were `lanes` its default, 100 would be a multiple of it and 102 would not.
    assert_problems(
        &format!("{BASE}lanes: eight\ntrain: {{global_batch: 102}}\n"),
        &[("TW1005", 4, 8, "lanes", "not the text `eight`")],
    );
    // The features are misspelled, not missing.
    assert_problems(
        &format!("{NO_TOWERS}catalogue: {{uri: i, featurs: [{{name: a, type: text}}]}}\n"),
        &[("TW1003", 3, 21, "catalogue.featurs", "did you mean `features`?")],
    );
}

#[test]
fn aliases_and_quotes_are_yaml_like_any_other() {
    let text = "
name: 'demo'
log: {uri: &where \"a.parquet\", columns: {action: a}, actions: {'<<': {}, ? view : {}}}
split: {kind: files, test: *where}
towers: {item: {encoder: !!str id, id_embedding: table}}
loss:
# nothing but this comment
";
    assert_problems(text, &[]);
}

#[test]
fn a_document_may_begin_and_end_with_markers() {
    assert_problems(&format!("%YAML 1.2\n---\n{BASE}...\n"), &[]);
    assert_problems(&format!("\u{feff}{BASE}"), &[]);
    assert_problems(&BASE.replace('\n', "\r\n"), &[]);
}
