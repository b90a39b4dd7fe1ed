//! When faults stop, everything comes to an end: every job that is wanted, every task that is dead.

use twinspire_control::{Device, Phase};

use crate::{process::Doing, world::World};

/// What began before may last so long: partitions, frozen processes, graces.
const AFTERMATH: u64 = 45_000;

impl World {
    pub(crate) fn heal(&mut self) {
        self.note(|_| "no more faults".into());
        self.healed = Some(self.now);
    }

    /// What hosts that are left compute on.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = Device> {
        let hosts = self.climate.hosts.iter().enumerate();
        hosts.filter(|(host, _)| !self.retired.contains(host)).map(|(_, device)| *device)
    }

    /// By when everything must be over: as if one job ran after the other, each as often as it may.
    fn deadline(&self) -> Option<u64> {
        let slowest = self.processes.iter().map(|process| process.slowness).max().unwrap_or(1);
        let once = 80 * self.climate.step * slowest + 30_000;
        Some(self.healed? + AFTERMATH + 120_000 + 4 * once * self.climate.jobs as u64)
    }

    /// Whether everything has come to an end.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let Some(healed) = self.healed.filter(|healed| self.now >= healed + AFTERMATH) else { return false };
        if self.now / 1000 == self.quiet_checked {
            return false;
        }
        self.quiet_checked = self.now / 1000;
        match self.unrest() {
            None => true,
            Some(why) => {
                let late = self.deadline().is_some_and(|deadline| self.now > deadline);
                assert!(!late, "liveness: {} s after the last fault {why}", (self.now - healed) / 1000);
                false
            }
        }
    }

    /// What still goes on.
    fn unrest(&self) -> Option<String> {
        let Some(coordinator) = &self.coordinator else { return Some("there is no coordinator".into()) };
        let state = &coordinator.state;
        let asks = |user: &usize| self.users[*user].op.is_some() || self.last_wish(*user).is_some();
        if let Some(user) = (0..self.users.len()).find(asks) {
            return Some(format!(
                "user {user} wants {:?} or {:?}",
                self.users[user].op,
                self.last_wish(user)
            ));
        }
        let goes_on = |phase: Phase| !phase.is_final() && phase != Phase::Paused;
        if let Some(job) = state.jobs().find(|job| goes_on(job.phase)) {
            return Some(format!("{} is {} ({}): {job:?}", job.name(), job.phase, job.reason));
        }
        if let Some((name, worker)) = state.workers().find(|(_, worker)| !worker.is_free()) {
            return Some(format!("{name} is not free: {worker:?}"));
        }
        let (there, hosts) = (state.workers().count(), self.hosts().count());
        if there != hosts {
            return Some(format!("{there} of {hosts} workers are there"));
        }
        let busy = |task: &crate::process::Task| task.doing != Doing::Over;
        let processes = self.processes.iter().filter(|process| process.alive);
        let dead = processes
            .filter_map(|process| Some((&process.name, process.task.as_ref().filter(|task| busy(task))?)));
        dead.map(|(name, task)| format!("{name} still does {task:?}")).next()
    }

    /// The end of a seed.
    pub(crate) fn check_quiet(&self) {
        assert_eq!(self.unrest(), None, "nothing happens any more");
    }
}
