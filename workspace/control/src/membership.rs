//! Workers come, come back, and go.

use crate::{
    Command, Generation, Incarnation, Membership, Order, Rank, Registration, Session, State, Time, Worker,
    WorkerName, leasing::Then, seats::Seat, state::Outcome,
};

impl State {
    pub(crate) fn registered(&mut self, session: Session, who: Registration, now: Time, out: &mut Outcome) {
        let name = who.name;
        let known = self.crew.get(&name).cloned();
        if let Some(known) = &known {
            if session <= known.session {
                // It has come back already, by a later connection.
                return self.turn_away(session, "it connected again", out);
            }
            if known.replaced == Some(who.incarnation) {
                // Two of one name would push each other out for ever.
                out.push(Command::Send { session, generation: Generation(0), order: Order::Replaced });
                return self.turn_away(session, "another process has its name", out);
            }
            if known.incarnation == who.incarnation {
                if self.sessions.remove(&known.session).is_some() {
                    self.turn_away(known.session, "it connected again", out);
                }
            } else {
                self.gone(&name, "its process was started again", now, out);
            }
        }
        let same = known.as_ref().filter(|known| known.incarnation == who.incarnation);
        let other = known.as_ref().filter(|known| known.incarnation != who.incarnation);
        let worker = Worker {
            incarnation: who.incarnation,
            replaced: other.map(|other| other.incarnation).or(same.and_then(|same| same.replaced)),
            device: who.device,
            about: who.about,
            session,
            heard: now,
            since: now,
            cut_off: None,
            leaving: same.is_some_and(|same| same.leaving),
            drained: self.pool.drained.contains(&name),
            returning: who.running.is_some(),
            task: who.running.clone(),
            pace: same.and_then(|same| same.pace),
            slow: same.and_then(|same| same.slow.clone()),
            // What it said of that may be lost; asked again, it says so again.
            readiness: None,
            last: same.and_then(|same| same.last.clone()).or_else(|| who.state.clone()),
            state: who.state,
        };
        for job in self.jobs.values_mut() {
            // Whatever was wrong with the process before it.
            if job.unfit.get(&name).is_some_and(|unfit| unfit.process != who.incarnation) {
                job.unfit.remove(&name);
                out.changed.insert(job.name().clone());
            }
        }
        self.sessions.insert(session, name.clone());
        self.crew.put(name.clone(), worker);
        self.unsettled = true;
        self.reconcile(&name, now, out);
    }

    fn turn_away(&self, session: Session, reason: &str, out: &mut Outcome) {
        out.push(Command::Dismiss { session, reason: reason.into() });
    }

    /// Brings what a worker has and what it should have together.
    fn reconcile(&mut self, name: &WorkerName, now: Time, out: &mut Outcome) {
        let Some(worker) = self.crew.get(name) else { return };
        let (session, process, has) = (worker.session, worker.incarnation, worker.task.clone());
        // Under an earlier coordinator, another process of this name had a task.
        self.lose_seats(name, |other| other != process, "its process was started again", now, out);
        let should = self.seats.of(name, process).cloned().and_then(|seat| {
            let attempt = self.jobs.get(&seat.job)?.attempt.as_ref()?;
            Some((Membership { job: seat.job.clone(), generation: attempt.generation }, seat))
        });
        match (should, has) {
            (Some((part, seat)), Some(has)) if has == part => self.catch_up(name, &seat, out),
            // The assignment never reached it: what it has, if anything, was over before.
            (Some((part, seat)), has) if has.as_ref().is_none_or(|has| has.generation < part.generation) => {
                self.crew.change(name, |worker| worker.task = Some(part));
                self.assign(&seat.job, name, now, out);
                self.catch_up(name, &seat, out);
            }
            (should, has) => {
                if let Some((part, _)) = should {
                    self.lost(&part.job, name, "it has another task", now, out);
                }
                if let Some(Membership { generation, .. }) = has {
                    out.push(Command::Send { session, generation, order: Order::Abort });
                } else if self.crew.get(name).is_some_and(|worker| worker.leaving) {
                    self.release(name, out);
                }
            }
        }
    }

