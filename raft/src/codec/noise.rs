//! Bytes that no node of ours wrote, made of some that one did: they are refused, and never more than that.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use uuid::Uuid;

use super::{golden, *};
use crate::{
    membership::{Change, MembershipError},
    transport::message::{Joiner, Request, Response},
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
    try_all(&seeds, |bytes| parsers::message(&bytes));
}

#[test]
fn no_batch_of_proposals_ends_a_node() {
    let proposals: Vec<Bytes> = golden::proposals().iter().map(encode_proposal).collect();
    let batch = Batch::pack(orc_domain::Timestamp(1), &proposals).expect("it fits").as_bytes().to_vec();
    let seeds: Vec<Vec<u8>> = proposals.iter().map(|proposal| proposal.to_vec()).chain([batch]).collect();
    try_all(&seeds, |bytes| parsers::batch(&bytes));
}

#[test]
fn no_row_ends_a_node() {
    let rows: Vec<Vec<u8>> = golden::rows();
    try_all(&rows, |bytes| parsers::row(&bytes));
}

/// What `make fuzz` begins with, and what it found before it was mended.
#[tokio::test]
async fn nothing_that_fuzzing_found_ends_a_node() {
    let kept = |target: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/");
        let files = std::fs::read_dir(format!("{folder}{target}")).expect("the corpus is there");
        let files: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(!files.is_empty(), "{target}");
        files
    };
    for bytes in kept("frames") {
        parsers::frames(&bytes).await;
    }
    kept("message").iter().for_each(|bytes| parsers::message(bytes));
    kept("batch").iter().for_each(|bytes| parsers::batch(bytes));
    kept("row").iter().for_each(|bytes| parsers::row(bytes));
}
