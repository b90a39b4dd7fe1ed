//! One user's history, a function of (seed, user).

use rand::Rng;
use rand::distr::Distribution;
use rand_distr::LogNormal;

use crate::spec::GenerateSpec;
use crate::world::{World, rng};

/// Actions by code, and whether a job should count them as positive.
pub const ACTIONS: [(&str, bool); 4] =
    [("click", true), ("long_view", true), ("save", true), ("hide", false)];
/// Surfaces by code.
pub const SURFACES: [&str; 3] = ["home", "related", "search"];

const CLICK: u8 = 0;
const LONG_VIEW: u8 = 1;
const SAVE: u8 = 2;
const HIDE: u8 = 3;

const DAY_MS: i64 = 86_400_000;

/// One engagement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Milliseconds since 1970.
    pub time: i64,
    /// Slot of the item in the [`World`].
    pub slot: u32,
    /// Index into [`ACTIONS`].
    pub action: u8,
    /// Index into [`SURFACES`].
    pub surface: u8,
    /// Seconds.
    pub duration: f32,
}

/// A topic a user cares for.
struct Interest {
    topic: usize,
    weight: f64,
    /// A slot of the favourite style.
    favourite: usize,
}

/// The history of a user: `count` events in time order, appended to `events`.
pub fn history(spec: &GenerateSpec, world: &World, user: u64, count: usize, events: &mut Vec<Event>) {
    let rng = &mut rng(spec.seed, user);
    let mut interests: Vec<Interest> = (0..rng.random_range(2..=5)).map(|_| interest(world, rng)).collect();
    let mut topic = interests[0].topic;
    let first = events.len();

    let (lengths, starts) = sessions(spec, count, rng);
    let (Ok(gap), Ok(glance), Ok(stay)) =
        (LogNormal::new(3.2, 0.9), LogNormal::new(1.6, 0.7), LogNormal::new(3.9, 0.6))
    else {
        return; // constant parameters: they are valid
    };
    let mut time = i64::MIN;
    for (length, start) in lengths.into_iter().zip(starts) {
        if rng.random_bool(0.08) {
            drift(world, &mut interests, topic, rng);
        }
        if rng.random_bool(0.45) {
            topic = pick(&interests, rng);
        }
        time = start.max(time.saturating_add(60_000));
        for _ in 0..length {
            let seen = &events[first..];
            let (slot, surface) = next_item(world, &interests, topic, seen, rng);
            let affinity = affinity(world, &interests, slot);
            let action = action(affinity, rng);
            let duration: f64 = match action {
                CLICK => glance.sample(rng),
                HIDE => 1.0 + glance.sample(rng) * 0.2,
                _ => 20.0 + stay.sample(rng),
            };
            events.push(Event {
                time,
                slot: slot as u32,
                action,
                surface,
                duration: ((duration * 10.0).round() / 10.0) as f32,
            });
            time += 1000 + (1000.0 * (duration + gap.sample(rng))) as i64;
        }
    }
}

/// Lengths of the sessions and when they start, in time order.
fn sessions(spec: &GenerateSpec, count: usize, rng: &mut impl Rng) -> (Vec<usize>, Vec<i64>) {
    let mut lengths = Vec::new();
    let mut left = count;
    while left > 0 {
        let length = (1 + (-8.0 * (1.0 - rng.random::<f64>()).ln()) as usize).min(left);
        lengths.push(length);
        left -= length;
    }
    let hour: f64 = rng.random_range(7.0..22.0);
    let days = i64::from(spec.days);
    let mut starts: Vec<i64> = lengths
        .iter()
        .map(|_| {
            let day = rng.random_range(0..days);
            let spread: f64 = (0..4).map(|_| rng.random_range(-2.0..2.0)).sum();
            let within = (((hour + spread).rem_euclid(24.0)) * 3_600_000.0) as i64;
            spec.start_ms + day * DAY_MS + within
        })
        .collect();
    starts.sort_unstable();
    (lengths, starts)
}

fn interest(world: &World, rng: &mut impl Rng) -> Interest {
    let topic = world.topic_of(world.draw(0..world.items(), rng));
    in_topic(world, topic, rng)
}

fn in_topic(world: &World, topic: usize, rng: &mut impl Rng) -> Interest {
    Interest { topic, weight: rng.random_range(0.2..1.0), favourite: world.draw(world.topic(topic), rng) }
}

