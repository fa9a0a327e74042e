//! How a node comes to life: identity, disk, consensus, port, membership, and the tasks in the background.
//! Knows nothing of callers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use openraft::error::Fatal as RaftFatal;
use orc_runtime::net::TcpListener;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    Alive, Inner, Leadership, Mode, Replica, ReplicaOptions, StartFailure,
    core::{Core, Way},
    join,
    leadership::{Observer, TIME_PATIENCE},
    options::raft_config,
    service::{Door, NodeService},
};
use crate::{
    batcher::Batcher,
    clock::Clock,
    election::Elections,
    error::{Fatal, FatalHandler},
    gate::Gate,
    identity::Identity,
    membership::Members,
    network::Network,
    reads::{Gathering, prove_leadership},
    store::{self, OpenOptions, Opened},
    ticker::{self, LOOK_EVERY},
    transport::{
        Local, Peers, Server,
        message::{Request, Response},
    },
    types::{Member, Raft},
};

const WATCHDOG_EVERY: Duration = Duration::from_secs(1);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn start(options: ReplicaOptions) -> Result<Replica, StartFailure> {
    let config = raft_config(&options.timings, &options.limits)?;
    let address = options.peer_listen;
    let listen = |source| StartFailure::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let opened = open(&options).await?;
    let Identity { cluster_id, node_id, incarnation, .. } = opened.identity;
    let local = Local { node: node_id, incarnation, cluster: Some(cluster_id) };
    let peer_addr = options.peer_advertise.clone().unwrap_or_else(|| address.to_string());
    let me = Member { peer_addr, http_addr: options.http_addr.clone(), incarnation };

    let (peers, gate) = (Peers::new(local), Gate::new());
    let log = opened.log.clone();
    let network = Network::new(peers.clone(), gate.clone(), log.clone(), options.fatal.clone());
    let raft = Raft::new(node_id, config, network, opened.log, opened.machine).await;
    let raft = raft.map_err(|error| StartFailure::Raft(error.to_string()))?;
    let mut tasks = JoinSet::new();
    let (observed, leadership) = watch::channel(Leadership::default());
    let clock = Arc::new(Clock::new(opened.reader.clone()));
    let (batcher, packing) =
        Batcher::new(raft.clone(), leadership.clone(), options.limits.batch.clone(), clock.clone());
    tasks.spawn(packing);
    let core = Arc::new(Core {
        node: options.node,
        me,
        members: Members::new(raft.clone(), peers.clone(), opened.reader.clone()),
        raft: raft.clone(),
        peers: peers.clone(),
        gate: gate.clone(),
        elections: Elections::new(raft.clone(), log.clone(), peers.clone(), gate.clone(), options.timings),
        batcher,
        clock: clock.clone(),
        leadership,
        led_since: Mutex::default(),
        log,
        reader: opened.reader,
        timings: options.timings,
        batch: options.limits.batch.clone(),
        started: Instant::now(),
        stopping: AtomicBool::new(false),
        yielding: AtomicBool::new(false),
        handing_over: Default::default(),
        caught_up: AtomicBool::new(false),
    });
    let (log, applied) = (core.log.clone(), core.reader.applied());
    let unheard = core.elections.unheard();
    let observer = Observer { raft, log, gate, peers, clock, applied, unheard, leadership: observed };
    tasks.spawn(observer.run());
    let (service, barrier) = gather(&core, &mut tasks);
    let server = Server::start(listener, local, Arc::new(Door(service.clone())));
    tend(&core, &options, &mut tasks);
    let alive = Mutex::new(Some(Alive { _server: server, _tasks: tasks }));
    let replica = Replica { inner: Arc::new(Inner { core, barrier, service, address, alive }) };
    if let Err(failure) = enter(&replica.inner.core, &options).await {
        replica.shutdown().await;
        return Err(failure);
    }
    Ok(replica)
}

async fn open(options: &ReplicaOptions) -> Result<Opened, StartFailure> {
    let data = options.data_dir.clone();
    let cluster_id: Option<Uuid> = match (Identity::read(&data)?, &options.mode) {
        (Some(_), _) | (None, Mode::Bootstrap) => None,
        (None, Mode::Join(addresses)) => {
            Some(join::discover(addresses, options.node.0, options.timings.join_patience).await?)
        }
        (None, Mode::Restart) => return Err(StartFailure::NoData(data)),
    };
    let store = OpenOptions {
        cluster_id,
        fatal: options.fatal.clone(),
        events_kept: options.limits.events_kept,
        ..OpenOptions::new(options.node.0)
    };
    let opened = orc_runtime::blocking(move || store::open(&data, store)).await;
    Ok(opened.map_err(|error| StartFailure::Raft(error.to_string()))??)
}

