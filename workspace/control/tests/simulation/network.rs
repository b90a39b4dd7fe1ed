//! Connections: in order while they last, and every way in which they do not.
//!
//! What is on its way when a connection breaks may arrive or not. Either end learns of the break in
//! its own time, or never; so what an old connection brings may come after a newer one is open.

use twinspire_control::{Event, FromWorker, Generation, Order, Registration, Session};

use crate::{agenda::Happening, world::World};

/// Of a worker, on its way to the coordinator.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Register(Registration),
    Say(Generation, FromWorker),
    Left(String),
}

/// A stream between a process and a coordinator.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) process: usize,
    pub(crate) coordinator: u64,
    pub(crate) session: Session,
    /// When what was sent last arrives: nothing overtakes it.
    up: u64,
    down: u64,
    /// Nothing arrives after this.
    up_until: u64,
    down_until: u64,
}

impl World {
    fn delay(&mut self) -> u64 {
        if self.chance(self.climate.hiccup) {
            return self.draw(0, 4000);
        }
        self.draw(1, self.climate.latency)
    }

    /// A process connects, and registers.
    pub(crate) fn open(&mut self, process: usize, registration: Registration) -> bool {
        let Some(coordinator) = &mut self.coordinator else { return false };
        coordinator.sessions += 1;
        let session = Session(coordinator.sessions);
        let number = self.connections.len();
        coordinator.connected.insert(session, number);
        self.connections.push(Connection {
            process,
            coordinator: coordinator.number,
            session,
            up: self.now,
            down: self.now,
            up_until: u64::MAX,
            down_until: u64::MAX,
        });
        self.processes[process].connection = Some(number);
        self.send_up(number, Message::Register(registration));
        true
    }

    /// A process says something, if it is connected.
    pub(crate) fn say(&mut self, process: usize, generation: Generation, what: FromWorker) {
        if let Some(connection) = self.processes[process].connection {
            self.send_up(connection, Message::Say(generation, what));
        }
    }

    fn send_up(&mut self, connection: usize, message: Message) {
        let due = (self.now + self.delay()).max(self.connections[connection].up);
        self.connections[connection].up = due;
        if self.chance(self.climate.twice) && matches!(message, Message::Say(..)) {
            let again = due + self.draw(0, 500);
            self.connections[connection].up = again;
            self.at(again, Happening::Arrive(connection, Box::new(message.clone())));
        }
        self.at(due, Happening::Arrive(connection, Box::new(message)));
    }

    pub(crate) fn arrive(&mut self, connection: usize, message: Message) {
        let Connection { coordinator: to, session, up_until, .. } = self.connections[connection];
        let is_lost = self.now > up_until && !matches!(message, Message::Left(_));
        if is_lost || self.coordinator.as_ref().is_none_or(|there| there.number != to) {
            return;
        }
        self.apply(match message {
            Message::Register(registration) => Event::Registered(session, registration),
            Message::Say(generation, what) => Event::Said { session, generation, what },
            Message::Left(why) => Event::Left { session, why },
        });
    }

    /// The coordinator tells a worker something.
    pub(crate) fn send_down(&mut self, session: Session, generation: Generation, order: Order) {
        let Some(coordinator) = &self.coordinator else { return };
        let Some(connection) = coordinator.connected.get(&session).copied() else { return };
        let due = (self.now + self.delay()).max(self.connections[connection].down);
        self.connections[connection].down = due;
        if self.chance(self.climate.twice) {
            self.at(due, Happening::Deliver(connection, generation, Box::new(order.clone())));
        }
        self.at(due, Happening::Deliver(connection, generation, Box::new(order)));
    }

    /// Whether what was sent down a connection still arrives, at the process that opened it.
    pub(crate) fn is_heard(&self, connection: usize) -> bool {
        let Connection { process, down_until, .. } = self.connections[connection];
        self.processes[process].connection == Some(connection) && self.now <= down_until
    }

    /// The coordinator ends a connection: what it sent before still arrives.
    pub(crate) fn hang_up(&mut self, session: Session) {
        let Some(coordinator) = &mut self.coordinator else { return };
        let Some(connection) = coordinator.connected.remove(&session) else { return };
        let due = self.connections[connection].down + 1;
        self.connections[connection].down_until = due;
        self.at(due.max(self.now), Happening::Closed(connection));
        self.within(50, Happening::Arrive(connection, Box::new(Message::Left("dismissed".into()))));
    }

    /// A connection breaks: what is on its way may be lost, and both ends learn of it within spans.
    pub(crate) fn break_off(&mut self, connection: usize, seen_here: Option<u64>, seen_there: Option<u64>) {
        let (up, down) = (self.draw(0, 100), self.draw(0, 100));
        let lossy = self.one_in(2);
        let broken = &mut self.connections[connection];
        broken.up_until = if lossy { self.now } else { self.now + up };
        broken.down_until = if lossy { self.now } else { self.now + down };
        let (up_until, down_until) = (broken.up_until, broken.down_until);
        if let Some(span) = seen_here {
            let due = up_until.max(self.now + self.draw(0, span));
            let left = Box::new(Message::Left("connection reset".into()));
            self.at(due, Happening::Arrive(connection, left));
        }
        if let Some(span) = seen_there {
            let due = down_until.max(self.now + self.draw(0, span));
            self.at(due, Happening::Closed(connection));
        }
    }
}