/// The weakest interest gives way to another, often one beside the current topic.
fn drift(world: &World, interests: &mut [Interest], topic: usize, rng: &mut impl Rng) {
    let new = if rng.random_bool(0.6) {
        in_topic(world, (topic + rng.random_range(1..3)) % world.topics(), rng)
    } else {
        interest(world, rng)
    };
    if let Some(weakest) = interests.iter_mut().min_by(|a, b| a.weight.total_cmp(&b.weight)) {
        *weakest = new;
    }
}

fn pick(interests: &[Interest], rng: &mut impl Rng) -> usize {
    let total: f64 = interests.iter().map(|interest| interest.weight).sum();
    let mut at = rng.random::<f64>() * total;
    for interest in interests {
        at -= interest.weight;
        if at <= 0.0 {
            return interest.topic;
        }
    }
    interests[0].topic
}

/// The item engaged with next, and where: mostly something not seen lately.
fn next_item(
    world: &World,
    interests: &[Interest],
    topic: usize,
    seen: &[Event],
    rng: &mut impl Rng,
) -> (usize, u8) {
    let lately = &seen[seen.len().saturating_sub(200)..];
    let known = |slot: usize| lately.iter().any(|event| event.slot as usize == slot);
    let mut choice = (0, 0);
    for _ in 0..3 {
        choice = propose(world, interests, topic, seen.last(), &known, rng);
        if !known(choice.0) {
            break;
        }
    }
    choice
}

fn propose(
    world: &World,
    interests: &[Interest],
    topic: usize,
    last: Option<&Event>,
    known: &impl Fn(usize) -> bool,
    rng: &mut impl Rng,
) -> (usize, u8) {
    let way: f64 = rng.random();
    // The next of the same style, round and round.
    if let Some(last) = last.filter(|last| way < 0.45 && world.topic_of(last.slot as usize) == topic) {
        let style = world.style_of(last.slot as usize);
        let place = last.slot as usize - style.start;
        let after = (1..style.len()).map(|step| style.start + (place + step) % style.len());
        let skip = usize::from(rng.random_bool(0.25));
        if let Some(slot) = after.filter(|slot| !known(*slot)).nth(skip) {
            return (slot, 1);
        }
    }
    if way < 0.88 {
        let favourite = interests.iter().find(|interest| interest.topic == topic).map(|i| i.favourite);
        let range = match favourite {
            Some(slot) if rng.random_bool(0.4) => world.style_of(slot),
            _ => world.topic(topic),
        };
        return (world.draw(range, rng), if way < 0.8 { 0 } else { 2 });
    }
    (world.draw(0..world.items(), rng), if way < 0.97 { 0 } else { 2 })
}

/// How much a user cares for an item, 0 to 1.
fn affinity(world: &World, interests: &[Interest], slot: usize) -> f64 {
    let topic = world.topic_of(slot);
    match interests.iter().find(|interest| interest.topic == topic) {
        Some(interest) if world.style_of(interest.favourite).contains(&slot) => 1.0,
        Some(interest) => 0.4 + 0.4 * interest.weight,
        None => 0.1,
    }
}

/// Click .72 … .45, long view .11 … .35, save .06 … .20, hide .11 … 0, by affinity.
fn action(affinity: f64, rng: &mut impl Rng) -> u8 {
    let at: f64 = rng.random();
    let save = 0.04 + 0.16 * affinity;
    let long_view = save + 0.08 + 0.27 * affinity;
    let hide = long_view + 0.12 * (1.0 - affinity);
    match at {
        at if at < save => SAVE,
        at if at < long_view => LONG_VIEW,
        at if at < hide => HIDE,
        _ => CLICK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: u64, count: usize) -> Vec<Event> {
        let spec = GenerateSpec::default();
        let world = World::new(&spec);
        let mut events = Vec::new();
        history(&spec, &world, user, count, &mut events);
        events
    }

    #[test]
    fn a_history_has_the_asked_length_and_runs_forward_in_time() {
        for count in [1, 5, 300] {
            let events = of(3, count);
            assert_eq!(events.len(), count);
            assert!(events.windows(2).all(|pair| pair[0].time < pair[1].time));
        }
    }

    #[test]
    fn a_history_depends_on_the_user_and_nothing_else() {
        assert_eq!(of(3, 50), of(3, 50));
        assert_ne!(of(3, 50), of(4, 50));
    }

    #[test]
    fn the_next_item_is_often_of_the_style_of_the_last() {
        let spec = GenerateSpec::default();
        let world = World::new(&spec);
        let events = of(11, 400);
        let same = events
            .windows(2)
            .filter(|pair| world.style_of(pair[0].slot as usize).contains(&(pair[1].slot as usize)))
            .count();
        assert!(same > 100, "{same} of 399 stay in the style: by chance it would be about 1");
    }
}
