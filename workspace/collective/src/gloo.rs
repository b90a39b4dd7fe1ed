//! Many processes, over TCP, with libtorch's own Gloo.

mod ffi;
mod rendezvous;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::rows::{self, Header};
use crate::{Collective, CollectiveError};
pub use rendezvous::{Rendezvous, RendezvousHost};

/// A group of processes connected each to each.
///
/// Tensors on other devices are carried by way of the CPU's memory. Operations of several threads wait for each
/// other; since all ranks must make them in the same order, one thread should make them all.
pub struct Gloo {
    rank: usize,
    size: usize,
    timeout: Duration,
    group: Mutex<Group>,
}

/// Breaks a group off from another thread than the one that is in an operation, which fails then, on this rank and on
/// all others: for who knows that a rank will not come before the time-out does.
pub struct Breaker(Option<ffi::RawBreaker>);

impl Breaker {
    /// Fails the operation under way, if any, and every later one. A group that is closed already stays as it is.
    pub fn break_off(&self) {
        if let Some(raw) = &self.0
            && let Err(why) = raw.break_off()
        {
            tracing::warn!(why, "the group could not be broken off: it ends with its time-out");
        }
    }
}

enum Group {
    /// A group of one has nobody to talk to.
    Alone,
    Open(ffi::RawGroup),
    /// Closed by the failure that this says.
    Closed(String),
}

/// The operation's number in a [`Header`].
const ALL_GATHER: i64 = 1;
const REDUCE_SCATTER: i64 = 2;

impl Gloo {
    /// Meets the other `size - 1` ranks at `rendezvous` and connects to each of them.
    ///
    /// `prefix` names the group there (the job and its generation): ranks under different prefixes never meet.
    /// A prefix must not be used twice, also not after a failed attempt. `timeout` bounds each wait for another
    /// rank: for its coming (finding the host, all coming, all connecting) and later in every operation.
    pub fn connect(
        rendezvous: &Rendezvous,
        rank: usize,
        size: usize,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Self, CollectiveError> {
        if rank >= size {
            let argument = format!("rank {rank} in a group of {size}");
            return Err(CollectiveError::Argument { operation: "connect", argument });
        }
        let group = if size == 1 {
            Group::Alone
        } else {
            let raw =
                rendezvous.meet(rank, size, prefix, timeout).map_err(|reason| CollectiveError::Meet {
                    address: rendezvous.to_string(),
                    prefix: prefix.to_owned(),
                    rank,
                    size,
                    timeout,
                    reason,
                })?;
            Group::Open(raw)
        };
        tracing::debug!(rank, size, prefix, %rendezvous, "the group has met");
        Ok(Self { rank, size, timeout, group: Mutex::new(group) })
    }

    /// The group with another time-out for its operations: meeting may have to wait for processes to start, a step
    /// only for ranks that are there.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        if let Group::Open(raw) = self.group.get_mut().unwrap_or_else(PoisonError::into_inner) {
            raw.set_timeout(timeout);
        }
        self
    }

    /// What breaks this group off from another thread.
    pub fn breaker(&self) -> Breaker {
        match &*self.group.lock().unwrap_or_else(PoisonError::into_inner) {
            Group::Open(raw) => Breaker(raw.breaker()),
            Group::Alone | Group::Closed(_) => Breaker(None),
        }
    }

    /// Runs one operation in the open group. A failure closes the group at once, which in turn ends the waits of
    /// all other ranks: without that they would sit out the time-out one after the other.
    fn run<T>(
        &self,
        operation: &'static str,
        body: impl FnOnce(&mut Talk<'_>) -> Result<T, CollectiveError>,
    ) -> Result<T, CollectiveError> {
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        let raw = match &mut *group {
            Group::Open(raw) => raw,
            Group::Closed(reason) => {
                return Err(CollectiveError::Closed { operation, reason: reason.clone() });
            }
            // Callers return before they come here; an answer is simpler than a proof.
            Group::Alone => {
                return Err(CollectiveError::Closed { operation, reason: "it has one rank".into() });
            }
        };
        let mut talk = Talk { raw, operation, rank: self.rank, timeout: self.timeout };
        let result = tch::no_grad(|| body(&mut talk));
        if let Err(error) = &result
            && !error.leaves_group_open()
        {
            tracing::debug!(rank = self.rank, code = error.code(), %error, "the group is closed");
            *group = Group::Closed(error.to_string());
        }
        result
    }
}

impl Collective for Gloo {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    // Gloo's ring sums each segment on one rank and passes the result on, so all ranks hold the same bits.
    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        const NAME: &str = "all_reduce_sum";
        rows::check_kind(NAME, tensor)?;
        if self.size == 1 || tensor.numel() == 0 {
            return Ok(());
        }
        self.run(NAME, |talk| in_place(tensor, |host| talk.tell(|raw| raw.all_reduce_sum(host))))
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError> {
        const NAME: &str = "all_gather";
        rows::check_rows(NAME, tensor)?;
        if self.size == 1 {
            return Ok(vec![tensor.f_detach()?]);
        }
        self.run(NAME, |talk| {
            let host = on_host(tensor)?;
            let header = Header::of(ALL_GATHER, std::slice::from_ref(&host));
            let headers = talk.exchange(&Header { rows: vec![header.rows[0]; self.size], ..header })?;
            let rows: Vec<i64> = headers.iter().map(|header| header.rows[0]).collect();
            let most = rows.iter().copied().max().unwrap_or(0);
            let mut gathered =
                host.f_new_empty(shaped(&host, most * rows.len() as i64), (host.kind(), Device::Cpu))?;
            if gathered.numel() > 0 {
                // Ranks differ by a few rows in thousands, so padding costs less than a round of its own.
                let sent = padded(&host, most)?;
                talk.tell(|raw| raw.all_gather(&mut gathered, &sent))?;
            }
            let gathered = gathered.f_to_device(tensor.device())?;
            let part = |(rank, rows): (usize, &i64)| gathered.f_narrow(0, rank as i64 * most, *rows);
            Ok(rows.iter().enumerate().map(part).collect::<Result<_, _>>()?)
        })
    }

