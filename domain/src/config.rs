//! Cluster-wide settings that rules read: limits, defaults and grace times.
//! Knows nothing of files, flags or node settings.

use alloc::{format, string::String};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::definition::Retry;

/// What an operator may set for the whole cluster (the seed's names in `PUT /cluster/config`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterConfig {
    /// Runs that may be active at once (`maxConcurrentWorkflows`).
    pub runs_active_max: u32,
    /// Attempts that may run at once (`maxConcurrentTasks`).
    pub tasks_running_max: u32,
    /// Runs that may be live (queued or active) at once.
    pub runs_live_max: u32,
    /// Tasks that may be live at once.
    pub tasks_live_max: u32,
    /// Time a lost connection may take to come back.
    pub disconnect_grace: Duration,
    /// Time a cancelled attempt may take to wind down.
    pub cancel_grace: Duration,
    /// What one priority level is worth in the queue.
    pub head_start: Duration,
    /// Versions kept of a state key (`state.maxVersions`).
    pub versions_max: u32,
    /// Time between heartbeats of a component (`components.heartbeatInterval`).
    pub heartbeat_interval: Duration,
    /// Time a component that polls may stay silent (`componentTimeout`).
    pub component_timeout: Duration,
    /// Time a message waits for its reply (`components.messageTimeout`).
    pub message_timeout: Duration,
    /// Default time of a task's attempt (`tasks.taskTimeout`).
    pub task_timeout: Duration,
    /// Default retries of a task (`retryAttempts`, `retryDelay`).
    pub task_retry: Retry,
    /// Default time of a step's attempt (`workflow.stepTimeout`).
    pub step_timeout: Duration,
    /// Default time of a run (`workflow.workflowTimeout`).
    pub run_timeout: Duration,
    /// Default retries of a step (`workflow.maxRetryAttempts`, `workflow.retryDelay`).
    pub step_retry: Retry,
    /// Messages that may wait for one component (`components.maxQueueSize`).
    pub messages_waiting_max: u32,
    /// Time a run is kept after its end (`workflow.retention`).
    pub runs_kept_for: Duration,
    /// Ended runs kept, the latest (`workflow.maxEndedRuns`).
    pub runs_kept_max: u32,
    /// Time a task of its own is kept after its end (`tasks.retention`).
    pub tasks_kept_for: Duration,
    /// Ended tasks kept, the latest (`tasks.maxEndedTasks`).
    pub tasks_kept_max: u32,
    /// Tasks kept on the dead-letter list (`tasks.maxDeadLetters`); the oldest of the action that has most leaves first, 0
    /// keeps none.
    pub tasks_dead_max: u32,
    /// Time between sweeps for work that nothing can wake (`tasks.deadlockDetectionInterval`).
    pub deadlock_interval: Duration,
    /// Deliveries of a durable message before it is given up (`components.maxDeliveries`).
    pub deliveries_max: u32,
    /// Pause before a durable message is delivered again (`components.redeliveryDelay`).
    pub redelivery_delay: Duration,
    /// Durable messages kept on the dead-letter list (`components.maxDeadLetters`); the oldest leave first.
    pub messages_dead_max: u32,
    /// Named snapshots there may be (`state.maxSnapshots`).
    pub snapshots_max: u32,
    /// Time between snapshots that the cluster makes by itself (`state.snapshotInterval`); zero makes none.
    pub snapshot_interval: Duration,
    /// Of those, how many are kept (`state.snapshotsKept`).
    pub snapshots_kept: u32,
    /// Time between backups that each node makes (`state.backupInterval`).
    pub backup_interval: Duration,
    /// Of those, how many each node keeps (`state.backupsKept`).
    pub backups_kept: u32,
    /// Time between health checks (`healthCheckInterval`).
    pub health_interval: Duration,
    /// What is on.
    pub switches: Switches,
}

