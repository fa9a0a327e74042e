//! The health of this node, checked on an interval: who leads, how far it is behind, its disk, its actors, the
//! sessions of its components. Each check measures something. Knows nothing of who reads the reports.

mod checks;
mod disk;
mod report;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use orc_actors::HealthHandle;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

pub use checks::{DISK_LATENCY, DISK_SPACE, apply_lag};
pub use disk::Disk;
pub use report::{Check, Report};

use crate::{config::ServerConfig, server::Cluster};

/// Checks the health of this node.
pub struct Monitor {
    cluster: Cluster,
    actors: HealthHandle,
    disk: Disk,
    limits: Limits,
    interval: Duration,
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
    pub fn new(config: &ServerConfig, cluster: Cluster, actors: HealthHandle) -> Arc<Monitor> {
        let election = config.raft.election_max;
        Arc::new(Monitor {
            cluster,
            actors,
            disk: Disk::new(config.data_dir.clone()),
            limits: Limits { sync: election, leader: election * 3 },
            interval: config.health_check_interval,
            reports: watch::Sender::default(),
        })
    }

    /// The latest report; the next one can be awaited.
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    /// Time between checks: the one place that says where it comes from.
    fn interval(&self) -> Duration {
        self.interval
    }

    /// Checks again and again, for as long as the node runs.
    pub async fn run(self: Arc<Self>) {
        loop {
            sleep(self.interval()).await;
            self.check().await;
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
        ];
        found.extend(checks::actors(&actors));
        if let Ok(actors) = &actors {
            found.push(checks::heartbeats(&actors.heartbeats));
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
