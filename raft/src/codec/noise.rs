//! Bytes that no node of ours wrote, made of some that one did: they are refused, and never more than that.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use uuid::Uuid;

use super::{golden, *};
use crate::{
    membership::{Change, MembershipError},
    transport::message::{Joiner, Request, Response, split_proposals},
    types::{Batch, Member},
};

const ROUNDS: u64 = 20_000;
/// A machine that is busy with other tests takes a second.
const WITHIN: Duration = Duration::from_secs(60);

/// Changes some bytes, takes some out, or puts lengths in that nothing follows.
fn distort(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(..=bytes.len());
    match rng.u8(..4) {
        0 => bytes.truncate(at),
        1 => bytes.extend((0..rng.usize(..20)).map(|_| rng.u8(..))),
        2 => drop(bytes.splice(at..at, [253, rng.u8(..), 255, 255, 255, 255, 255, 255, rng.u8(..)])),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
    }
}

/// Gives many distortions of these bytes to a reader.
fn try_all(seeds: &[Vec<u8>], read: impl Fn(Vec<u8>)) {
    let started = Instant::now();
    for round in 0..ROUNDS {
        let mut rng = Rng::with_seed(round);
        let mut bytes = rng.choice(seeds).expect("there are some").clone();
        (0..rng.u8(1..4)).for_each(|_| distort(&mut rng, &mut bytes));
        read(bytes);
    }
    assert!(started.elapsed() < WITHIN, "{:?}", started.elapsed());
}

#[test]
fn a_length_that_nothing_follows_is_refused() {
    for length in [1 << 31, 1 << 46, u64::MAX >> 2, u64::MAX] {
        let mut bytes = vec![253];
        bytes.extend(length.to_le_bytes());
        assert!(decode_message::<String>(&bytes).is_err(), "{length}");
        assert!(decode_message::<Vec<u8>>(&bytes).is_err(), "{length}");
    }
}

#[test]
fn no_message_of_a_peer_ends_a_node() {
    let member = Member { peer_addr: "a:1".into(), http_addr: "http://a:2".into(), incarnation: Uuid::nil() };
    let joiner = Joiner { node: 3, member };
    let requests = [
        Request::Join(joiner.clone()),
        Request::Change(Change::Add(joiner)),
        Request::Ask(Bytes::from_static(b"what")),
        Request::Cluster { node: 3 },
    ];
    let responses = [
        Response::Changed(Err(MembershipError::IdInUse { node: 3 })),
        Response::Ask(Bytes::from_static(b"that")),
        Response::Unable("why".into()),
    ];
    let seeds: Vec<Vec<u8>> =
        requests.iter().map(encode_message).chain(responses.iter().map(encode_message)).collect();
    try_all(&seeds, |bytes| {
        let _ = decode_message::<Request>(&bytes);
        let _ = decode_message::<Response>(&bytes);
        let _ = split_proposals(bytes.into());
    });
}

#[test]
fn no_batch_of_proposals_ends_a_node() {
    let proposals: Vec<Bytes> = golden::proposals().iter().map(encode_proposal).collect();
    let batch = Batch::pack(orc_domain::Timestamp(1), &proposals).expect("it fits").as_bytes().to_vec();
    let seeds: Vec<Vec<u8>> = proposals.iter().map(|proposal| proposal.to_vec()).chain([batch]).collect();
    try_all(&seeds, |bytes| {
        let _ = decode_message::<Proposal>(&bytes);
        let _ = Batch::from_bytes(bytes.into()).unpack();
    });
}

/// Reads a row behind its envelope, as if the checksum fitted.
fn open_row(kind: u8, body: &[u8]) {
    macro_rules! rows {
        ($($type:ty),+) => { $(if kind == <$type>::KIND as u8 { let _ = decode_body::<$type>(body); })+ };
    }
    rows!(
        LogRecord,
        VoteRow,
        Place,
        Position,
        Meta,
        Run,
        Task,
        Component,
        KeyRecord,
        VersionRecord,
        Definition
    );
    rows!(EventRow, AnswerRow, Manifest, Owner, FanChunk, DeadTask, Workflow, WorkflowVersion, Schedule);
    rows!(CachedOutput, Snapshot, SavedKey, QueuedMessage, DeadMessage, BackupManifest, BackupEnd);
}

#[test]
fn no_row_ends_a_node() {
    let rows: Vec<Vec<u8>> = golden::rows();
    try_all(&rows, |row| {
        let Some((header, body)) = row.split_first_chunk::<HEADER>() else { return };
        open_row(header[0], body);
    });
}
