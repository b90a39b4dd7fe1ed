//! How the ranks of a generation meet.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use twinspire_collective::{Breaker, Collective, Gloo, Rendezvous, RendezvousHost, Solo};
use twinspire_proto::v1::{RendezvousReady, worker_message::Body};

use super::{Task, TaskError};

/// The ranks of a generation, met.
pub(crate) struct Group {
    pub(crate) collective: Arc<dyn Collective>,
    /// Rank 0 keeps the place of meeting open for those who are late.
    _host: Option<RendezvousHost>,
    /// Nobody waits in a collective for a rank that has frozen once the coordinator has given the task up.
    _leaves_when_given_up: Option<AbortOnDropHandle<()>>,
}

impl Group {
    /// Meets the other ranks: rank 0 listens and has the coordinator tell the others where. A
    /// worker alone meets nobody.
    pub(crate) fn meet(task: &Task) -> Result<Group, TaskError> {
        let (rank, world) = (task.assign.rank as usize, task.assign.world as usize);
        if world <= 1 {
            return Ok(Group { collective: Arc::new(Solo), _host: None, _leaves_when_given_up: None });
        }
        let timeout = Duration::from_millis(task.assign.collective_timeout_ms);
        let (rendezvous, host) = if rank == 0 {
            let host = RendezvousHost::listen(&task.host.to_string())?;
            let (address, port) = (task.host.to_string(), host.port());
            task.link
                .say(Body::RendezvousReady(RendezvousReady { host: address.clone(), port: port.into() }));
            (Rendezvous::new(address, port), Some(host))
        } else {
            // Without a coordinator nobody can say: only time with one counts.
            let there = task.block_on(async {
                tokio::select! {
                    there = task.orders.rendezvous() => Ok(there),
                    () = task.link.connected_for(timeout) => Err(TaskError::nobody_there(timeout)),
                }
            })??;
            let port = u16::try_from(there.port).map_err(|why| TaskError::protocol("port", why))?;
            (Rendezvous::new(there.host, port), None)
        };
        // The generation is part of the name: nobody of an earlier one can come.
        let name = format!("{}/{}", task.assign.job, task.generation);
        let meet = {
            let rendezvous = rendezvous.clone();
            move || Gloo::connect(&rendezvous, rank, world, &name, timeout)
        };
        // On a thread of its own, which is left behind if the task is given up before all ranks have come.
        let gloo = task
            .block_on(task.runtime.spawn_blocking(meet))?
            .map_err(|why| TaskError::panic(why.to_string()))??;
        tracing::info!(rank, world, %rendezvous, "met the other ranks");
        let leaves = task.runtime.spawn(leave_when_given_up(task.orders.token(), gloo.breaker()));
        Ok(Group {
            collective: Arc::new(gloo),
            _host: host,
            _leaves_when_given_up: Some(AbortOnDropHandle::new(leaves)),
        })
    }
}

async fn leave_when_given_up(given_up: CancellationToken, breaker: Breaker) {
    given_up.cancelled().await;
    // It takes Gloo's locks: nothing else of this process waits for those.
    let _ = tokio::task::spawn_blocking(move || breaker.break_off()).await;
}