/// The shared reads: proofs for other nodes, and barriers for this one.
fn gather(core: &Arc<Core>, tasks: &mut JoinSet<()>) -> (Arc<NodeService>, Gathering) {
    let (raft, gate) = (core.raft.clone(), core.gate.clone());
    let (proofs, proving) = Gathering::new(move || {
        let (raft, gate) = (raft.clone(), gate.clone());
        async move { prove_leadership(&raft, &gate).await }
    });
    let asking = core.clone();
    let (barrier, reading) = Gathering::new(move || asking.clone().barrier());
    tasks.spawn(proving);
    tasks.spawn(reading);
    (NodeService::new(core.clone(), proofs), barrier)
}

fn tend(core: &Arc<Core>, options: &ReplicaOptions, tasks: &mut JoinSet<()>) {
    let gate_limit = 2 * options.timings.election_max;
    tasks.spawn(core.gate.clone().run(core.raft.clone(), core.peers.clone(), gate_limit));
    tasks.spawn(core.elections.clone().run());
    tasks.spawn(core.members.clone().tend(core.leadership.clone()));
    tasks.spawn(watch_consensus(core.clone(), options.fatal.clone()));
    tasks.spawn(watch_snapshots(core.raft.clone(), options.limits.snapshot_every));
    tasks.spawn(catch_up(core.clone()));
    let joins = match &options.mode {
        Mode::Join(addresses) => addresses.clone(),
        Mode::Bootstrap | Mode::Restart => Vec::new(),
    };
    tasks.spawn(join::announce(core.clone(), joins));
}

/// A member goes on; a new node founds its cluster or is admitted.
async fn enter(core: &Core, options: &ReplicaOptions) -> Result<(), StartFailure> {
    let failed = |error: String| StartFailure::Raft(error);
    if core.raft.is_initialized().await.map_err(|error| failed(error.to_string()))? {
        return Ok(());
    }
    match &options.mode {
        Mode::Bootstrap => {
            let members = BTreeMap::from([(core.node.0, core.me.clone())]);
            core.raft.initialize(members).await.map_err(|error| failed(error.to_string()))
        }
        Mode::Join(addresses) => join::join(core, addresses, options.timings.join_patience).await,
        Mode::Restart => Err(StartFailure::NoData(options.data_dir.clone())),
    }
}

/// Consensus that ends by itself ends the node.
async fn watch_consensus(core: Arc<Core>, fatal: FatalHandler) {
    let mut server = core.raft.server_metrics();
    while server.changed().await.is_ok() {}
    if core.is_stopping() {
        return;
    }
    let ended = core.raft.metrics().borrow().running_state.clone();
    match ended {
        Err(RaftFatal::Stopped) => {}
        ended => {
            tracing::error!(?ended, "consensus has ended");
            fatal(&Fatal::Panic("consensus"));
        }
    }
}

/// openraft 0.9 may forget to build a snapshot while another is being built (#1829).
async fn watch_snapshots(raft: Raft, every: u64) {
    let mut tick = ticker::every(WATCHDOG_EVERY);
    loop {
        tick.tick().await;
        let (applied, snapshot) = {
            let metrics = raft.metrics();
            let metrics = metrics.borrow();
            (metrics.last_applied.map_or(0, |id| id.index), metrics.snapshot.map_or(0, |id| id.index))
        };
        if applied.saturating_sub(snapshot) > 2 * every && raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// One proof of leadership after the start tells what was committed before it, and the leader what time it is: records that
/// are applied again are old. Whoever stood still later asks for the time again.
async fn catch_up(core: Arc<Core>) {
    loop {
        let has_all = core.clone().barrier().await.is_ok();
        if has_all && (core.way() == Way::Here || ask_leader_for_time(&core).await) {
            break;
        }
        sleep(CATCH_UP_PAUSE).await;
    }
    core.caught_up.store(true, Ordering::Relaxed);
    loop {
        sleep(LOOK_EVERY).await;
        if core.clock.known().is_none() {
            ask_leader_for_time(&core).await;
        }
    }
}

/// Whether it has said what time it is.
async fn ask_leader_for_time(core: &Core) -> bool {
    let (Way::To(leader), asked) = (core.way(), core.clock.ticks()) else { return false };
    let answer = core.peers.call(leader, &Request::Time, TIME_PATIENCE).await;
    let Ok(Response::Time(now)) = answer else { return false };
    core.clock.hear(now, asked);
    true
}
