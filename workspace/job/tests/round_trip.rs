//! `explain` writes a job file that is the same job, whatever the job.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use twinspire_job::*;

fn base() -> JobSpec {
    let text = "
name: demo
log: {uri: a.parquet, columns: {action: a, surface: s, duration: d, order: o}}
catalogue: {uri: i, features: [{name: v, type: vector, dim: 3}]}
";
    JobFile::parse(text, "job.yaml", &[]).unwrap().into_spec()
}

fn span() -> impl Strategy<Value = Span> {
    (1u64..1 << 50).prop_map(|nanos| Span(Duration::from_nanos(nanos)))
}

/// Any text that is not blank: quotes, colons, control characters and all.
fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("blank", |text| !text.trim().is_empty())
}

fn path() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| format!("d/{}", text.replace(':', "")))
}

fn log() -> impl Strategy<Value = LogSpec> {
    let action = (any::<bool>(), 0.0f32..1e6).prop_map(|(positive, weight)| ActionSpec { positive, weight });
    let columns = (text(), text(), option::of(text())).prop_map(|(user, item, surface)| Columns {
        user: format!("1{user}"),
        item: format!("2{item}"),
        action: Some("action".into()),
        timestamp: Some("at".into()),
        order: None,
        surface: surface.map(|name| format!("3{name}")),
        duration: Some("seconds".into()),
    });
    (vec(path(), 1..3), columns, option::of(text()), btree_map(any::<String>(), action, 0..4), 0.0..1.0)
        .prop_map(|(uri, columns, filter, mut actions, max_bad_rows)| {
            if !actions.is_empty() {
                actions.insert("yes".into(), ActionSpec::default());
            }
            let defaults = base().log;
            LogSpec { uri, columns, filter, actions, max_bad_rows, format: LogFormat::Csv, ..defaults }
        })
}

fn features() -> impl Strategy<Value = Vec<FeatureSpec>> {
    let kind = prop_oneof![
        (1u32.., any::<u32>()).prop_map(|(unigrams, bigrams)| FeatureKind::Text {
            tokens: TokenSpec { unigrams, bigrams, trigrams: 0 }
        }),
        (1u32..).prop_map(|vocabulary| FeatureKind::Categorical { vocabulary }),
        (1u32..).prop_map(|dim| FeatureKind::Vector { dim }),
        (1u32.., 1u32..).prop_map(|(dim, max)| FeatureKind::Vectors { dim, max }),
    ];
    vec((kind, option::of(text())), 1..4).prop_map(|features| {
        let named = features.into_iter().enumerate();
        named.map(|(index, (kind, column))| FeatureSpec { name: format!("f{index}"), column, kind }).collect()
    })
}

fn split() -> impl Strategy<Value = SplitSpec> {
    prop_oneof![
        Just(SplitSpec::LeaveOneOut),
        Just(SplitSpec::ByTime { validation: "2020-01-01".into(), test: "2020-01-02T03:04:05+06:00".into() }),
        (vec(path(), 1..3), vec(path(), 1..3))
            .prop_map(|(validation, test)| SplitSpec::Files { validation, test }),
    ]
}

fn optimizer() -> impl Strategy<Value = OptimizerSpec> {
    use OptimizerKind::*;
    (select(vec![AdamW, Adam, Sgd, Adagrad]), 1e-12..1e3, 0.0..1.0, 0.0..1.0, 1e-30..1.0, 0.0..10.0).prop_map(
        |(kind, lr, beta1, beta2, eps, weight_decay)| OptimizerSpec {
            kind,
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
        },
    )
}

fn train() -> impl Strategy<Value = TrainSpec> {
    let length = prop_oneof![
        (1u32..).prop_map(|epochs| (Some(epochs), None)),
        (1000u64..).prop_map(|steps| (None, Some(steps)))
    ];
    (1u32..1000, length, optimizer(), option::of(optimizer()), 0u64..1000, 0.0..1e9).prop_map(
        |(batch, (epochs, steps), optimizer, table_optimizer, warmup_steps, clip_norm)| TrainSpec {
            global_batch: batch * 8,
            epochs,
            steps,
            optimizer,
            table_optimizer,
            warmup_steps,
            clip_norm,
            schedule: Schedule::Linear,
            graphs: Graphs::Recompute,
            ..TrainSpec::default()
        },
    )
}

fn towers() -> impl Strategy<Value = TowersSpec> {
    use Objective::*;
    let user = (
        1u32..999,
        1u32..9,
        select(vec![NextAction, Sasrec, AllAction, DenseAllAction]),
        span(),
        0.0..1.0,
        any::<bool>(),
    )
        .prop_map(|(width, heads, objective, window, dropout, gap)| UserTowerSpec {
            d_model: width * heads,
            heads,
            ffn: width,
            objective,
            window,
            dropout,
            surface_dim: 0,
            time: TimeFeatures { gap, ..TimeFeatures::default() },
            ..UserTowerSpec::default()
        });
    let item = (vec(1u32.., 0..3), any::<bool>(), 1u32..).prop_map(|(mlp, all, rows)| ItemTowerSpec {
        encoder: ItemEncoder::Mlp,
        id_embedding: IdEmbedding::Hash,
        features: (!all).then(|| vec!["f0".to_owned()]),
        hash: HashSpec { rows, dim: 7 },
        mlp,
        ..ItemTowerSpec::default()
    });
    (1u32..65_536, any::<bool>(), item, user).prop_map(|(dim, normalize, item, user)| TowersSpec {
        dim,
        normalize,
        item,
        user,
    })
}

