//! Topics, styles, items and their popularity.

use std::ops::Range;

use rand::Rng;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::spec::GenerateSpec;

/// Items of a style.
pub const STYLE: usize = 16;
/// Exponent of the popularity of items and topics.
const ZIPF: f64 = 0.8;

/// Random streams of one seed that never meet: users take 0, 1, 2, …
pub(crate) mod streams {
    /// The world.
    pub(crate) const WORLD: u64 = u64::MAX;
    /// How many events each user has.
    pub(crate) const LENGTHS: u64 = u64::MAX - 1;
    /// Item i of the catalogue takes `ITEMS + i`.
    pub(crate) const ITEMS: u64 = 1 << 62;
    /// Centre i (of a topic or style) takes `CENTRES + i`.
    pub(crate) const CENTRES: u64 = 1 << 61;
}

/// A generator of one stream of the seed.
pub(crate) fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// All items, laid out by topic and style: a *slot* is an item's place in that layout, and any
/// topic or style is a range of slots, so one prefix sum of popularities serves every draw.
pub struct World {
    items: usize,
    topics: usize,
    /// `[items + 1]` sums of popularities up to a slot.
    prefix: Vec<f64>,
    /// `[items]` slot -> the number in its id: ids tell nothing about topics.
    numbers: Vec<u32>,
}

impl World {
    /// The world of a spec.
    pub fn new(spec: &GenerateSpec) -> World {
        let items = spec.items as usize;
        let topics = (items / 100).clamp(4, 200);
        let mut rng = rng(spec.seed, streams::WORLD);
        let mut numbers: Vec<u32> = (0..items as u32).collect();
        numbers.shuffle(&mut rng);
        let mut ranks: Vec<u32> = (0..items as u32).collect();
        ranks.shuffle(&mut rng);
        let mut topic_ranks: Vec<u32> = (0..topics as u32).collect();
        topic_ranks.shuffle(&mut rng);

        let mut prefix = Vec::with_capacity(items + 1);
        let mut sum = 0.0;
        prefix.push(sum);
        let mut world = World { items, topics, prefix: Vec::new(), numbers };
        for (topic, topic_rank) in topic_ranks.iter().enumerate() {
            let topic_weight = (f64::from(*topic_rank) + 4.0).powf(-ZIPF);
            for slot in world.topic(topic) {
                sum += topic_weight * (f64::from(ranks[slot]) + 10.0).powf(-ZIPF);
                prefix.push(sum);
            }
        }
        world.prefix = prefix;
        world
    }

    /// Number of topics.
    pub fn topics(&self) -> usize {
        self.topics
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Slots of a topic.
    pub fn topic(&self, topic: usize) -> Range<usize> {
        topic * self.items / self.topics..(topic + 1) * self.items / self.topics
    }

    /// Topic of a slot.
    pub fn topic_of(&self, slot: usize) -> usize {
        // The inverse of `topic`'s floor, which rounding can miss by one.
        let guess = (slot * self.topics / self.items).min(self.topics - 1);
        (guess.saturating_sub(1)..=guess + 1)
            .find(|topic| self.topic(*topic).contains(&slot))
            .unwrap_or(guess)
    }

    /// Slots of the style a slot belongs to: 16 neighbours within its topic.
    pub fn style_of(&self, slot: usize) -> Range<usize> {
        let topic = self.topic(self.topic_of(slot));
        let start = topic.start + (slot - topic.start) / STYLE * STYLE;
        start..(start + STYLE).min(topic.end)
    }

    /// Number of a slot's style among all styles.
    pub fn style_number(&self, slot: usize) -> u64 {
        let topic = self.topic_of(slot);
        let most_a_topic = (self.items / self.topics + 1).div_ceil(STYLE);
        (topic * most_a_topic + (slot - self.topic(topic).start) / STYLE) as u64
    }

    /// A slot of the range, by popularity.
    pub fn draw(&self, range: Range<usize>, rng: &mut impl Rng) -> usize {
        let (low, high) = (self.prefix[range.start], self.prefix[range.end]);
        let at = low + rng.random::<f64>() * (high - low);
        let slots = &self.prefix[range.start + 1..range.end];
        // Rounding may put `at` on the very end.
        (range.start + slots.partition_point(|sum| *sum <= at)).min(range.end - 1)
    }

    /// The number in the id of a slot's item.
    pub fn number(&self, slot: usize) -> u32 {
        self.numbers[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(items: u64) -> World {
        World::new(&GenerateSpec { items, ..GenerateSpec::default() })
    }

    #[test]
    fn every_slot_is_in_exactly_the_topic_it_says() {
        for items in [64, 777, 5000] {
            let world = world(items);
            for slot in 0..world.items() {
                let holding: Vec<_> =
                    (0..world.topics()).filter(|t| world.topic(*t).contains(&slot)).collect();
                assert_eq!(holding, [world.topic_of(slot)]);
                assert!(world.style_of(slot).contains(&slot));
            }
            let numbers =
                |slots: Range<usize>| slots.map(|slot| world.style_number(slot)).collect::<Vec<_>>();
            for pair in numbers(0..world.items()).windows(2) {
                assert!(pair[0] <= pair[1]);
            }
            for slot in 0..world.items() {
                assert!(
                    numbers(world.style_of(slot)).iter().all(|number| *number == world.style_number(slot))
                );
            }
        }
    }

    #[test]
    fn draws_stay_in_the_range_and_favour_the_popular() {
        let world = world(1000);
        let mut rng = rng(1, 1);
        let mut counts = vec![0u32; 1000];
        for _ in 0..20_000 {
            counts[world.draw(0..1000, &mut rng)] += 1;
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        assert!(counts[..10].iter().sum::<u32>() > 20 * counts[500..510].iter().sum::<u32>());
        assert!((0..1000).all(|_| (20..30).contains(&world.draw(20..30, &mut rng))));
    }
}