    /// Tells a member again what it may have missed.
    fn catch_up(&mut self, name: &WorkerName, seat: &Seat, out: &mut Outcome) {
        let Some(attempt) = self.jobs.get(&seat.job).and_then(|job| job.attempt.as_ref()) else { return };
        let ending = attempt.ending.as_ref().map(|ending| ending.checkpoint);
        self.crew.change(name, |worker| worker.returning = ending.is_some());
        let Some(session) = self.crew.get(name).map(|worker| worker.session) else { return };
        let mut send = |order| {
            out.push(Command::Send { session, generation: attempt.generation, order });
        };
        if seat.rank == Rank(0) {
            for (step, parts) in attempt.complete() {
                send(Order::CommitCheckpoint { step, parts });
            }
        } else if let Some((host, port)) = attempt.rendezvous.clone() {
            send(Order::Rendezvous { host, port });
        }
        if let Some(checkpoint) = ending {
            send(Order::StopAfterStep { checkpoint });
        }
    }

    pub(crate) fn left(&mut self, session: Session, why: String, now: Time, out: &mut Outcome) {
        let Some(name) = self.sessions.remove(&session) else { return };
        let Some(worker) = self.crew.get(&name) else { return };
        let missed = self.seats.of(&name, worker.incarnation).is_some_and(|seat| {
            let attempt = self.jobs.get(&seat.job).and_then(|job| job.attempt.as_ref());
            attempt.is_some_and(|attempt| !attempt.bereft.is_empty())
        });
        if worker.task.is_none() || missed {
            // Nothing keeps it; or its peers miss it too.
            return self.gone(&name, &why, now, out);
        }
        self.crew.change(&name, |worker| worker.cut_off = Some((now, why)));
    }

    /// The worker's process is gone, or as good as gone.
    pub(crate) fn gone(&mut self, name: &WorkerName, why: &str, now: Time, out: &mut Outcome) {
        if let Some(worker) = self.crew.remove(name) {
            self.unsettled = true;
            if self.sessions.remove(&worker.session).is_some() {
                self.turn_away(worker.session, why, out);
            }
        }
        self.lose_seats(name, |_| true, why, now, out);
    }

    /// Processes of a name are gone, and with them the attempts that still needed them.
    fn lose_seats(
        &mut self,
        name: &WorkerName,
        which: impl Fn(Incarnation) -> bool,
        why: &str,
        now: Time,
        out: &mut Outcome,
    ) {
        let of_them = self.seats.of_name(name).filter(|(process, _)| which(*process));
        let needed = of_them.map(|(_, seat)| seat.clone()).filter(|seat| {
            let attempt = self.jobs.get(&seat.job).and_then(|job| job.attempt.as_ref());
            attempt.is_some_and(|attempt| !attempt.done.contains_key(&seat.rank))
        });
        for seat in needed.collect::<Vec<_>>() {
            self.lost(&seat.job, name, why, now, out);
        }
    }

    /// The worker was told to end, by the system.
    pub(crate) fn leaving(&mut self, name: &WorkerName, now: Time, out: &mut Outcome) {
        let Some(worker) = self.crew.get(name).filter(|worker| !worker.leaving) else { return };
        let (process, has_task) = (worker.incarnation, worker.task.is_some());
        self.crew.change(name, |worker| worker.leaving = true);
        self.unsettled = true;
        let Some(seat) = self.seats.of(name, process).cloned() else {
            if !has_task {
                self.release(name, out);
            }
            return;
        };
        let reason = format!("{name} is leaving");
        if self.trains(&seat.job) {
            self.stop_training(&seat.job, reason, Then::GoOn, out);
        } else {
            // Nothing is half-done, and nobody is to blame.
            self.abandon(&seat.job, out);
            self.rest(&seat.job, reason, None, now, out);
        }
    }

    /// The worker has no task any more.
    pub(crate) fn release(&mut self, name: &WorkerName, out: &mut Outcome) {
        self.unsettled = true;
        let released = self.crew.change(name, |worker| {
            worker.task = None;
            worker.returning = false;
        });
        if let Some(session) = released.filter(|worker| worker.leaving).map(|worker| worker.session) {
            self.crew.remove(name);
            self.sessions.remove(&session);
            out.push(Command::Send { session, generation: Generation(0), order: Order::Shutdown });
        }
    }
}
