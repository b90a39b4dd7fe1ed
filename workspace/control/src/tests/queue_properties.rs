//! What holds of every decision about who gets which workers.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    Device, JobName, Policy,
    queue::{Decision, Excluded, Running, Waiting, decide},
    readiness::Newcomers,
    shares::Shares,
};

const KINDS: [&[Device]; 3] = [&[Device::Cpu], &[Device::Cuda, Device::Cpu], &[Device::Cuda]];

fn any_waiting() -> impl Strategy<Value = Waiting> {
    (-1i32..3, 1u32..6, 0u32..6, 0usize..3, 0u64..100).prop_map(|(priority, min, more, kinds, seconds)| {
        Waiting {
            job: "".into(),
            priority,
            min,
            max: min + more,
            kinds: KINDS[kinds],
            waited: Duration::from_secs(seconds),
            memory: None,
            let_go: Duration::ZERO,
            excluded: Excluded::default(),
        }
    })
}

fn any_running() -> impl Strategy<Value = Running> {
    (-1i32..3, 1u32..6, 0u32..4, 0u32..4, any::<bool>(), any::<bool>(), 0u64..100).prop_map(
        |(priority, min, more, most, cuda, stoppable, seconds)| Running {
            job: "".into(),
            priority,
            sequence: 0,
            device: if cuda { Device::Cuda } else { Device::Cpu },
            members: min + more,
            min,
            max: min + more + most,
            stoppable,
            age: Duration::from_secs(seconds),
            newcomers: Newcomers { ready: more, waited: Duration::from_secs(seconds), unfit: most },
        },
    )
}

/// A pool in which everything adds up.
fn any_pool() -> impl Strategy<Value = (Vec<Waiting>, Vec<Running>, Shares)> {
    let counts = || (0u32..8, 0u32..5, 0u32..3);
    let jobs = (prop::collection::vec(any_waiting(), 0..6), prop::collection::vec(any_running(), 0..5));
    (jobs, counts(), counts()).prop_map(|((mut waiting, mut running), cpu, cuda)| {
        waiting.sort_by_key(|job| std::cmp::Reverse(job.priority));
        for (at, job) in waiting.iter_mut().enumerate() {
            job.job = JobName::from(format!("w{at}"));
        }
        for (at, job) in running.iter_mut().enumerate() {
            (job.job, job.sequence) = (JobName::from(format!("r{at}")), at as u64);
        }
        let mut shares = Shares::default();
        for (kind, (free, returning, others)) in [(Device::Cpu, cpu), (Device::Cuda, cuda)] {
            let busy: u32 = running.iter().filter(|job| job.device == kind).map(|job| job.members).sum();
            shares.free.set(kind, free);
            shares.returning.set(kind, returning);
            shares.all.set(kind, free + returning + others + busy);
        }
        (waiting, running, shares)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_decided_adds_up((waiting, running, shares) in any_pool()) {
        let policy = Policy::default();
        let decisions = decide(&waiting, &running, &shares, &policy, false);
        let mut left = shares.free.clone();
        let mut decided: Vec<&JobName> = Vec::new();
        for decision in &decisions {
            match decision {
                Decision::Start { job, device, workers } => {
                    let asked = waiting.iter().find(|waiting| waiting.job == *job).unwrap();
                    prop_assert!((asked.min..=asked.max).contains(workers));
                    prop_assert!(asked.kinds.contains(device));
                    prop_assert!(left.of(*device) >= *workers, "more given than free");
                    left.take(*device, *workers);
                    decided.push(job);
                }
                Decision::Wait { job, reason } => {
                    prop_assert!(!reason.is_empty());
                    decided.push(job);
                }
                Decision::Stop { job, .. } | Decision::Grow { job, .. } | Decision::GetReady { job, .. } => {
                    prop_assert!(running.iter().any(|running| running.job == *job && running.stoppable));
                    decided.push(job);
                }
            }
        }
        for job in &waiting {
            prop_assert_eq!(decided.iter().filter(|name| ***name == job.job).count(), 1);
        }
        decided.sort();
        decided.dedup();
        prop_assert_eq!(decided.len(), decisions.len(), "two decisions on one job");

        // Invariant H: whatever began after a job that waits could not have served that one.
        let begun: Vec<(usize, Device, u32)> = decisions.iter().filter_map(|decision| match decision {
            Decision::Start { job, device, workers } => {
                Some((waiting.iter().position(|waiting| waiting.job == *job)?, *device, *workers))
            }
            _ => None,
        }).collect();
        for (at, job) in waiting.iter().enumerate() {
            if begun.iter().any(|(begun, ..)| *begun == at) || job.waited < policy.reconnect {
                continue;
            }
            for kind in job.kinds {
                let later: u32 = begun.iter().filter(|(begun, device, _)| *begun > at && device == kind)
                    .map(|(.., workers)| workers).sum();
                prop_assert!(later == 0 || left.of(*kind) + later < job.min, "{} was passed over", job.job);
                // Invariant G: nobody waits for what is free and held for nobody before it.
                let held = waiting[..at].iter().enumerate().any(|(before, other)| {
                    other.kinds.contains(kind) && !begun.iter().any(|(begun, ..)| *begun == before)
                });
                prop_assert!(held || left.of(*kind) < job.min, "{} waits for what is free", job.job);
            }
            // Nor does anybody go ahead of whom workers are held for.
            let is_held_for = |decision: &Decision| {
                matches!(decision, Decision::Wait { job: name, reason }
                    if *name == job.job && reason.ends_with("held for it"))
            };
            if decisions.iter().any(is_held_for) {
                let kinds: Vec<&Device> = job.kinds.iter().filter(|kind| shares.all.of(**kind) >= job.min).collect();
                prop_assert!(!begun.iter().any(|(begun, device, _)| *begun > at && kinds.contains(&device)));
            }
        }
    }
}
