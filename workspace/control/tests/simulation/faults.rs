//! What goes wrong.

use rand::{Rng, seq::IteratorRandom};
use twinspire_control::{FromWorker, Generation};

use crate::{agenda::Happening, world::World};

/// Kinds of faults; a climate has a weight for each.
const KINDS: [fn(&mut World); 11] = [
    |world| {
        if let Some(process) = world.somebody() {
            world.end(process);
        }
    },
    |world| {
        if let Some(process) = world.somebody() {
            world.freeze(process);
        }
    },
    |world| {
        // A connection is reset; either end may be slow to notice.
        if let Some(connection) = world.somebody().and_then(|process| world.processes[process].connection) {
            let (here, there) = (world.draw(0, 3000), world.draw(0, 3000));
            world.break_off(connection, Some(here), Some(there));
        }
    },
    |world| {
        if let Some(process) = world.somebody() {
            world.isolate(process);
        }
    },
    |world| {
        // A rack is cut off.
        let many = world.draw(2, 6);
        (0..many).filter_map(|_| world.somebody()).collect::<Vec<_>>().into_iter().for_each(|process| {
            world.isolate(process);
        });
    },
    |world| {
        if let Some(process) = world.somebody() {
            world.terminate(process);
        }
    },
    |world| {
        // Somebody takes a frozen process for dead and starts another of its name.
        if let Some(process) = world.somebody() {
            world.freeze(process);
            let host = world.processes[process].host;
            world.start_another(host);
        }
    },
    |world| world.crash(),
    |world| {
        let until = world.now + world.draw(500, 20_000);
        world.note(|_| format!("the coordinator is frozen until {until}"));
        if let Some(coordinator) = &mut world.coordinator {
            coordinator.frozen_until = coordinator.frozen_until.max(until);
        }
    },
    |world| {
        // A host is taken away for good; half of them stay.
        let all = world.climate.hosts.len();
        if let Some(process) = world.somebody().filter(|_| (world.retired.len() + 1) * 2 < all) {
            let host = world.processes[process].host;
            world.retired.insert(host);
            let of_host = |process: &usize| world.processes[*process].host == host;
            for process in (0..world.processes.len()).filter(of_host).collect::<Vec<_>>() {
                world.end(process);
            }
        }
    },
    |world| {
        // Everything ends at once.
        let some = world.draw(1, 4);
        (0..some).filter_map(|_| world.somebody()).collect::<Vec<_>>().into_iter().for_each(|process| {
            world.end(process);
        });
        world.crash();
    },
];

/// Place of the fault that makes two processes of one name.
pub(crate) const TWIN: usize = 6;

impl World {
    /// Something goes wrong, and later something else.
    pub(crate) fn fault(&mut self) {
        if self.healed.is_some() {
            return;
        }
        let sum: u32 = self.climate.faults.iter().sum();
        if sum > 0 {
            let mut drawn = self.rng.random_range(0..sum);
            for (kind, weight) in self.climate.faults.into_iter().enumerate() {
                if drawn < weight {
                    KINDS[kind](self);
                    break;
                }
                drawn -= weight;
            }
        }
        self.within(self.climate.calm * 2, Happening::Fault);
    }

    fn somebody(&mut self) -> Option<usize> {
        let alive = self.processes.iter().enumerate().filter(|(_, process)| process.alive);
        alive.map(|(number, _)| number).choose(&mut self.rng)
    }

    fn freeze(&mut self, process: usize) {
        let until = self.now + if self.one_in(2) { self.draw(200, 3000) } else { self.draw(3000, 40_000) };
        self.note(|_| format!("process {process} is frozen until {until}"));
        let there = &mut self.processes[process];
        there.frozen_until = there.frozen_until.max(until);
    }

    /// Nobody reaches the process for a while, nor it anybody.
    fn isolate(&mut self, process: usize) {
        if std::mem::replace(&mut self.processes[process].isolated, true) {
            return;
        }
        self.note(|_| format!("process {process} is isolated"));
        if let Some(connection) = self.processes[process].connection {
            // Nobody says that the connection is gone: the coordinator may hear of it late or never.
            let here = if self.one_in(2) { Some(40_000) } else { None };
            let there = self.draw(200, 20_000);
            self.break_off(connection, here, Some(there));
        }
        self.within(40_000, Happening::Rejoin(process));
    }

    pub(crate) fn rejoin(&mut self, process: usize) {
        self.processes[process].isolated = false;
    }

    /// The system tells a process to end, and kills it if it does not.
    fn terminate(&mut self, process: usize) {
        if std::mem::replace(&mut self.processes[process].leaving, true) {
            return;
        }
        self.note(|_| format!("process {process} is told to end"));
        if self.processes[process].frozen_until <= self.now {
            self.say(process, Generation(0), FromWorker::Leaving);
        }
        self.after(30_000, Happening::Kill(process));
    }

    pub(crate) fn kill(&mut self, process: usize) {
        self.end(process);
    }
}