fn loss() -> impl Strategy<Value = LossSpec> {
    use NegativesMode::*;
    (
        select(vec![MixedSum, MixedConcat, InBatch, Random, Full]),
        1u32..16_777_216,
        0.01..1.0,
        1e-6..0.01,
        any::<bool>(),
    )
        .prop_map(|(mode, random, initial, min, learned)| LossSpec {
            negatives: Negatives {
                mode,
                max_in_batch: 0,
                random: if matches!(mode, InBatch | Full) { 0 } else { random },
            },
            temperature: Temperature { initial, learned, min },
            logq: if mode == Full { LogQ::Off } else { LogQ::Exact },
            ..LossSpec::default()
        })
}

fn job() -> impl Strategy<Value = JobSpec> {
    let workers = prop_oneof![
        (1u32..=8).prop_map(Workers::Exactly),
        (1u32..=4, 4u32..=8).prop_map(|(min, max)| Workers::Range { min, max })
    ];
    let kept =
        (span(), 0u64.., 1u32.., option::of(path())).prop_map(|(every, every_steps, keep_last, uri)| {
            CheckpointSpec { uri, every_steps, every, keep_last, ..CheckpointSpec::default() }
        });
    let catalogue = (path(), features()).prop_map(|(uri, features)| CatalogueSpec {
        uri: vec![uri],
        features,
        ..base().catalogue.unwrap()
    });
    let top =
        ("[a-z][a-z0-9-]{0,61}[a-z0-9]", any::<u64>(), workers, 5_000u64..10_000_000, path(), any::<u64>());
    (top, log(), catalogue, split(), towers(), loss(), train(), kept).prop_map(
        |(top, log, catalogue, split, towers, loss, train, checkpoint)| {
            let (name, seed, workers, milliseconds, runs, memory) = top;
            JobSpec {
                name,
                seed,
                workers,
                lanes: 8,
                recovery_target: Span(Duration::from_millis(milliseconds)),
                runs,
                log,
                catalogue: Some(catalogue),
                split,
                towers,
                loss,
                train,
                checkpoint,
                prepare: PrepareSpec { memory: ByteSize(memory.max(1_000_000)), ..PrepareSpec::default() },
                ..base()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_explained_job_is_the_same_job(spec in job()) {
        let from_json = JobSpec::from_json(&spec.to_json()).unwrap();
        prop_assert_eq!(&from_json, &spec);
        prop_assert_eq!(from_json.fingerprint(), spec.fingerprint());
        let explained = JobFile::parse(&spec.to_json(), "job", &[]).unwrap().explain();
        let again = JobFile::parse(&explained, "explained", &[]).unwrap();
        prop_assert_eq!(again.spec(), &spec);
        prop_assert_eq!(again.explain(), explained);
    }

    /// Any text at all: an answer, never a panic.
    #[test]
    fn any_text_is_a_job_or_an_error(text in "(?s).{0,200}") {
        let _ = JobFile::parse(&text, "job.yaml", &[]).map_err(|error| error.report());
    }

    /// A job with one line gone or one letter changed.
    #[test]
    fn a_damaged_job_is_a_job_or_an_error(at in 0usize..4000, to in any::<char>(), line in 0usize..200) {
        let explained = JobFile::parse(&base().to_json(), "base", &[]).unwrap().explain();
        let changed: String = explained.chars().enumerate().map(|(index, c)| if index == at { to } else { c }).collect();
        let without: Vec<&str> = explained.lines().enumerate().filter(|(index, _)| *index != line).map(|(_, l)| l).collect();
        for text in [changed, without.join("\n")] {
            let _ = JobFile::parse(&text, "job.yaml", &[]).map_err(|error| error.report());
        }
    }
}

#[test]
fn an_explained_job_says_what_its_fields_mean() {
    let explained = JobFile::parse(&base().to_json(), "base", &[]).unwrap().explain();
    assert!(explained.contains(
        "\n# Seed of everything random: initial weights, shuffling, negatives, dropout.\nseed: 7\n"
    ));
    assert!(explained.contains(
        "  # Learning-rate schedule after warm-up. One of: cosine, linear, constant.\n  schedule: cosine\n"
    ));
    assert!(explained.contains("    - type: vector\n      # Name of the feature"), "{explained}");
}

#[test]
fn a_spec_that_is_no_file_is_checked_all_the_same() {
    let mut spec = base();
    spec.train.global_batch = 7;
    let error = spec.validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "job: train.global_batch: 7 is not a multiple of lanes (4): use 4 or 8 [TW1010]"
    );
}
