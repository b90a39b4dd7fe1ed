#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::plan::{Plan, PlanSettings};

fn plan() -> Plan {
    let settings = PlanSettings { seed: 3, lanes: 3, global_batch: 6, shuffle_shards: 2 };
    Plan::of_shards(&[5, 4, 6, 5, 1], settings).unwrap()
}

fn record(plan: &Plan, step: u64, lane: u32, generation: u64) -> AuditRecord {
    let mut rows = plan.rows_of(lane, step);
    rows.sort_unstable();
    AuditRecord { step, lane, generation, rows }
}

fn honest(plan: &Plan, steps: std::ops::Range<u64>, generation: u64) -> Vec<AuditRecord> {
    let lanes = plan.settings().lanes;
    steps
        .flat_map(|step| (0..lanes).map(move |lane| (step, lane)))
        .map(|(step, lane)| record(plan, step, lane, generation))
        .collect()
}

fn part(records: &[AuditRecord]) -> Bytes {
    let mut part = AuditPart::default();
    records.iter().for_each(|record| part.push(record));
    part.take().unwrap().1.into()
}

fn check(parts: &[Vec<AuditRecord>], committed: u64) -> AuditReport {
    let mut audit = Audit::default();
    for (number, records) in parts.iter().enumerate() {
        audit.add_part(&format!("part {number}"), &part(records)).unwrap();
    }
    audit.check(&plan(), committed)
}

fn counts(report: &AuditReport) -> [u64; 5] {
    [report.expected, report.trained, report.twice, report.never, report.unexpected]
}

#[test]
fn an_undisturbed_run_passes_in_whole_epochs_and_in_the_middle_of_one() {
    let plan = plan();
    let steps = plan.steps_per_epoch();
    assert_eq!(steps, 4);
    for committed in 0..=3 * steps {
        let report = check(&[honest(&plan, 0..3 * steps, 1)], committed);
        assert!(report.passed(), "{committed}: {report:?}");
    }
    let report = check(&[honest(&plan, 0..3 * steps, 1)], 2 * steps);
    assert_eq!(counts(&report), [42, 42, 0, 0, 0]);
    assert!(report.epochs.iter().all(|epoch| epoch.complete));
}

#[test]
fn steps_that_were_done_again_count_once() {
    let plan = plan();
    // Generation 1 got to step 6, but only 3 were committed; generation 2 went on from there.
    let report = check(&[honest(&plan, 0..6, 1), honest(&plan, 3..8, 2)], 8);
    assert_eq!(counts(&report), [42, 42, 0, 0, 0]);
    // The order of the parts does not matter.
    assert_eq!(check(&[honest(&plan, 3..8, 2), honest(&plan, 0..6, 1)], 8), report);
}

#[test]
fn a_part_stored_twice_counts_once() {
    let plan = plan();
    let records = honest(&plan, 0..8, 1);
    assert!(check(&[records.clone(), records], 8).passed());
}

#[test]
fn records_past_the_committed_step_do_not_count() {
    let plan = plan();
    let report = check(&[honest(&plan, 0..7, 1)], 5);
    assert!(report.passed());
    assert_eq!(report.epochs.len(), 2);
    assert!(!report.epochs[1].complete);
}

#[test]
fn a_lane_that_was_not_trained_is_found() {
    let plan = plan();
    let records: Vec<_> =
        honest(&plan, 0..4, 1).into_iter().filter(|record| (record.step, record.lane) != (2, 1)).collect();
    let report = check(&[records], 4);
    assert_eq!(counts(&report), [21, 19, 0, 2, 0]);
    assert!(!report.passed());
}

#[test]
fn rows_trained_by_two_lanes_are_found() {
    let plan = plan();
    let mut records = honest(&plan, 0..4, 1);
    let stolen = records[0].rows.clone();
    records[1].rows.extend(stolen);
    records[1].rows.sort_unstable();
    assert_eq!(counts(&check(&[records], 4)), [21, 21, 2, 0, 0]);
}

#[test]
fn two_different_records_of_one_generation_both_count() {
    let plan = plan();
    let mut records = honest(&plan, 0..4, 1);
    let mut second = record(&plan, 0, 0, 1);
    second.rows.truncate(1);
    records.push(second);
    assert_eq!(check(&[records], 4).twice, 1);
}

#[test]
fn rows_that_were_not_due_are_found() {
    let plan = plan();
    let mut records = honest(&plan, 0..1, 1);
    let early = plan.rows_of(0, 1)[0];
    records[0].rows.extend([early, 1_000_000]);
    records[0].rows.sort_unstable();
    assert_eq!(counts(&check(&[records], 1)), [6, 6, 0, 0, 2]);
}

