//! `GET /cluster/backup`: the state of this node at one log index as a file, piece by piece as the reader takes it.
//! A reader that takes nothing for a while is cut, and sees that by the length. Knows nothing of what is in the file.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use orc_client::wire::codes;
use orc_domain::Unavailable;
use orc_raft::{
    backup::{Backup, BackupError},
    error::Chain,
};
use tokio::sync::mpsc;
use warp::{
    Reply as _,
    http::{HeaderValue, header},
};

use super::{
    Gateway,
    call::{Call, Consistency},
    problem::Refusal,
    reply::{Answered, Reply},
};

/// Pieces that may wait for the reader.
const PIECES_MAX: usize = 2;
/// A reader that takes nothing for this long is cut: its backup keeps space on the disk.
const PATIENCE: Duration = Duration::from_secs(30);
const BUSY_FOR: Duration = Duration::from_secs(5);

type Pieces = mpsc::Sender<Result<Bytes, BackupError>>;

/// `GET /cluster/backup`: with all that was acknowledged before the call, or, if `consistency=stale`, with what this node
/// has.
pub async fn backup(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.hands()?;
    if let Err(refusal) = gateway.fresh(&call).await {
        return Err(match call.consistency()? {
            Consistency::Linearizable => {
                refusal.hint("`?consistency=stale` takes what this node has, whoever leads")
            }
            Consistency::Stale => refusal,
        });
    }
    let backup = gateway.cluster.replica().backup().await?;
    let (manifest, size) = (backup.manifest(), backup.size());
    let rev = manifest.rev();
    tracing::info!(rev, size, "a backup begins");
    let name = format!("attachment; filename=\"orc-{rev}.backup\"");
    let (pieces, mut body) = mpsc::channel(PIECES_MAX);
    let draining = gateway.draining();
    tokio::spawn(async move {
        tokio::select! {
            () = send(backup, pieces) => {}
            () = draining => {}
        }
    });
    let body = futures::stream::poll_fn(move |context| body.poll_recv(context));
    let mut response = warp::reply::stream(body).into_response();
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    map.insert(header::CONTENT_LENGTH, size.into());
    map.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Reply::ready(response).header(header::CONTENT_DISPOSITION, &name).rev(rev))
}

/// Ends when all is sent, or when nobody takes more; a body that is too short breaks the connection.
async fn send(mut backup: Backup, pieces: Pieces) {
    loop {
        let piece = match backup.next_piece().await {
            Ok(None) => return,
            Ok(Some(piece)) => Ok(piece),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a backup ends before its end");
                Err(error)
            }
        };
        let is_last = piece.is_err();
        match pieces.send_timeout(piece, PATIENCE).await {
            Ok(()) if is_last => return,
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                tracing::warn!("a reader of a backup is too slow: it is cut");
                return;
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
        }
    }
}

impl From<BackupError> for Refusal {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Busy => Refusal::new(codes::LIMIT_EXCEEDED, error.to_string()).retry_after(BUSY_FOR),
            BackupError::Stopped => Unavailable::ShuttingDown.into(),
            BackupError::Nothing => Unavailable::NoLeader.into(),
            error => {
                tracing::error!(error = %Chain(&error), "a backup cannot be made");
                Refusal::new(codes::INTERNAL, "this node cannot copy its data").hint("ask another node")
            }
        }
    }
}
