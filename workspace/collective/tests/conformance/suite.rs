//! The promises, as functions of any [`Collective`]. Every rank of a group calls [`run`].
//!
//! Inputs are random but known: every rank can make every other's, and so knows what must come out.

use std::{env, fs};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tch::{Device, Kind, Tensor};
use twinspire_collective::Collective;

const KINDS: [Kind; 3] = [Kind::Float, Kind::Double, Kind::Int64];

/// How many rows each rank has, in several uneven ways.
const ROWS: [fn(usize) -> i64; 5] = [
    |_| 4,
    |rank| rank as i64 + 1,
    |rank| if rank == 0 { 0 } else { 5 },
    |rank| (rank as i64 % 2) * 1000,
    |_| 0,
];

/// All promises in turn.
pub(crate) fn run(group: &dyn Collective) {
    sums_are_over_all_ranks(group);
    sums_have_the_same_bits_on_every_rank_and_again(group);
    a_strided_tensor_is_summed_where_it_lies(group);
    every_rank_gathers_the_rows_of_all(group);
    every_rank_gets_the_sum_of_what_is_its_own(group);
    everybody_has_what_the_root_had(group);
    nobody_passes_the_barrier_before_all_have_come(group);
    several_megabytes_arrive_whole(group);
    ranks_that_disagree_are_all_told_and_go_on(group);
    arguments_that_cannot_be_taken_are_refused_and_the_group_goes_on(group);
}

/// What `rank` brings: uniform in -1..1, or for integers in -1000..1000.
fn values(kind: Kind, shape: &[i64], rank: usize, seed: u64) -> Tensor {
    let mut random = StdRng::seed_from_u64(seed * 1000 + rank as u64);
    let count: i64 = shape.iter().product();
    let flat = match kind {
        Kind::Int64 => {
            Tensor::from_slice(&(0..count).map(|_| random.random_range(-1000..1000)).collect::<Vec<i64>>())
        }
        _ => Tensor::from_slice(&(0..count).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f64>>()),
    };
    flat.to_kind(kind).view(shape)
}

/// The sum over ranks in rank order.
fn summed(size: usize, part: impl Fn(usize) -> Tensor) -> Tensor {
    (1..size).fold(part(0), |sum, rank| sum + part(rank))
}

/// Sums of a few numbers below 1 may differ in their last bits when added in another order.
fn assert_near(found: &Tensor, expected: &Tensor) {
    assert_eq!((found.kind(), found.size()), (expected.kind(), expected.size()));
    let difference = (found - expected).abs().to_kind(Kind::Double);
    let most = if difference.numel() == 0 { 0.0 } else { difference.max().double_value(&[]) };
    let allowed = match found.kind() {
        Kind::Float => 1e-6,
        Kind::Double => 1e-14,
        _ => 0.0,
    };
    assert!(most <= allowed, "off by {most:e}");
}

fn assert_same(found: &Tensor, expected: &Tensor) {
    assert_eq!((found.kind(), found.size()), (expected.kind(), expected.size()));
    assert!(found.equal(expected), "{found} is not {expected}");
}

fn sums_are_over_all_ranks(group: &dyn Collective) {
    let shapes: [&[i64]; 6] = [&[], &[1], &[7], &[5, 3], &[257, 33], &[0, 4]];
    for kind in KINDS {
        for (seed, shape) in shapes.iter().enumerate() {
            let part = |rank| values(kind, shape, rank, seed as u64);
            let mut found = part(group.rank());
            group.all_reduce_sum(&mut found).unwrap();
            assert_near(&found, &summed(group.size(), part));
        }
    }
}

fn sums_have_the_same_bits_on_every_rank_and_again(group: &dyn Collective) {
    // Sizes 3 to 19 orders of magnitude apart: any other order of adding shows in the last bits.
    for (seed, length) in [1, 5, 4093, 100_003].into_iter().enumerate() {
        let scattered = (values(Kind::Float, &[length], group.rank(), seed as u64) * 20.0).exp();
        let sum = || {
            let mut tensor = scattered.copy();
            group.all_reduce_sum(&mut tensor).unwrap();
            tensor.view_dtype(Kind::Int)
        };
        let first = sum();
        assert_same(&sum(), &first);
        for bits in group.all_gather(&first).unwrap() {
            assert_same(&bits, &first);
        }
    }
}

fn a_strided_tensor_is_summed_where_it_lies(group: &dyn Collective) {
    let part = |rank| values(Kind::Double, &[6, 4], rank, 50);
    let whole = part(group.rank());
    group.all_reduce_sum(&mut whole.tr()).unwrap();
    assert_near(&whole, &summed(group.size(), part));
}

fn every_rank_gathers_the_rows_of_all(group: &dyn Collective) {
    for kind in KINDS {
        for (seed, rows) in ROWS.iter().enumerate() {
            for row in [&[][..], &[8], &[2, 3], &[0]] {
                let shape = |rank| [&[rows(rank)], row].concat();
                let part = |rank| values(kind, &shape(rank), rank, 100 + seed as u64);
                let own = part(group.rank());
                let own = if kind == Kind::Int64 { own } else { own.set_requires_grad(true) };
                let found = group.all_gather(&own).unwrap();
                assert_eq!(found.len(), group.size());
                for (rank, found) in found.iter().enumerate() {
                    assert_same(found, &part(rank));
                    assert!(!found.requires_grad());
                }
            }
        }
    }
}

