//! Nodes that end in the middle of writing, at every place that the product names for it (`runtime/src/fail_point.rs`): one
//! after another, each time another node, which then has to start as if it had been killed there.
//! Knows nothing of what is written.

use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Context, Result, ensure};
use tokio::time::Duration;

use super::stage::{ENDS_WITHIN, Stage};

/// The places, how often one is passed at least before the node ends there, and whether only a node passes it that gets a
/// snapshot.
const POINTS: [(&str, u64, bool); 12] = [
    ("log.write", 50, false),
    ("log.written", 50, false),
    ("append.answered", 50, false),
    ("call.answered", 20, false),
    ("state.write", 5, false),
    ("state.written", 5, false),
    ("snapshot.files", 0, false),
    ("snapshot.named", 0, false),
    ("install.kept", 0, true),
    ("install.opened", 0, true),
    ("install.switched", 0, true),
    ("install.replaced", 0, true),
];
const SIGABRT: i32 = 6;

impl Stage<'_> {
    /// Ends a node at every place; the nodes that it happened to.
    pub(super) async fn end_at_points(&mut self) -> Result<Vec<u64>> {
        let mut nodes = Vec::new();
        for (point, passed, installs) in POINTS {
            let ids = self.cluster.ids();
            let node = ids[self.rng.usize(..ids.len())];
            self.end_at(node, (point, passed), installs).await?;
            nodes.push(node);
        }
        Ok(nodes)
    }

    async fn end_at(&mut self, node: u64, (point, passed): (&str, u64), installs: bool) -> Result<()> {
        self.cluster.kill_node(node)?;
        if installs {
            let other = self.cluster.ids().into_iter().find(|other| *other != node);
            self.miss_records(other.context("a node is alone")?).await?;
        }
        let passed = passed + self.rng.u64(0..=4 * passed);
        let action = if passed == 0 { "return".to_owned() } else { format!("{passed}*off->return") };
        let told = self.cluster.output(node)?.len();
        self.cluster.start_node_with(node, &[("FAILPOINTS", &format!("{point}={action}"))])?;
        let ended = self.cluster.process(node)?.ended(ENDS_WITHIN).await;
        let output = self.cluster.output(node)?.split_off(told);
        ensure!(
            output.contains(&format!("fail point {point}")),
            "this program has no fail points: `make fail-points` builds one that has"
        );
        let status = ended?;
        let at_point = output.contains(&format!("ended at the fail point {point}"));
        ensure!(
            at_point && status.signal() == Some(SIGABRT),
            "node-{node} ended with {status}, not at {point}\n{output}"
        );
        self.cluster.kill_node(node)?;
        tokio::time::sleep(Duration::from_millis(self.rng.u64(0..500))).await;
        self.start(&[node]).await
    }
}
