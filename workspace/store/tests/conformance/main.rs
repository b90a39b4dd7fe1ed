//! One suite for every implementation of `MetadataStore`: a file, one etcd server, a cluster of three.
//!
//! The tests cite the numbers under "What holds" at the head of the crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backend;
mod election;
mod lease;
mod other_process;
mod range;
mod swap;
mod watch;

macro_rules! suite {
    (@on $backend:ident: $($group:ident { $($test:ident)* })*) => {
        mod $backend {
            $(mod $group {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let Some(backend) = crate::backend::$backend() else { return };
                    crate::backend::in_time(crate::$group::$test(&backend)).await;
                })*
            })*
        }
    };
    ($($tests:tt)*) => {
        suite!(@on embedded: $($tests)*);
        suite!(@on etcd: $($tests)*);
        suite!(@on etcd_of_three: $($tests)*);
    };
}

suite! {
    swap {
        a_value_is_written_replaced_and_deleted_by_who_knows_it
        who_does_not_know_it_is_told_the_present_value
        a_version_never_comes_back
        a_later_write_of_any_key_has_a_greater_version
        of_concurrent_swaps_each_counts_once
        of_concurrent_creations_one_is_done
        what_no_store_takes_is_refused
        a_fenced_write_is_done_while_the_fence_holds
    }
    range {
        it_is_what_begins_with_the_prefix_in_order
        at_the_edges_of_what_a_prefix_is
    }
    watch {
        it_begins_with_what_is_there_and_tells_what_changes
        it_tells_every_change_once_in_order_while_writes_go_on
        it_ends_up_right_however_slow_its_reader
        a_wait_that_is_given_up_loses_nothing
    }
    lease {
        a_key_stays_while_its_lease_is_held
        a_key_vanishes_with_its_lease
        a_key_belongs_to_the_lease_of_its_last_write
        nothing_can_be_put_under_a_lease_that_has_ended
        a_key_vanishes_when_its_holder_is_killed
    }
    election {
        the_next_leads_when_the_leader_resigns
        a_candidate_that_gives_up_does_not_lead
        a_leader_that_was_deposed_writes_nothing
        a_leader_is_told_when_its_key_is_taken_away
        everybody_sees_who_leads
        another_leads_when_the_leader_is_killed
        another_leads_when_the_leader_is_frozen
    }
}
