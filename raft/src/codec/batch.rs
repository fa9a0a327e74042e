//! Packing proposals into one log record and back.
//! Knows nothing of what they ask for; a follower forwards the encoded form and the leader packs it as it is.

use bytes::{BufMut, Bytes, BytesMut};
use orc_domain::{Proposal, Timestamp};

use super::{Corrupt, Kind, Why, decode_body};
use crate::types::Batch;

/// The most proposals in one batch.
pub const BATCH_COUNT_MAX: usize = 4_096;
/// The most bytes in one batch; a frame between nodes has room for it.
pub const BATCH_BYTES_MAX: usize = 3 << 20;

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 8 + 4;

/// Why proposals do not make a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// See [`BATCH_COUNT_MAX`].
    #[error("{0} proposals, at most {BATCH_COUNT_MAX} fit")]
    TooMany(usize),
    /// See [`BATCH_BYTES_MAX`].
    #[error("{0} bytes, at most {BATCH_BYTES_MAX} fit")]
    TooLarge(usize),
}

/// What a batch holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The leader's clock when it packed them.
    pub proposed_at: Timestamp,
    /// In order.
    pub proposals: Vec<Proposal>,
}

impl Batch {
    /// Packs proposals in the form of [`encode_proposal`](super::encode_proposal).
    pub fn pack(proposed_at: Timestamp, proposals: &[Bytes]) -> Result<Batch, BatchError> {
        if proposals.len() > BATCH_COUNT_MAX {
            return Err(BatchError::TooMany(proposals.len()));
        }
        let length = HEADER + proposals.iter().map(|proposal| 4 + proposal.len()).sum::<usize>();
        if length > BATCH_BYTES_MAX {
            return Err(BatchError::TooLarge(length));
        }
        let mut out = BytesMut::with_capacity(length);
        out.put_u8(FORMAT);
        out.put_u64(proposed_at.0);
        out.put_u32(u32::try_from(proposals.len()).expect("checked above"));
        for proposal in proposals {
            out.put_u32(u32::try_from(proposal.len()).expect("checked above"));
            out.put_slice(proposal);
        }
        Ok(Batch(out.freeze()))
    }

    /// Decodes everything; a command that this program does not know is an error.
    pub fn unpack(&self) -> Result<Unpacked, Corrupt> {
        unpack(&self.0).map_err(|why| Corrupt { what: Kind::LogRecord, why })
    }
}

fn unpack(bytes: &[u8]) -> Result<Unpacked, Why> {
    let Some((header, mut rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Why::Short(bytes.len()));
    };
    let [format, t0, t1, t2, t3, t4, t5, t6, t7, c0, c1, c2, c3] = *header;
    if format != FORMAT {
        return Err(Why::Version(format));
    }
    let count = u32::from_be_bytes([c0, c1, c2, c3]) as usize;
    if count > BATCH_COUNT_MAX {
        return Err(Why::Parts);
    }
    let mut proposals = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(Why::Parts)?;
        let (body, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(Why::Parts)?;
        proposals.push(decode_body(body)?);
        rest = after;
    }
    let proposed_at = Timestamp(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
    if rest.is_empty() { Ok(Unpacked { proposed_at, proposals }) } else { Err(Why::Parts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode_proposal;
    use orc_domain::Command;

    #[test]
    fn proposals_survive_packing() {
        let proposal = Proposal::from(Command::AdvanceTime);
        let encoded = encode_proposal(&proposal);
        let batch = Batch::pack(Timestamp(7), &[encoded.clone(), encoded]).unwrap();
        let unpacked = batch.unpack().unwrap();
        assert_eq!(
            unpacked,
            Unpacked { proposed_at: Timestamp(7), proposals: vec![proposal.clone(), proposal] }
        );
        assert_eq!(Batch::pack(Timestamp(7), &[]).unwrap().unpack().unwrap().proposals, vec![]);
    }

    #[test]
    fn cut_and_padded_batches_are_refused() {
        let batch = Batch::pack(Timestamp(7), &[encode_proposal(&Command::AdvanceTime.into())]).unwrap();
        let whole = batch.as_bytes();
        for length in 0..whole.len() {
            assert!(Batch::from_bytes(whole.slice(..length)).unpack().is_err(), "{length} bytes");
        }
        let padded = [whole, &b"x"[..]].concat();
        assert!(Batch::from_bytes(padded.into()).unpack().is_err());
    }

    #[test]
    fn limits_are_kept() {
        let none = Bytes::new();
        assert_eq!(Batch::pack(Timestamp(0), &vec![none; 5_000]), Err(BatchError::TooMany(5_000)));
        let large = Bytes::from(vec![0; BATCH_BYTES_MAX]);
        assert!(matches!(Batch::pack(Timestamp(0), &[large]), Err(BatchError::TooLarge(_))));
    }
}
