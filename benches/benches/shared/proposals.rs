//! Proposals of 300 bytes.
//! Knows nothing of where they go.

use bytes::Bytes;
use orc_domain::{Command, Expect, Json, Proposal};
use orc_raft::codec::encode_proposal;

const LENGTH: usize = 300;

/// State writes, each of 300 bytes once encoded.
pub fn proposals(count: usize) -> Vec<Bytes> {
    let write = |number: usize, padding: usize| {
        let key = format!("bench.{number:04}").parse().expect("a legal key");
        let value = Some(Json::from(format!("\"{}\"", "v".repeat(padding))));
        encode_proposal(&Proposal::from(Command::SetState { key, value, expect: Expect::Any }))
    };
    // As long as the real value, so that its length takes as many bytes.
    let rest = write(0, 256).len() - 256;
    let proposals: Vec<Bytes> = (0..count).map(|number| write(number, LENGTH - rest)).collect();
    assert!(proposals.iter().all(|proposal| proposal.len() == LENGTH));
    proposals
}
