//! Workers that come, come back, and are replaced.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// The address at which rank 0 listens.
fn ready(port: u32) -> FromWorker {
    FromWorker::RendezvousReady { host: "h".into(), port }
}

fn at(port: u32) -> Order {
    Order::Rendezvous { host: "h".into(), port }
}

#[test]
fn a_worker_whose_connection_breaks_has_time_to_come_back() {
    let mut world = World::training(2);
    world.cut("w2");
    world.pass(SECOND, &["w2"]);
    let before = world.attempt("a").clone();
    world.reconnect("w2", world.task("w2"));
    world.pass(SECOND * 5, &[]);
    assert_eq!(world.attempt("a"), &before);
}

#[test]
fn a_worker_that_does_not_come_back_in_time_is_lost() {
    let mut world = World::training(2);
    world.cut("w2");
    world.pass(Policy::default().reconnect, &["w2"]);
    assert_eq!(world.worker("w2"), None);
    assert_eq!(world.job("a").phase, Phase::Pending);
}

#[test]
fn an_idle_worker_whose_connection_breaks_is_gone() {
    let mut world = World::new(1);
    world.cut("w1");
    assert_eq!(world.worker("w1"), None);
}

#[test]
fn a_worker_that_connects_again_before_the_old_connection_is_seen_to_end_has_one_connection() {
    let mut world = World::training(1);
    let old = world.session("w1");
    world.reconnect("w1", world.task("w1"));
    assert!(world.dismissed(old));
    world.apply(Event::Left { session: old, why: "closed".into() });
    assert_eq!(world.worker("w1").unwrap().cut_off, None);
    let late = Event::Said { session: old, generation: Generation(1), what: trained(false) };
    assert_eq!(world.apply(late), [], "whatever it still says on the old one does not count");
}

#[test]
fn a_registration_that_was_overtaken_by_a_later_one_does_not_count() {
    let mut world = World::training(1);
    let late = Session(1);
    world.reconnect("w1", world.task("w1"));
    let before = world.state.clone();
    let registration = Registration {
        name: "w1".into(),
        incarnation: Incarnation(1),
        device: Device::Cpu,
        about: String::new(),
        running: None,
        state: None,
    };
    world.apply(Event::Registered(late, registration));
    assert!(world.dismissed(late));
    assert_eq!(world.state, before);
}

#[test]
fn an_assignment_that_never_arrived_is_sent_again_with_all_that_came_after_it() {
    let mut world = World::training(2);
    world.cut("w2");
    world.say("w1", ready(7));
    world.ask(Verb::Pause("a".into())).unwrap();
    world.reconnect("w2", None);
    let told = world.told("w2");
    assert!(
        matches!(&told[..], [Order::Assign(a), Order::Rendezvous { .. }, Order::StopAfterStep { .. }]
        if a.rank == Rank(1) && a.world == 2 && a.lanes == (4..8)),
        "{told:?}"
    );
    assert_eq!(world.task("w2").unwrap().generation, Generation(1));
}

#[test]
fn a_worker_that_still_holds_an_earlier_finished_task_is_assigned_the_present_one_again() {
    let mut world = World::training(1);
    let earlier = world.task("w1");
    world.say("w1", trained(false));
    assert_eq!(world.job("a").phase, Phase::Evaluating);
    world.cut("w1");
    world.reconnect("w1", earlier);
    assert!(matches!(&world.told("w1")[..], [Order::Assign(_)]));
    assert_eq!(world.job("a").retries, 0);
}

#[test]
fn the_address_of_rank_0_is_passed_on_and_repeated_to_who_comes_back() {
    let mut world = World::training(3);
    world.say("w1", ready(7));
    assert_eq!((world.told("w2"), world.told("w3")), (vec![at(7)], vec![at(7)]));
    assert_eq!(world.say("w1", ready(7)), [], "they know");
    world.say("w1", ready(8));
    assert_eq!((world.told("w1"), world.told("w2")), (vec![], vec![at(8)]));
    world.cut("w3");
    world.reconnect("w3", world.task("w3"));
    assert_eq!(world.told("w3"), [at(8)]);
}

