//! Schedules: the leader computes their next instants, whatever it has missed.

use std::{sync::Arc, time::Duration};

use orc_domain::{
    ApplyWorkflow, Command, Expect, NodeId, Overlap, ScheduleId, ScheduleSpec, State, Timestamp,
};

use crate::support::{Cluster, definition, task_step};

fn hourly(id: &str) -> Command {
    let spec = ScheduleSpec {
        id: id.parse().expect("a legal name"),
        workflow: "w".parse().expect("a legal name"),
        of_file: false,
        cron: "0 * * * *".into(),
        timezone: "UTC".into(),
        overlap: Overlap::Skip,
        catch_up: Duration::from_secs(600),
        jitter: Duration::ZERO,
        given: "{}".into(),
        inputs: "{}".into(),
        group: None,
    };
    Command::SetSchedule { spec: Box::new(spec), expect: Expect::Any }
}

fn apply() -> Command {
    Command::ApplyWorkflow(Box::new(ApplyWorkflow {
        name: "w".parse().expect("a legal name"),
        definition: Arc::new(definition(vec![task_step("one", "{}")])),
        expect: Expect::Any,
        schedules: Vec::new(),
        others: Vec::new(),
    }))
}

fn next(state: &State, id: &str) -> Option<Timestamp> {
    let id: ScheduleId = id.parse().expect("a legal name");
    state.schedules.get(&id)?.next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_plans_what_is_made_and_a_new_one_what_was_missed() {
    let cluster = Cluster::of(2);
    cluster.accept(apply()).await;
    cluster.accept(hourly("first")).await;
    cluster.world.until(|state| next(state, "first").is_some()).await;
    cluster.world.lead(None);
    cluster.world.apply(hourly("second").into());
    assert_eq!(cluster.world.count(|command| matches!(command, Command::PlanSchedule { .. })), 1);
    cluster.world.lead(Some(NodeId(2)));
    cluster.world.until(|state| next(state, "second").is_some_and(|at| at.0 % 3_600_000 == 0)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_misses_an_order_reads_the_state() {
    let cluster = Cluster::of(1);
    cluster.accept(apply()).await;
    cluster.world.forgets.send_replace(true);
    cluster.accept(hourly("lost")).await;
    cluster.world.until(|state| next(state, "lost").is_some()).await;
    cluster.shutdown().await;
}