#[test]
fn nothing_recorded_is_nothing_trained() {
    assert_eq!(counts(&check(&[], 4)), [21, 0, 0, 21, 0]);
}

#[test]
fn damaged_parts_are_refused_and_name_the_place() {
    let whole = part(&honest(&plan(), 0..2, 1));
    let refused = |bytes: Bytes| Audit::default().add_part("here", &bytes).unwrap_err();
    assert!(refused(Bytes::from_static(b"TWAUDIT9")).to_string().contains("here"));
    let cut = refused(whole.slice(..whole.len() - 1));
    assert_eq!(cut.code(), "TW2110");
    assert!(cut.to_string().contains("cut off"), "{cut}");
    let mut flipped = whole.to_vec();
    flipped[20] ^= 1;
    assert!(refused(flipped.into()).to_string().contains("checksum"));
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(
        step: u64,
        lane: u32,
        generation: u64,
        mut rows in prop::collection::vec(any::<u64>(), 0..50),
    ) {
        rows.sort_unstable();
        let record = AuditRecord { step, lane, generation, rows };
        let bytes = part(std::slice::from_ref(&record));
        let read = record::read_part("part", &bytes).unwrap();
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!((read[0].step, read[0].lane, read[0].generation), (step, lane, generation));
        prop_assert_eq!(read[0].rows().collect::<Vec<_>>(), record.rows);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut whole = b"TWAUDIT1".to_vec();
        whole.extend(bytes);
        let _ = Audit::default().add_part("part", &whole.into());
    }

    #[test]
    fn digests_do_not_depend_on_order_or_grouping(rows in prop::collection::vec(0u64..1000, 0..50), cut in 0usize..50) {
        let whole = RowDigest::of(rows.iter().copied());
        let cut = cut.min(rows.len());
        let mut sum = RowDigest::of(rows[cut..].iter().rev().copied());
        sum += RowDigest::of(rows[..cut].iter().copied());
        prop_assert_eq!(whole, sum);
        let mut other = rows.clone();
        other.push(1000);
        prop_assert_ne!(whole, RowDigest::of(other));
    }
}

fn witness(plan: &Plan, step: u64, generation: u64) -> Witness {
    let lanes = (0..plan.settings().lanes).map(|lane| RowDigest::of(plan.rows_of(lane, step)));
    Witness { step, generation, lanes: lanes.collect() }
}

/// Generation 1 got to step 5; what its rank of lanes 1 and 2 had recorded since step 3 died with it. Generation 2
/// went on from there.
fn with_a_death(plan: &Plan) -> Audit {
    let mut audit = Audit::default();
    let survived: Vec<_> =
        honest(plan, 0..5, 1).into_iter().filter(|record| record.step < 3 || record.lane == 0).collect();
    audit.add_part("survived", &part(&survived)).unwrap();
    audit.add_part("after", &part(&honest(plan, 5..8, 2))).unwrap();
    audit
}

#[test]
fn what_died_with_a_rank_is_missed_unless_the_others_witnessed_it() {
    let plan = plan();
    let mut audit = with_a_death(&plan);
    assert!(audit.check(&plan, 8).never > 0);
    audit.add_witnesses((3..5).map(|step| witness(&plan, step, 1)));
    assert_eq!(counts(&audit.check(&plan, 8)), [42, 42, 0, 0, 0]);
    let read = decode_witnesses("w", &encode_witnesses(&[witness(&plan, 3, 1)])).unwrap();
    assert_eq!(read, [witness(&plan, 3, 1)]);
    assert!(decode_witnesses("w", b"[{}]").is_err());
}

#[test]
fn a_witness_of_other_rows_than_were_due_proves_that_they_were_not_trained() {
    let plan = plan();
    let mut audit = with_a_death(&plan);
    let mut wrong = witness(&plan, 3, 1);
    wrong.lanes[1] = RowDigest::of([0, 1]);
    audit.add_witnesses([wrong, witness(&plan, 4, 1)]);
    let report = audit.check(&plan, 8);
    assert!(report.never > 0 && report.unexpected == 2, "{report:?}");
}

#[test]
fn a_later_record_takes_the_place_of_a_witness_and_a_later_witness_that_of_a_record() {
    let plan = plan();
    let mut audit = Audit::default();
    audit.add_part("first", &part(&honest(&plan, 0..4, 1))).unwrap();
    let mut of_lost_state = witness(&plan, 3, 0);
    of_lost_state.lanes[0] = RowDigest::of([99]);
    audit.add_witnesses([of_lost_state]);
    assert!(audit.check(&plan, 4).passed());
    let mut later = witness(&plan, 3, 2);
    later.lanes[0] = RowDigest::of([99]);
    audit.add_witnesses([later]);
    assert!(!audit.check(&plan, 4).passed());
}
