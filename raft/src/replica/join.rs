//! How a node without a cluster finds one and is admitted, and how one that has moved, or is not sure, tells the others.
//! Knows nothing of what admission changes; that is the leader's.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    StartFailure,
    core::{Core, Way},
};
use crate::{
    membership::{Change, MembershipError},
    transport::{
        CallError, Local, Refusal, ask_once,
        message::{Joiner, Request, Response},
    },
};

const TRY_EVERY: Duration = Duration::from_millis(250);
const ASK_PATIENCE: Duration = Duration::from_secs(2);
const ADMIT_PATIENCE: Duration = Duration::from_secs(15);
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// Which cluster the nodes at these addresses belong to; refuses at once if it knows this id already.
pub(super) async fn discover(
    addresses: &[String],
    node: u64,
    patience: Duration,
) -> Result<Uuid, StartFailure> {
    let nobody = Local { node, incarnation: Uuid::nil(), cluster: None };
    let until = Instant::now() + patience;
    let mut last = String::from("no address was given");
    loop {
        for address in addresses {
            match ask_once(address, nobody, &Request::Cluster { node }, ASK_PATIENCE).await {
                Ok(Response::Cluster { known: true, .. }) => {
                    return Err(StartFailure::Refused(MembershipError::IdInUse { node }));
                }
                Ok(Response::Cluster { cluster, known: false }) => return Ok(cluster),
                Ok(_) => last = format!("{address} gave a strange answer"),
                Err(error) => last = format!("{address}: {}", reason(error)),
            }
        }
        if Instant::now() >= until {
            return Err(StartFailure::NotJoined(last));
        }
        sleep(TRY_EVERY).await;
    }
}

/// Asks the nodes at these addresses to be admitted, until one says so or the membership that is applied here does, or the time
/// is over: an answer may be lost, and this node may lead meanwhile.
pub(super) async fn join(core: &Core, addresses: &[String], patience: Duration) -> Result<(), StartFailure> {
    let node = core.node.0;
    let request = Request::Join(Joiner { node, member: core.me.clone() });
    let until = Instant::now() + patience;
    let mut last = String::from("no address was given");
    loop {
        for address in addresses {
            if core.members.has_applied(node, &core.me) {
                return Ok(());
            }
            match ask_once(address, core.peers.local(), &request, ADMIT_PATIENCE).await {
                Ok(Response::Changed(Ok(()))) => return Ok(()),
                Ok(Response::Changed(Err(error @ MembershipError::IdInUse { .. }))) => {
                    return Err(StartFailure::Refused(error));
                }
                Ok(Response::Changed(Err(error))) => last = format!("{address}: {error}"),
                Ok(_) => last = format!("{address} gave a strange answer"),
                Err(CallError::Refused { refusal: Refusal::WrongIncarnation, .. }) => {
                    return Err(StartFailure::Refused(MembershipError::IdInUse { node }));
                }
                Err(error) => last = format!("{address}: {}", reason(error)),
            }
        }
        if Instant::now() >= until {
            return Err(StartFailure::NotJoined(last));
        }
        sleep(TRY_EVERY).await;
    }
}

fn reason(error: CallError) -> String {
    match error {
        CallError::Unreachable { reason, .. } => reason,
        CallError::Refused { refusal, .. } => refusal.to_string(),
        error => error.to_string(),
    }
}

/// Tells the cluster who this node is and where, until the membership that is applied here says so: an admission that stands
/// in the log only may be lost with the leader that wrote it, and nobody else would know of this node.
pub(super) async fn announce(core: Arc<Core>, joins: Vec<String>) {
    let node = core.node.0;
    let joiner = Joiner { node, member: core.me.clone() };
    let request = Request::Join(joiner.clone());
    while !core.members.has_applied(node, &core.me) {
        sleep(ANNOUNCE_EVERY).await;
        if core.way() == Way::Here {
            let _ = core.members.change(Change::Add(joiner.clone())).await;
            continue;
        }
        let others = core.members.others(node).into_values().map(|member| member.peer_addr);
        for address in others.chain(joins.iter().cloned()) {
            match ask_once(&address, core.peers.local(), &request, ADMIT_PATIENCE).await {
                Ok(Response::Changed(Ok(()))) => break,
                Ok(Response::Changed(Err(error @ MembershipError::IdInUse { .. }))) => {
                    return tracing::error!(%error, "this node does not belong to the cluster");
                }
                // Somebody else may know.
                Ok(_) | Err(_) => {}
            }
        }
    }
}