    // Every rank gets all that is its own and sums it in rank order: no more is sent than in a ring, the parts may
    // be ragged, and the order of the sum, hence its bits, does not hang on who sums.
    fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError> {
        const NAME: &str = "reduce_scatter_sum";
        rows::check_parts(NAME, parts, self.size)?;
        if self.size == 1 {
            return Ok(parts[0].f_detach()?);
        }
        self.run(NAME, |talk| {
            let header = Header::of(REDUCE_SCATTER, parts);
            let headers = talk.exchange(&header)?;
            rows::agree_on_rows(NAME, &headers)?;
            let own = header.rows[self.rank];
            let sent = on_host(&Tensor::f_cat(parts, 0)?)?;
            let mut received =
                sent.f_new_empty(shaped(&sent, own * self.size as i64), (sent.kind(), Device::Cpu))?;
            if sent.numel() > 0 {
                talk.tell(|raw| raw.all_to_all(&mut received, &sent, &vec![own; self.size], &header.rows))?;
            }
            let mut sum = received.f_narrow(0, 0, own)?.f_add(&received.f_narrow(0, own, own)?)?;
            for rank in 2..self.size as i64 {
                let _ = sum.f_add_(&received.f_narrow(0, rank * own, own)?)?;
            }
            Ok(sum.f_to_device(parts[0].device())?)
        })
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
        const NAME: &str = "broadcast";
        rows::check_root(NAME, root, self.size)?;
        rows::check_kind(NAME, tensor)?;
        if self.size == 1 || tensor.numel() == 0 {
            return Ok(());
        }
        self.run(NAME, |talk| in_place(tensor, |host| talk.tell(|raw| raw.broadcast(host, root))))
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        if self.size == 1 {
            return Ok(());
        }
        self.run("barrier", |talk| talk.tell(ffi::RawGroup::barrier))
    }
}

/// An operation under way: the open group, and what an error should say.
struct Talk<'group> {
    raw: &'group mut ffi::RawGroup,
    operation: &'static str,
    rank: usize,
    timeout: Duration,
}

impl Talk<'_> {
    /// One call into Gloo.
    fn tell(
        &mut self,
        call: impl FnOnce(&mut ffi::RawGroup) -> Result<(), String>,
    ) -> Result<(), CollectiveError> {
        call(self.raw)
            .map_err(|message| CollectiveError::from_gloo(&message, self.operation, self.rank, self.timeout))
    }

    /// Tells all ranks this one's header, and returns all of theirs, once they agree.
    fn exchange(&mut self, header: &Header) -> Result<Vec<Header>, CollectiveError> {
        let size = header.rows.len();
        let sent = Tensor::f_from_slice(&header.encode())?;
        let mut received =
            sent.f_new_empty([sent.numel() as i64 * size as i64], (Kind::Int64, Device::Cpu))?;
        self.tell(|raw| raw.all_gather(&mut received, &sent))?;
        let headers = Header::decode_all(&Vec::<i64>::try_from(received)?, size);
        rows::agree(self.operation, &headers)?;
        Ok(headers)
    }
}

/// The tensor as Gloo reads it: contiguous, in the CPU's memory.
fn on_host(tensor: &Tensor) -> Result<Tensor, CollectiveError> {
    Ok(tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?)
}

/// Changes `tensor` where it lies if Gloo can reach it there, else by way of a copy.
fn in_place(
    tensor: &mut Tensor,
    change: impl FnOnce(&mut Tensor) -> Result<(), CollectiveError>,
) -> Result<(), CollectiveError> {
    if tensor.device() == Device::Cpu && tensor.is_contiguous() {
        return change(tensor);
    }
    let mut host = on_host(tensor)?;
    change(&mut host)?;
    Ok(tensor.f_copy_(&host)?)
}

/// The shape of `tensor` with another number of rows.
fn shaped(tensor: &Tensor, rows: i64) -> Vec<i64> {
    let mut shape = tensor.size();
    shape[0] = rows;
    shape
}

/// `tensor` with rows of zeros after its own, `rows` in all.
fn padded(tensor: &Tensor, rows: i64) -> Result<Tensor, CollectiveError> {
    let own = tensor.size()[0];
    if own == rows {
        return Ok(tensor.shallow_clone());
    }
    let padded = tensor.f_new_zeros(shaped(tensor, rows), (tensor.kind(), Device::Cpu))?;
    padded.f_narrow(0, 0, own)?.f_copy_(tensor)?;
    Ok(padded)
}
