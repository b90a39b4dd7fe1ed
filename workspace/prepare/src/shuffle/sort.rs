//! A partition in its final order.

use std::cmp::Ordering;

use crate::clean::Times;
use crate::dictionary::{Dictionary, SharedDictionary};
use crate::event::Event;

/// What is known once all of the log has been read.
pub(crate) struct Finals {
    /// What numeric timestamps are.
    pub(crate) times: Times,
    /// From the codes of actions and surfaces to their places in the manifest.
    pub(crate) actions: Vec<u8>,
    pub(crate) surfaces: Vec<u8>,
    pub(crate) items: std::sync::Arc<SharedDictionary>,
    /// Whether of events that are the same in everything only one stays.
    pub(crate) drop_repeats: bool,
}

/// A partition: users by the hash of their id, each one's events in their order.
pub(crate) struct Sorted {
    users: Dictionary,
    /// Rank -> code in `users`.
    ranked: Vec<u32>,
    /// `Event::user` is the rank.
    events: Vec<Event>,
    repeats: u64,
}

impl Sorted {
    pub(super) fn new(users: Dictionary, mut events: Vec<Event>, finals: &Finals) -> Sorted {
        let mut ranked: Vec<u32> = (0..users.len() as u32).collect();
        ranked.sort_unstable_by_key(|code| (users.hash(*code), users.bytes_of(*code)));
        let mut ranks = vec![0; ranked.len()];
        for (rank, code) in ranked.iter().enumerate() {
            ranks[*code as usize] = rank as u32;
        }
        let place = |places: &[u8], code: u8| places.get(code as usize).copied().unwrap_or_default();
        events.retain_mut(|event| {
            let Some(time) = finals.times.milliseconds(event.time, event.kind()) else { return false };
            event.at(time);
            event.user = ranks[event.user as usize];
            event.action = place(&finals.actions, event.action);
            event.surface = place(&finals.surfaces, event.surface);
            true
        });
        events.sort_unstable_by(|a, b| compare(a, b, &finals.items));
        let all = events.len();
        if finals.drop_repeats {
            events.dedup_by(|a, b| compare(a, b, &finals.items).is_eq());
        }
        let repeats = (all - events.len()) as u64;
        Sorted { users, ranked, events, repeats }
    }

    /// Every user with events: id and events.
    pub(crate) fn users(&self) -> impl Iterator<Item = (&[u8], &[Event])> {
        self.events
            .chunk_by(|a, b| a.user == b.user)
            .map(|events| (self.users.bytes_of(self.ranked[events[0].user as usize]), events))
    }

    /// How many events were left out because they repeat another.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// All events.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }
}

/// A total order up to events that are the same in everything, so that the result does not depend
/// on the order in which they came: user, part, time, order, then what is left.
fn compare(a: &Event, b: &Event, items: &SharedDictionary) -> Ordering {
    let key = |event: &Event| (event.user, event.part(), event.time, event.order);
    key(a).cmp(&key(b)).then_with(|| {
        let rest = |event: &Event| (event.action, event.surface, event.duration.to_bits());
        let item = match a.item == b.item {
            true => Ordering::Equal,
            // Codes depend on who came first; the hash does not. Two items of one hash are told
            // apart by their ids.
            false => items
                .hash(a.item)
                .cmp(&items.hash(b.item))
                .then_with(|| items.text(a.item).cmp(&items.text(b.item))),
        };
        item.then_with(|| rest(a).cmp(&rest(b)))
    })
}
