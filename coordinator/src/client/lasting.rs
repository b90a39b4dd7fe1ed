//! Going along with a service longer than one of its coordinators lives.

use std::time::Duration;

use tonic::{Code, Status};
use twinspire_proto::CODE_KEY;

use super::{Jobs, connect};
use crate::{ControlError, display::note};

/// Before trying again for the first time, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));

/// A client that comes back when the coordinator goes away, or another one leads.
///
/// Whoever uses it asks, and tells it how that went: [`Lasting::lost`] comes back once there is a
/// coordinator to ask again, [`Lasting::well`] sets it at ease. That the connection is lost is said
/// once, however often it is tried.
pub(crate) struct Lasting {
    /// The one to try next first.
    addresses: Vec<String>,
    jobs: Jobs,
    pause: Duration,
    said: bool,
    quiet: bool,
}

impl Lasting {
    /// Connects. That nobody answers at first is an error: the address is probably wrong.
    pub(crate) async fn connect(addresses: &[String]) -> Result<Lasting, ControlError> {
        let (addresses, jobs) = (addresses.to_vec(), connect(addresses).await?);
        Ok(Lasting { addresses, jobs, pause: PAUSE.0, said: false, quiet: false })
    }

    /// Says nothing on standard error: something else shows that the connection is lost.
    pub(crate) fn quiet(mut self) -> Lasting {
        self.quiet = true;
        self
    }

    /// The client as it is now.
    pub(crate) fn jobs(&mut self) -> &mut Jobs {
        &mut self.jobs
    }

    /// A coordinator answered.
    pub(crate) fn well(&mut self) {
        self.pause = PAUSE.0;
        if std::mem::take(&mut self.said) && !self.quiet {
            note("connected again");
        }
    }

    /// A call or a stream failed: comes back when it may be tried again, or with the error when it
    /// would fail in the same way.
    pub(crate) async fn lost(&mut self, why: Status) -> Result<(), ControlError> {
        if !may_pass(&why) {
            return Err(why.into());
        }
        if !std::mem::replace(&mut self.said, true) && !self.quiet {
            let addresses = self.addresses.join(", ");
            note(format_args!(
                "the connection is lost ({}); trying again at {addresses} (jobs go on; Ctrl-C to leave)",
                why.message()
            ));
        }
        loop {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE.1);
            // A coordinator that answers may be cut off from the one that leads.
            self.addresses.rotate_left(1);
            if let Ok(jobs) = connect(&self.addresses).await {
                self.jobs = jobs;
                return Ok(());
            }
        }
    }
}

/// Whether the same may go better later: the coordinator went away, or does not lead.
pub(crate) fn may_pass(why: &Status) -> bool {
    match why.metadata().get(CODE_KEY) {
        Some(code) => code == "TW5013",
        None => matches!(
            why.code(),
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal | Code::DeadlineExceeded
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_coordinator_decided_does_not_pass_and_that_it_went_away_does() {
        assert!(may_pass(&ControlError::Stopped.into()));
        assert!(may_pass(&Status::unavailable("no coordinator leads at the moment")));
        assert!(may_pass(&Status::unknown("transport error")));
        let gone = twinspire_control::Refusal::NoJob("beauty".into());
        assert!(!may_pass(&ControlError::from(gone).into()));
        assert!(!may_pass(&Status::invalid_argument("no")));
    }
}