#[test]
fn that_training_stops_is_repeated_to_who_comes_back() {
    let mut world = World::training(2);
    world.cut("w2");
    world.ask(Verb::Cancel("a".into())).unwrap();
    assert_eq!((world.told("w1"), world.told("w2")), (vec![stop()], vec![]));
    world.reconnect("w2", world.task("w2"));
    assert_eq!(world.told("w2"), [stop()]);
}

#[test]
fn a_process_that_was_started_again_has_lost_its_task() {
    let mut world = World::training(2);
    let old = world.session("w2");
    world.join("w2", Device::Cpu);
    assert!(world.dismissed(old));
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Pending, 1));
    assert_eq!(world.task("w2"), None);
}

#[test]
fn a_task_that_was_given_up_while_its_worker_was_away_is_aborted_when_it_is_back() {
    let mut world = World::training(2);
    let dead = world.task("w2");
    world.pass(SECOND * 4, &["w2"]);
    assert_eq!(world.worker("w2"), None, "frozen");
    world.reconnect("w2", dead.clone());
    assert_eq!(world.told("w2"), [Order::Abort]);
    assert_eq!(world.task("w2"), dead, "nothing else until it has let go");
    world.say("w1", FromWorker::Idle);
    assert_eq!(world.job("a").phase, Phase::Pending);
    world.say("w2", FromWorker::Idle);
    assert_eq!(world.members("a"), ["w1", "w2"]);
}

#[test]
fn what_a_worker_says_of_a_task_that_was_given_up_changes_nothing_but_that_it_is_free() {
    let mut world = World::training(2);
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.ask(Verb::Cancel("a".into())).unwrap();
    let cancelled = world.job("a").clone();
    world.say("w1", FromWorker::CheckpointCommitted { step: 100 });
    world.say("w1", trained(true));
    world.say("w2", failure(FailureKind::BadInput));
    assert_eq!(world.job("a"), &cancelled);
    assert!(world.worker("w1").unwrap().is_free() && world.worker("w2").unwrap().is_free());
}

#[test]
fn a_message_of_an_older_generation_changes_nothing() {
    let mut world = World::training(1);
    world.say("w1", trained(false));
    let before = world.state.clone();
    world.say_of("w1", Generation(1), FromWorker::Idle);
    assert!(matches!(world.said.as_slice(), [Command::Tell { notice: Notice::Refused { .. }, .. }]));
    assert_eq!(world.state, before);
}

#[test]
fn no_two_tasks_of_all_jobs_have_the_same_generation() {
    let mut world = World::new(2);
    world.submit(job("a", 1, 1));
    world.submit(Request { generation: Generation(40), ..job("b", 1, 1) });
    assert_eq!(world.attempt("a").generation, Generation(1));
    assert_eq!(world.attempt("b").generation, Generation(41));
    world.say("w1", trained(false));
    assert_eq!(world.attempt("a").generation, Generation(42));
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.say("w1", FromWorker::Idle);
    world.ask(Verb::Delete("a".into())).unwrap();
    world.change_coordinators();
    world.join("w1", Device::Cpu);
    world.submit(job("a", 1, 1));
    assert_eq!(world.attempt("a").generation, Generation(43));
}

#[test]
fn a_rank_that_is_done_may_die_and_come_back_for_another_job() {
    let mut world = World::training(3);
    world.submit(job("b", 1, 1));
    world.say("w2", trained(false));
    world.join("w2", Device::Cpu);
    assert_eq!(world.job("a").phase, Phase::Running, "its part was finished");
    assert_eq!(world.members("b"), ["w2"]);
    world.cut("w2");
    world.say("w1", failure(FailureKind::LostPeer));
    assert!(world.worker("w2").is_some(), "that of job a was another process");
    world.reconnect("w2", world.task("w2"));
    world.all_say(&["w1", "w3"], &trained(false));
    assert_eq!((world.job("a").phase, world.job("b").phase), (Phase::Evaluating, Phase::Running));
    assert_eq!(world.task("w2").unwrap().job, "b".into(), "the end of a's stage is none of its business");
}
