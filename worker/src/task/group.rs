//! How the ranks of a generation meet.

use std::{sync::Arc, time::Duration};

use twinspire_collective::{Collective, Gloo, Rendezvous, RendezvousHost, Solo};
use twinspire_proto::v1::{RendezvousReady, worker_message::Body};

use super::{Task, TaskError};

/// The ranks of a generation, met.
pub(crate) struct Group {
    pub(crate) collective: Arc<dyn Collective>,
    /// Rank 0 keeps the place of meeting open for those who are late.
    _host: Option<RendezvousHost>,
}

impl Group {
    /// Meets the other ranks: rank 0 listens and has the coordinator tell the others where. A
    /// worker alone meets nobody.
    pub(crate) fn meet(task: &Task) -> Result<Group, TaskError> {
        let (rank, world) = (task.assign.rank as usize, task.assign.world as usize);
        if world <= 1 {
            return Ok(Group { collective: Arc::new(Solo), _host: None });
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
        let gloo = Gloo::connect(&rendezvous, rank, world, &name, timeout)?;
        tracing::info!(rank, world, %rendezvous, "met the other ranks");
        Ok(Group { collective: Arc::new(gloo), _host: host })
    }
}
