//! The health of this node, checked on an interval: who leads, how far it is behind, its disk, its memory, its
//! actors, the sessions of its components. Each check measures something. Knows nothing of who reads the reports.

mod checks;
mod disk;
mod memory;
mod report;
mod room;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use orc_actors::{HealthHandle, ProposerHandle};
use orc_domain::{Command, HealthReport, Json, Text, TroubleEvent};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

pub use checks::{DISK_LATENCY, DISK_SPACE, apply_lag};
pub use disk::Disk;
pub use memory::{Memory, bytes_of, default_memory_max, follow as follow_memory};
pub use report::{Check, Report};
pub use room::{Room, RoomLimits, Stage, follow as follow_room};

use crate::{config::ServerConfig, server::Cluster};

/// The longest pause before a changed interval is seen.
const LOOK: Duration = Duration::from_secs(1);

/// Checks the health of this node.
pub struct Monitor {
    cluster: Cluster,
    actors: HealthHandle,
    disk: Disk,
    memory: watch::Receiver<Memory>,
    limits: Limits,
    reports: watch::Sender<Arc<Report>>,
}

/// Limits that follow from the clocks of consensus.
struct Limits {
    /// A sync that takes as long as the longest election timeout costs the leadership.
    sync: Duration,
    /// One election timeout to notice, one to vote, one for a split vote.
    leader: Duration,
}

impl Monitor {
    /// Nothing checked yet.
    pub fn new(
        config: &ServerConfig,
        cluster: Cluster,
        actors: HealthHandle,
        memory: watch::Receiver<Memory>,
    ) -> Arc<Monitor> {
        let election = config.raft.election_max;
        Arc::new(Monitor {
            cluster,
            actors,
            disk: Disk::new(config.data_dir.clone(), config.disk),
            memory,
            limits: Limits { sync: election, leader: election * 3 },
            reports: watch::Sender::default(),
        })
    }

    /// The latest report; the next one can be awaited.
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    /// Checks again and again, for as long as the node runs, and has the cluster told. The interval and whether there are any
    /// checks are the cluster's to set, at any time.
    pub async fn run(self: Arc<Self>, proposer: ProposerHandle) {
        let mut checked = Instant::now();
        loop {
            sleep(self.cluster.config().health_interval.min(LOOK)).await;
            let config = self.cluster.config();
            if checked.elapsed() < config.health_interval {
                continue;
            }
            checked = Instant::now();
            match config.switches.monitoring {
                true => {
                    self.check().await;
                    self.publish(&proposer).await;
                }
                false => drop(self.reports.send_replace(Arc::default())),
            }
        }
    }

    /// Makes an event of the latest report.
    async fn publish(&self, proposer: &ProposerHandle) {
        let report = self.reports.borrow().clone();
        let measured = report.checks.iter().map(|check| (check.name.clone(), json!(check.measured)));
        let measured: serde_json::Map<String, serde_json::Value> = measured.collect();
        let found = TroubleEvent::HealthChecked(HealthReport {
            node: self.cluster.node(),
            unhealthy: report.unhealthy().map(|check| Text::from(check.name.as_str())).collect(),
            measured: Json::from(serde_json::Value::Object(measured).to_string()),
        });
        if let Err(error) = proposer.propose(Command::Report(Box::new(found))).await {
            debug!(%error, "a health check is not told to the cluster");
        }
    }

    /// Checks now and tells what was found.
    pub async fn check(&self) {
        let (leader, progress, probed, actors) = tokio::join!(
            self.leader(),
            self.cluster.replica().progress(),
            self.disk.probe(),
            self.actors.check()
        );
        let mut found = vec![
            leader,
            checks::apply_lag(&progress),
            checks::disk_latency(&probed, self.limits.sync),
            checks::disk_space(&probed),
            checks::memory(&self.memory.borrow()),
        ];
        found.extend(checks::actors(&actors));
        if let Ok(actors) = &actors {
            found.push(checks::heartbeats(&actors.heartbeats));
        }
        let replica = self.cluster.replica();
        if replica.leadership().borrow().is_leader {
            found.push(checks::nodes(&replica.silent_nodes(self.limits.leader), self.limits.leader));
        }
        self.tell(Report { checked_at: Some(self.cluster.now()), checks: found });
    }

    async fn leader(&self) -> Check {
        let (within, asked_at) = (self.limits.leader, Instant::now());
        let mut leadership = self.cluster.replica().leadership();
        let known = timeout(within, leadership.wait_for(|known| known.leader.is_some())).await;
        let known = known.ok().and_then(Result::ok).map(|known| *known);
        checks::leader(known, asked_at.elapsed(), within)
    }

    /// A change of health is worth a line in the log.
    fn tell(&self, report: Report) {
        let (was, is) = (self.reports.borrow().is_healthy(), report.is_healthy());
        for check in report.unhealthy() {
            warn!(check = check.name, message = check.message, "a health check failed");
        }
        if is && !was {
            info!("every health check passes again");
        }
        self.reports.send_replace(Arc::new(report));
    }
}
