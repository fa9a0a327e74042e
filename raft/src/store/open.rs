//! How a node's data folder is opened: identity, state, log, and that they fit each other.
//! Knows nothing of the network; whatever does not fit is a [`StartError`] that says what to do.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    Core, GROUP, StateMachine, StateReader,
    apply::Applier,
    copy::COPIES_MAX,
    disk::{Loaded, StateDisk},
    drain::{Drain, Drainer},
    files::{create_folder, start_error},
    folders::Folders,
    published::Published,
    snapshot::Snapshots,
};
use crate::{
    error::{FatalHandler, ReadError, StartError, exit_when_fatal},
    identity::Identity,
    log::{LogStore, OpenedLog},
};

/// How to open a data folder.
#[derive(Clone)]
pub struct OpenOptions {
    /// This node.
    pub node_id: u64,
    /// The cluster, where it is known already; a new folder without one founds a cluster.
    pub cluster_id: Option<Uuid>,
    /// Hears when this node cannot go on.
    pub fatal: FatalHandler,
    /// The longest time a change of the state waits for the disk.
    pub drain_interval: Duration,
    /// Which events are kept on the disk.
    pub events_kept: EventsKept,
    /// Bytes of the log's tail kept in memory.
    pub log_cache_bytes: usize,
}

impl OpenOptions {
    /// What a real node uses.
    pub fn new(node_id: u64) -> OpenOptions {
        OpenOptions {
            node_id,
            cluster_id: None,
            fatal: exit_when_fatal(),
            drain_interval: Duration::from_millis(100),
            events_kept: EventsKept::default(),
            log_cache_bytes: 64 << 20,
        }
    }
}

/// Which events are kept on the disk; the others go, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsKept {
    /// How many of the newest; a few more stay until it pays to delete them.
    pub count: u64,
    /// Those that are younger, by the cluster's clock.
    pub age: Duration,
}

impl Default for EventsKept {
    fn default() -> EventsKept {
        EventsKept { count: 1_000_000, age: Duration::from_secs(7 * 86_400) }
    }
}

/// An opened data folder.
pub struct Opened {
    /// Whose it is.
    pub identity: Identity,
    /// The log, for Raft.
    pub log: LogStore,
    /// The state machine, for Raft.
    pub machine: StateMachine,
    /// The state, for everybody.
    pub reader: StateReader,
}

/// Opens or creates a data folder; blocks. Nothing is started when it fails.
pub fn open(data: &Path, options: OpenOptions) -> Result<Opened, StartError> {
    let identity = Identity::open(data, options.node_id, options.cluster_id)?;
    let folders = Folders::new(data.join(GROUP))?;
    let current = folders.current()?;
    let log_folder = folders.log();
    create_folder(&log_folder).map_err(start_error(&log_folder))?;
    let log = OpenedLog::open(&log_folder, identity.incarnation, current.is_none())?;
    // Only whoever has the log's lock may delete anything.
    folders.clean(current.as_deref()).map_err(start_error(data))?;
    let (disk, loaded) = open_state(&folders, current)?;
    let position = loaded.encoder.position();
    log.check(position.applied().map(|id| id.index), position.installed)?;
    let snapshots = Snapshots::load(folders.clone(), position.applied());
    let snapshots = Arc::new(snapshots.map_err(start_error(folders.snapshots()))?);
    let core = Arc::new(start(disk, loaded, &options).map_err(start_error("the state's threads"))?);
    let log = log.start(
        identity.node_id,
        options.log_cache_bytes,
        Drainer::new(core.clone()),
        options.fatal.clone(),
    )?;
    let machine = StateMachine { core: core.clone(), snapshots: snapshots.clone(), fatal: options.fatal };
    Ok(Opened { identity, log, machine, reader: StateReader { core, snapshots } })
}

fn open_state(folders: &Folders, current: Option<PathBuf>) -> Result<(StateDisk, Loaded), StartError> {
    let folder = match &current {
        Some(folder) => folder.clone(),
        None => folders.next().map_err(start_error("the state's folder"))?,
    };
    create_folder(&folder).map_err(start_error(&folder))?;
    let wrap = StateDisk::start_error(&folder);
    let disk = StateDisk::open(&folder).map_err(|error| wrap(ReadError::Disk(error)))?;
    let loaded = disk.load().map_err(wrap)?;
    if current.is_none() {
        folders.switch(&folder).map_err(start_error(folder))?;
    }
    Ok((disk, loaded))
}

fn start(disk: StateDisk, loaded: Loaded, options: &OpenOptions) -> std::io::Result<Core> {
    let Loaded { state, encoder } = loaded;
    let standing = encoder.standing();
    let published = Arc::new(Published::new(&state, standing.applied, encoder.events_first()));
    let disk = Arc::new(RwLock::new(Arc::new(disk)));
    let applier = Applier {
        state,
        standing,
        published: published.clone(),
        fatal: options.fatal.clone(),
        presumed: None,
    };
    let (jobs, apply_thread) = applier.start()?;
    let drain = Drain {
        disk: disk.clone(),
        encoder,
        jobs: jobs.clone(),
        published: published.clone(),
        fatal: options.fatal.clone(),
        interval: options.drain_interval,
        events_kept: options.events_kept,
    };
    let (orders, drain_thread) = drain.start()?;
    Ok(Core {
        published,
        disk,
        jobs: Some(jobs),
        orders: Some(orders),
        copies: Arc::new(Semaphore::new(COPIES_MAX)),
        threads: vec![drain_thread, apply_thread],
        fatal: options.fatal.clone(),
    })
}
