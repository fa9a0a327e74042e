//! The table of cluster settings: the seed's name of each, its place in [`ClusterConfig`], and what its switch does.
//! Knows nothing of files or JSON documents.

use std::time::Duration;

use orc_domain::{ClusterConfig, Switches};

/// One setting of the seed's configuration.
pub(super) struct Setting {
    /// The group it stands in; empty for the top level.
    pub(super) group: &'static str,
    /// Its name there.
    pub(super) name: &'static str,
    /// Where it goes.
    pub(super) kind: Kind,
}

/// What a setting is.
pub(super) enum Kind {
    /// A number.
    Count(fn(&mut ClusterConfig) -> &mut u32),
    /// A duration.
    Time(fn(&mut ClusterConfig) -> &mut Duration),
    /// On or off.
    Flag(fn(&mut Switches) -> &mut bool),
    /// On or off by what other settings are.
    Switch { read: fn(&ClusterConfig) -> bool, write: fn(&mut ClusterConfig, bool) },
    /// A switch that has one position.
    Fixed { position: bool, why: &'static str },
    /// Accepted and without effect; the note says why.
    Noted(&'static str),
    /// One of these words, without effect; the note says why.
    Word(&'static [&'static str], &'static str),
}

const fn setting(group: &'static str, name: &'static str, kind: Kind) -> Setting {
    Setting { group, name, kind }
}

const PERSISTENCE: &str = "every acknowledged write is on the disks of a majority; a node that keeps nothing is `orc server --preset testing` without --data-dir";

/// Every setting, in the order of the seed.
pub(super) static SETTINGS: &[Setting] = &[
    setting("", "maxConcurrentWorkflows", Kind::Count(|config| &mut config.runs_active_max)),
    setting("", "maxConcurrentTasks", Kind::Count(|config| &mut config.tasks_running_max)),
    setting("", "maxLiveRuns", Kind::Count(|config| &mut config.runs_live_max)),
    setting("", "maxLiveTasks", Kind::Count(|config| &mut config.tasks_live_max)),
    setting("", "healthCheckInterval", Kind::Time(|config| &mut config.health_interval)),
    setting("", "enableMonitoring", Kind::Flag(|switches| &mut switches.monitoring)),
    setting("", "enableErrorRecovery", Kind::Flag(|switches| &mut switches.recovery)),
    setting("", "retryAttempts", Kind::Count(|config| &mut config.task_retry.limit)),
    setting("", "retryDelay", Kind::Time(|config| &mut config.task_retry.delay)),
    setting("", "componentTimeout", Kind::Time(|config| &mut config.component_timeout)),
    setting("workflow", "stepTimeout", Kind::Time(|config| &mut config.step_timeout)),
    setting("workflow", "workflowTimeout", Kind::Time(|config| &mut config.run_timeout)),
    setting("workflow", "enableParallelExecution", Kind::Flag(|switches| &mut switches.parallel_steps)),
    setting("workflow", "enableRetry", Kind::Flag(|switches| &mut switches.step_retries)),
    setting("workflow", "maxRetryAttempts", Kind::Count(|config| &mut config.step_retry.limit)),
    setting("workflow", "retryDelay", Kind::Time(|config| &mut config.step_retry.delay)),
    setting("workflow", "retention", Kind::Time(|config| &mut config.runs_kept_for)),
    setting("workflow", "maxEndedRuns", Kind::Count(|config| &mut config.runs_kept_max)),
    setting("components", "messageTimeout", Kind::Time(|config| &mut config.message_timeout)),
    setting("components", "heartbeatInterval", Kind::Time(|config| &mut config.heartbeat_interval)),
    setting("components", "enableHeartbeat", Kind::Flag(|switches| &mut switches.heartbeats)),
    setting("components", "enableMessageQueue", Kind::Flag(|switches| &mut switches.message_queues)),
    setting("components", "maxQueueSize", Kind::Count(|config| &mut config.messages_waiting_max)),
    setting("components", "maxDeliveries", Kind::Count(|config| &mut config.deliveries_max)),
    setting("components", "redeliveryDelay", Kind::Time(|config| &mut config.redelivery_delay)),
    setting("components", "maxDeadLetters", Kind::Count(|config| &mut config.messages_dead_max)),
    setting("components", "disconnectGrace", Kind::Time(|config| &mut config.disconnect_grace)),
    setting("tasks", "taskTimeout", Kind::Time(|config| &mut config.task_timeout)),
    setting("tasks", "cancelGrace", Kind::Time(|config| &mut config.cancel_grace)),
    setting("tasks", "priorityHeadStart", Kind::Time(|config| &mut config.head_start)),
    setting("tasks", "retention", Kind::Time(|config| &mut config.tasks_kept_for)),
    setting("tasks", "maxEndedTasks", Kind::Count(|config| &mut config.tasks_kept_max)),
    setting("tasks", "schedulingInterval", Kind::Noted("tasks are assigned at once, there is no interval")),
    setting(
        "tasks",
        "enablePriorityScheduling",
        Kind::Switch { read: has_priorities, write: set_priorities },
    ),
    setting("tasks", "enableDependencyResolution", Kind::Flag(|switches| &mut switches.dependencies)),
    setting("tasks", "deadlockDetectionInterval", Kind::Time(|config| &mut config.deadlock_interval)),
    setting("tasks", "maxDeadLetters", Kind::Count(|config| &mut config.tasks_dead_max)),
    setting("state", "enablePersistence", Kind::Fixed { position: true, why: PERSISTENCE }),
    setting("state", "enableVersioning", Kind::Switch { read: keeps_versions, write: set_versioning }),
    setting("state", "enableBackup", Kind::Flag(|switches| &mut switches.backups)),
    setting("state", "persistenceInterval", Kind::Noted("every acknowledged write is on disk already")),
    setting("state", "maxVersions", Kind::Count(|config| &mut config.versions_max)),
    setting("state", "backupInterval", Kind::Time(|config| &mut config.backup_interval)),
    setting("state", "backupsKept", Kind::Count(|config| &mut config.backups_kept)),
    setting("state", "maxSnapshots", Kind::Count(|config| &mut config.snapshots_max)),
    setting("state", "snapshotInterval", Kind::Time(|config| &mut config.snapshot_interval)),
    setting("state", "snapshotsKept", Kind::Count(|config| &mut config.snapshots_kept)),
    setting(
        "state",
        "storageType",
        Kind::Word(&["rocksdb", "database"], "the storage is always RocksDB on each node"),
    ),
];

impl Setting {
    /// The dotted name.
    pub(super) fn path(&self) -> String {
        if self.group.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.group, self.name) }
    }
}

/// The groups, in order.
pub(super) const GROUPS: [&str; 4] = ["workflow", "components", "tasks", "state"];

fn has_priorities(config: &ClusterConfig) -> bool {
    !config.head_start.is_zero()
}

fn set_priorities(config: &mut ClusterConfig, on: bool) {
    match (on, config.head_start.is_zero()) {
        (false, _) => config.head_start = Duration::ZERO,
        (true, true) => config.head_start = ClusterConfig::default().head_start,
        (true, false) => {}
    }
}

fn keeps_versions(config: &ClusterConfig) -> bool {
    config.versions_max > 1
}

fn set_versioning(config: &mut ClusterConfig, on: bool) {
    match (on, config.versions_max) {
        (false, _) => config.versions_max = 1,
        (true, 0 | 1) => config.versions_max = ClusterConfig::default().versions_max,
        (true, _) => {}
    }
}