fn every_rank_gets_the_sum_of_what_is_its_own(group: &dyn Collective) {
    for kind in KINDS {
        for (seed, rows) in ROWS.iter().enumerate() {
            for row in [&[][..], &[8], &[2, 3]] {
                let part = |from: usize, to: usize| {
                    values(kind, &[&[rows(to)], row].concat(), from * 10 + to, 200 + seed as u64)
                };
                let parts: Vec<Tensor> = (0..group.size()).map(|to| part(group.rank(), to)).collect();
                let found = group.reduce_scatter_sum(&parts).unwrap();
                // Bit for bit: the sum is in rank order wherever it is made.
                assert_same(&found, &summed(group.size(), |from| part(from, group.rank())));
            }
        }
    }
}

fn everybody_has_what_the_root_had(group: &dyn Collective) {
    for kind in KINDS {
        for root in 0..group.size() {
            for shape in [&[][..], &[1000, 3], &[0]] {
                let mut found = values(kind, shape, group.rank(), 300);
                group.broadcast(&mut found, root).unwrap();
                assert_same(&found, &values(kind, shape, root, 300));
            }
        }
    }
}

fn nobody_passes_the_barrier_before_all_have_come(group: &dyn Collective) {
    // One directory for the group: its name comes from rank 0.
    let mut name = Tensor::from(i64::from(std::process::id()));
    group.broadcast(&mut name, 0).unwrap();
    let name = format!("twinspire-barrier-{}-of-{}", i64::try_from(name).unwrap(), group.size());
    let directory = env::temp_dir().join(name);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(group.rank().to_string()), "").unwrap();
    group.barrier().unwrap();
    for rank in 0..group.size() {
        assert!(directory.join(rank.to_string()).exists(), "rank {rank} had not come");
    }
    group.barrier().unwrap();
    if group.rank() == 0 {
        fs::remove_dir_all(&directory).unwrap();
    }
}

fn several_megabytes_arrive_whole(group: &dyn Collective) {
    // 8 MB a rank.
    let part =
        |rank| Tensor::arange(2_000_000, (Kind::Float, Device::Cpu)).remainder(1000.0) * (rank as f64 + 1.0);
    let mut sum = part(group.rank());
    group.all_reduce_sum(&mut sum).unwrap();
    assert_same(&sum, &summed(group.size(), part));

    let rows = |rank: usize| 200_000 - rank as i64;
    let own = part(group.rank()).narrow(0, 0, rows(group.rank()));
    for (rank, found) in group.all_gather(&own).unwrap().iter().enumerate() {
        assert_same(found, &part(rank).narrow(0, 0, rows(rank)));
    }
    let parts: Vec<Tensor> = (0..group.size()).map(|to| part(group.rank()).narrow(0, 0, rows(to))).collect();
    let sum = sum.narrow(0, 0, rows(group.rank()));
    assert_same(&group.reduce_scatter_sum(&parts).unwrap(), &sum);
}

fn ranks_that_disagree_are_all_told_and_go_on(group: &dyn Collective) {
    if group.size() == 1 {
        return;
    }
    let last = group.rank() == group.size() - 1;
    let code = |result: Result<_, twinspire_collective::CollectiveError>| result.err().unwrap().code();
    let options = (Kind::Float, Device::Cpu);

    let wide = Tensor::zeros([2, if last { 4 } else { 3 }], options);
    assert_eq!(code(group.all_gather(&wide).map(drop)), "TW4106");
    let kind = Tensor::zeros([2], (if last { Kind::Double } else { Kind::Float }, Device::Cpu));
    assert_eq!(code(group.all_gather(&kind).map(drop)), "TW4106");
    let parts: Vec<_> =
        (0..group.size()).map(|_| Tensor::zeros([if last { 2 } else { 1 }], options)).collect();
    assert_eq!(code(group.reduce_scatter_sum(&parts).map(drop)), "TW4106");
    let parts: Vec<_> = (0..group.size()).map(|_| Tensor::zeros([1], options)).collect();
    let other =
        if last { group.all_gather(&parts[0]).map(drop) } else { group.reduce_scatter_sum(&parts).map(drop) };
    assert_eq!(code(other), "TW4106");

    group.barrier().unwrap();
}

fn arguments_that_cannot_be_taken_are_refused_and_the_group_goes_on(group: &dyn Collective) {
    let code = |result: Result<(), twinspire_collective::CollectiveError>| result.err().unwrap().code();
    let one = || Tensor::zeros([1], (Kind::Float, Device::Cpu));
    let parts: Vec<Tensor> = (0..=group.size()).map(|_| one()).collect();

    assert_eq!(code(group.all_reduce_sum(&mut one().to_kind(Kind::Bool))), "TW4107");
    assert_eq!(code(group.all_gather(&Tensor::from(1.0)).map(drop)), "TW4107");
    assert_eq!(code(group.reduce_scatter_sum(&parts).map(drop)), "TW4107");
    assert_eq!(code(group.broadcast(&mut one(), group.size())), "TW4107");

    group.barrier().unwrap();
}