/// What is on (the seed's `enable…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches {
    /// Health checks and metrics (`enableMonitoring`).
    pub monitoring: bool,
    /// Attempts that failed are tried again (`enableErrorRecovery`).
    pub recovery: bool,
    /// Those of steps are (`workflow.enableRetry`).
    pub step_retries: bool,
    /// Steps of a run may run at once (`workflow.enableParallelExecution`).
    pub parallel_steps: bool,
    /// A silent component loses its session (`components.enableHeartbeat`).
    pub heartbeats: bool,
    /// Durable messages are taken (`components.enableMessageQueue`).
    pub message_queues: bool,
    /// Tasks may depend on others (`tasks.enableDependencyResolution`).
    pub dependencies: bool,
    /// Nodes make backups by themselves (`state.enableBackup`).
    pub backups: bool,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        let retry = |delay| Retry {
            limit: 3,
            delay,
            backoff_percent: 100,
            delay_max: Duration::from_secs(300),
            jitter: false,
            non_retryable: alloc::vec::Vec::new(),
            lost_max: 10,
            on: alloc::vec::Vec::new(),
        };
        ClusterConfig {
            runs_active_max: 10,
            tasks_running_max: 50,
            runs_live_max: 100_000,
            tasks_live_max: 200_000,
            disconnect_grace: Duration::from_secs(5),
            cancel_grace: Duration::from_secs(10),
            head_start: Duration::from_secs(600),
            versions_max: 10,
            heartbeat_interval: Duration::from_secs(15),
            component_timeout: Duration::from_secs(60),
            message_timeout: Duration::from_secs(30),
            task_timeout: Duration::from_secs(300),
            task_retry: retry(Duration::from_secs(1)),
            step_timeout: Duration::from_secs(300),
            run_timeout: Duration::from_secs(3600),
            step_retry: retry(Duration::from_secs(5)),
            messages_waiting_max: 1000,
            runs_kept_for: Duration::from_secs(30 * 86_400),
            runs_kept_max: 1_000_000,
            tasks_kept_for: Duration::from_secs(30 * 86_400),
            tasks_kept_max: 1_000_000,
            tasks_dead_max: 10_000,
            deadlock_interval: Duration::from_secs(30),
            deliveries_max: 5,
            redelivery_delay: Duration::from_secs(1),
            messages_dead_max: 1_000,
            snapshots_max: 100,
            snapshot_interval: Duration::ZERO,
            snapshots_kept: 10,
            backup_interval: Duration::from_secs(300),
            backups_kept: 3,
            health_interval: Duration::from_secs(30),
            switches: Switches {
                monitoring: true,
                recovery: true,
                step_retries: true,
                parallel_steps: true,
                heartbeats: true,
                message_queues: true,
                dependencies: true,
                backups: false,
            },
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The setting, by the user's name.
    pub name: String,
    /// Why not.
    pub reason: String,
}

impl ClusterConfig {
    /// Refuses settings under which nothing could run.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("maxConcurrentWorkflows", self.runs_active_max, 1, 1_000_000),
            ("maxConcurrentTasks", self.tasks_running_max, 1, 1_000_000),
            ("maxLiveRuns", self.runs_live_max, 1, 10_000_000),
            ("maxLiveTasks", self.tasks_live_max, 1, 10_000_000),
            ("state.maxVersions", self.versions_max, 1, 10_000),
            ("components.maxQueueSize", self.messages_waiting_max, 1, 1_000_000),
            ("tasks.maxDeadLetters", self.tasks_dead_max, 0, 1_000_000),
            ("retryAttempts", self.task_retry.limit, 1, 1_000),
            ("workflow.maxRetryAttempts", self.step_retry.limit, 1, 1_000),
            ("workflow.maxEndedRuns", self.runs_kept_max, 0, 100_000_000),
            ("tasks.maxEndedTasks", self.tasks_kept_max, 0, 100_000_000),
            ("components.maxDeliveries", self.deliveries_max, 1, 1_000),
            ("components.maxDeadLetters", self.messages_dead_max, 0, 1_000_000),
            ("state.maxSnapshots", self.snapshots_max, 1, 1_000),
            ("state.snapshotsKept", self.snapshots_kept, 1, 1_000),
            ("state.backupsKept", self.backups_kept, 1, 1_000),
        ];
        for (name, value, min, max) in counts {
            if value < min || value > max {
                return Err(ConfigError {
                    name: name.into(),
                    reason: format!("{value} is not between {min} and {max}"),
                });
            }
        }
        let day = Duration::from_secs(86_400);
        let times = [
            ("components.heartbeatInterval", self.heartbeat_interval, Duration::from_millis(100), day),
            ("componentTimeout", self.component_timeout, Duration::from_secs(1), day),
            ("components.messageTimeout", self.message_timeout, Duration::from_millis(1), day),
            ("tasks.deadlockDetectionInterval", self.deadlock_interval, Duration::from_millis(100), day),
            ("tasks.taskTimeout", self.task_timeout, Duration::from_millis(1), 365 * day),
            ("workflow.stepTimeout", self.step_timeout, Duration::from_millis(1), 365 * day),
            ("workflow.workflowTimeout", self.run_timeout, Duration::from_millis(1), 365 * day),
            ("workflow.retention", self.runs_kept_for, Duration::ZERO, 365 * day),
            ("tasks.retention", self.tasks_kept_for, Duration::ZERO, 365 * day),
            ("components.redeliveryDelay", self.redelivery_delay, Duration::ZERO, day),
            ("state.backupInterval", self.backup_interval, Duration::from_secs(1), 365 * day),
            ("healthCheckInterval", self.health_interval, Duration::from_millis(100), day),
        ];
        for (name, value, min, max) in times {
            if value < min || value > max {
                return Err(ConfigError {
                    name: name.into(),
                    reason: format!("{value:?} is not between {min:?} and {max:?}"),
                });
            }
        }
        let often = Duration::from_secs(1);
        if !self.snapshot_interval.is_zero() && self.snapshot_interval < often {
            return Err(ConfigError {
                name: "state.snapshotInterval".into(),
                reason: format!("{:?} is less than {often:?}; 0 makes none", self.snapshot_interval),
            });
        }
        if self.snapshots_kept > self.snapshots_max {
            return Err(ConfigError {
                name: "state.snapshotsKept".into(),
                reason: format!(
                    "{} is more than state.maxSnapshots, {}",
                    self.snapshots_kept, self.snapshots_max
                ),
            });
        }
        Ok(())
    }
}
