//! One action while it is on its way: 32 bytes, in memory and when spilled.

use crate::input::Part;

/// What `Event::time` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeKind {
    /// Milliseconds since 1970 (or nothing, when the log has no time).
    Milliseconds = 0,
    /// An integer in the log's unit, which is known when all of the log has been read.
    Raw = 1,
    /// Thousandths of the log's unit.
    RawThousandths = 2,
}

/// One action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) time: i64,
    /// Place among the user's actions of the same time: see [`order_of_int`], [`order_of_float`].
    pub(crate) order: u64,
    /// Code of the user in its partition's dictionary; after sorting, its rank there.
    pub(crate) user: u32,
    /// Code of the item in the shared dictionary.
    pub(crate) item: u32,
    /// Seconds.
    pub(crate) duration: f32,
    /// Code of the action, of the surface; after sorting, their index in the manifest.
    pub(crate) action: u8,
    pub(crate) surface: u8,
    /// A [`Part`] and, shifted by 4, a [`TimeKind`].
    pub(crate) flags: u8,
}

/// Bytes of an event in a spill file.
pub(crate) const EVENT_BYTES: usize = 32;

impl Event {
    #[allow(clippy::too_many_arguments, reason = "the fields, by name at the one call")]
    pub(crate) fn new(
        time: i64,
        kind: TimeKind,
        order: u64,
        item: u32,
        duration: f32,
        action: u8,
        surface: u8,
        part: Part,
    ) -> Event {
        let flags = part as u8 | (kind as u8) << 4;
        Event { time, order, user: 0, item, duration, action, surface, flags }
    }

    /// 0, 1, 2: training, validation, test; only of a log split by files.
    pub(crate) fn part(&self) -> u8 {
        self.flags & 15
    }

    pub(crate) fn kind(&self) -> TimeKind {
        match self.flags >> 4 {
            1 => TimeKind::Raw,
            2 => TimeKind::RawThousandths,
            _ => TimeKind::Milliseconds,
        }
    }

    /// Gives it its time in milliseconds.
    pub(crate) fn at(&mut self, time: i64) {
        self.time = time;
        self.flags &= 15;
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_le_bytes());
        out.extend_from_slice(&self.order.to_le_bytes());
        out.extend_from_slice(&self.user.to_le_bytes());
        out.extend_from_slice(&self.item.to_le_bytes());
        out.extend_from_slice(&self.duration.to_le_bytes());
        out.extend_from_slice(&[self.action, self.surface, self.flags, 0]);
    }

    pub(crate) fn read(bytes: &[u8; EVENT_BYTES]) -> Event {
        let four = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let eight = |at: usize| {
            let (low, high) = (u32::from_le_bytes(four(at)), u32::from_le_bytes(four(at + 4)));
            u64::from(low) | u64::from(high) << 32
        };
        Event {
            time: eight(0) as i64,
            order: eight(8),
            user: u32::from_le_bytes(four(16)),
            item: u32::from_le_bytes(four(20)),
            duration: f32::from_le_bytes(four(24)),
            action: bytes[28],
            surface: bytes[29],
            flags: bytes[30],
        }
    }
}

/// Integers in their order, as unsigned ones.
pub(crate) fn order_of_int(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// Numbers in their order (IEEE 754 total order), as unsigned integers.
pub(crate) fn order_of_float(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_back_from_its_bytes() {
        let mut event = Event::new(-5, TimeKind::Raw, u64::MAX - 3, 77, 1.5, 200, 3, Part::Test);
        event.user = 123_456_789;
        let mut bytes = Vec::new();
        event.write(&mut bytes);
        let bytes: [u8; EVENT_BYTES] = bytes.try_into().unwrap_or([0; EVENT_BYTES]);
        assert_eq!(Event::read(&bytes), event);
        assert_eq!((event.part(), event.kind()), (2, TimeKind::Raw));
    }

    #[test]
    fn orders_keep_the_order_of_numbers() {
        let ints = [i64::MIN, -7, 0, 1, i64::MAX];
        assert!(ints.windows(2).all(|pair| order_of_int(pair[0]) < order_of_int(pair[1])));
        let floats = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-300, 3.0];
        assert!(floats.windows(2).all(|pair| order_of_float(pair[0]) < order_of_float(pair[1])));
    }
}
