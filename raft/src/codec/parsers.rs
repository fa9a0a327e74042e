//! Everything that reads what a peer sends or a disk has, as one function for each: for tests and fuzzers, which give them
//! bytes that nobody meant.
//! Knows nothing of where the bytes come from.

use bytes::Bytes;

use super::*;
use crate::{
    transport::{
        frame::Frame,
        message::{Request, Response, split_proposals},
    },
    types::Batch,
};

/// As the frames of a connection.
pub async fn frames(mut bytes: &[u8]) {
    while let Ok(frame) = Frame::read(&mut bytes).await {
        message(&frame.body);
    }
}

/// As the body of a frame.
pub fn message(bytes: &[u8]) {
    let _ = decode_message::<Request>(bytes);
    let _ = decode_message::<Response>(bytes);
    let _ = split_proposals(Bytes::copy_from_slice(bytes));
}

/// As what a log record carries.
pub fn batch(bytes: &[u8]) {
    let _ = decode_message::<Proposal>(bytes);
    let _ = Batch::from_bytes(Bytes::copy_from_slice(bytes)).unpack();
}

/// As a row of the log or the state: as it stands, and behind its envelope, as if the checksum fitted.
pub fn row(bytes: &[u8]) {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else { return };
    let kind = header[0];
    macro_rules! rows {
        ($($type:ty),+) => {
            $(if kind == <$type>::KIND as u8 {
                let _ = decode::<$type>(bytes);
                let _ = decode_body::<$type>(body);
            })+
        };
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
    rows!(CachedOutput, Snapshot, SavedKey, QueuedMessage, DeadMessage, BackupManifest, BackupEnd, Gone);
}
