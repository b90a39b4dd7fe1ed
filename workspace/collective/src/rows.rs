//! What may be exchanged, and how ranks with different numbers of rows agree before they do.
//!
//! Before a ragged exchange every rank tells every other a [`Header`]. All of them then hold the same list, so all
//! come to the same verdict: the exchange is either made by all or refused by all.

use tch::{Kind, Tensor};

use crate::CollectiveError;

/// Kinds that Gloo can carry and sum; the index is the kind's number in a header.
const KINDS: [Kind; 8] =
    [Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16, Kind::Int8, Kind::Uint8, Kind::Int, Kind::Int64];

/// One rank's side of a ragged exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Operation, as a number: two ranks in different operations must notice.
    pub(crate) operation: i64,
    /// Index into [`KINDS`].
    pub(crate) kind: i64,
    /// Elements of one row.
    pub(crate) row: i64,
    /// Rows this rank has for each rank. `[size]`
    pub(crate) rows: Vec<i64>,
}

impl Header {
    /// What rank `r` would send of `parts[r]`.
    pub(crate) fn of(operation: i64, parts: &[Tensor]) -> Self {
        let shape = parts[0].size();
        Self {
            operation,
            kind: kind_number(parts[0].kind()).unwrap_or(-1),
            row: shape[1..].iter().product(),
            rows: parts.iter().map(|part| part.size()[0]).collect(),
        }
    }

    /// The header on the wire. `[3 + size]`
    pub(crate) fn encode(&self) -> Vec<i64> {
        [self.operation, self.kind, self.row].iter().chain(&self.rows).copied().collect()
    }

    /// Headers of all ranks from their encodings, one after the other. `[size * (3 + size)]`
    pub(crate) fn decode_all(wire: &[i64], size: usize) -> Vec<Self> {
        wire.chunks_exact(3 + size)
            .map(|one| Self { operation: one[0], kind: one[1], row: one[2], rows: one[3..].to_vec() })
            .collect()
    }

    fn describe(&self) -> String {
        let kind = usize::try_from(self.kind).ok().and_then(|index| KINDS.get(index));
        format!("{:?} rows of {} elements of {kind:?} in operation {}", self.rows, self.row, self.operation)
    }
}

/// Whether all ranks are in the same operation with rows of the same kind and length.
pub(crate) fn agree(operation: &'static str, headers: &[Header]) -> Result<(), CollectiveError> {
    let first = &headers[0];
    let odd = headers
        .iter()
        .position(|one| (one.operation, one.kind, one.row) != (first.operation, first.kind, first.row));
    disagreement(operation, headers, odd)
}

/// Whether all ranks bring as many rows for each rank, so that they can be summed.
pub(crate) fn agree_on_rows(operation: &'static str, headers: &[Header]) -> Result<(), CollectiveError> {
    disagreement(operation, headers, headers.iter().position(|one| one.rows != headers[0].rows))
}

fn disagreement(
    operation: &'static str,
    headers: &[Header],
    odd: Option<usize>,
) -> Result<(), CollectiveError> {
    let Some(rank) = odd else { return Ok(()) };
    let difference =
        format!("rank 0 brought {}, rank {rank} {}", headers[0].describe(), headers[rank].describe());
    Err(CollectiveError::Disagree { operation, difference })
}

fn kind_number(kind: Kind) -> Option<i64> {
    KINDS.iter().position(|known| *known == kind).and_then(|index| i64::try_from(index).ok())
}

/// Refuses kinds that Gloo cannot carry.
pub(crate) fn check_kind(operation: &'static str, tensor: &Tensor) -> Result<(), CollectiveError> {
    let kind = tensor.f_kind()?;
    if kind_number(kind).is_some() {
        return Ok(());
    }
    Err(CollectiveError::Argument {
        operation,
        argument: format!("a tensor of kind {kind:?}; convert it to one of {KINDS:?}"),
    })
}

/// Refuses what has no rows.
pub(crate) fn check_rows(operation: &'static str, tensor: &Tensor) -> Result<(), CollectiveError> {
    check_kind(operation, tensor)?;
    if tensor.dim() > 0 {
        return Ok(());
    }
    Err(CollectiveError::Argument { operation, argument: "a scalar; it needs a dimension of rows".into() })
}

/// Refuses anything but one part a rank, alike in all but their rows.
pub(crate) fn check_parts(
    operation: &'static str,
    parts: &[Tensor],
    size: usize,
) -> Result<(), CollectiveError> {
    let refuse = |argument| Err(CollectiveError::Argument { operation, argument });
    if parts.len() != size {
        return refuse(format!("{} parts in a group of {size}; it needs one for each rank", parts.len()));
    }
    for (rank, part) in parts.iter().enumerate() {
        check_rows(operation, part)?;
        if (part.kind(), &part.size()[1..]) != (parts[0].kind(), &parts[0].size()[1..]) {
            return refuse(format!(
                "parts of different kinds: {:?} for rank 0, {part:?} for rank {rank}",
                parts[0]
            ));
        }
    }
    Ok(())
}

/// Refuses a root outside the group.
pub(crate) fn check_root(operation: &'static str, root: usize, size: usize) -> Result<(), CollectiveError> {
    if root < size {
        return Ok(());
    }
    Err(CollectiveError::Argument { operation, argument: format!("root {root} in a group of {size}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tch::Device;

    fn parts(rows: &[i64]) -> Vec<Tensor> {
        rows.iter().map(|rows| Tensor::zeros([*rows, 4], (Kind::Float, Device::Cpu))).collect()
    }

    #[test]
    fn headers_survive_the_wire() {
        let headers = [Header::of(1, &parts(&[3, 0])), Header::of(1, &parts(&[7, 2]))];
        let wire: Vec<i64> = headers.iter().flat_map(Header::encode).collect();
        assert_eq!(Header::decode_all(&wire, 2), headers);
        agree("all_gather", &headers).unwrap();
    }

    #[test]
    fn a_rank_with_other_rows_is_named() {
        let headers =
            [Header::of(2, &parts(&[3, 1])), Header::of(2, &parts(&[3, 1])), Header::of(2, &parts(&[3, 2]))];
        let error = agree_on_rows("reduce_scatter_sum", &headers).unwrap_err();
        assert_eq!(error.code(), "TW4106");
        assert!(error.to_string().contains("rank 2 [3, 2] rows"), "{error}");
    }

    #[test]
    fn arguments_that_fit_no_rank_are_refused() {
        let bools = Tensor::zeros([2], (Kind::Bool, Device::Cpu));
        assert_eq!(check_kind("broadcast", &bools).unwrap_err().code(), "TW4107");
        assert_eq!(check_rows("all_gather", &Tensor::from(1.0f32)).unwrap_err().code(), "TW4107");
        assert_eq!(check_parts("reduce_scatter_sum", &parts(&[1]), 2).unwrap_err().code(), "TW4107");
        assert_eq!(check_root("broadcast", 3, 3).unwrap_err().code(), "TW4107");
    }
}
