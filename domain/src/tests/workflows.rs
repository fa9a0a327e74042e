//! Workflows kept by name, rule by rule.

use super::{store::Store, *};

pub(super) fn named(text: &str) -> WorkflowName {
    text.parse().expect("a legal name")
}

pub(super) fn apply_workflow(name: &str, content: u128) -> ApplyWorkflow {
    ApplyWorkflow {
        name: named(name),
        definition: definition(content, vec![step("one", &[], does("a"))]),
        expect: Expect::Any,
        schedules: Vec::new(),
        others: Vec::new(),
    }
}

pub(super) fn applied(name: &str, content: u128) -> Command {
    Command::ApplyWorkflow(Box::new(apply_workflow(name, content)))
}

fn run_of(id: u128, content: u128, version: u64) -> Command {
    let Command::CreateRun(create) = create_run(id, &apply_workflow("x", content).definition) else {
        unreachable!("it creates a run")
    };
    let workflow = Some(WorkflowRef { name: named("deploy"), version });
    Command::CreateRun(Box::new(CreateRun {
        body: None,
        origin: Origin { workflow, ..Origin::default() },
        ..*create
    }))
}

fn version(version: u64, made: bool) -> Answer {
    Answer::Version { version, made }
}

#[test]
fn versions_count_up_and_the_same_content_makes_none() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.ok(applied("deploy", 1)), version(1, true));
    let seq = cluster.state.meta.seq;
    assert_eq!(cluster.ok(applied("deploy", 1)), version(1, false));
    assert_eq!(cluster.state.meta.seq, seq, "nothing happened");
    assert_eq!(cluster.ok(applied("deploy", 2)), version(2, true));
    assert_eq!(cluster.ok(applied("deploy", 1)), version(3, true), "older content is a new version");
    assert_eq!(cluster.ok(applied("train", 1)), version(1, true));
    let second = cluster.state.workflow_versions.latest(&(named("deploy"), 2)).expect("it is kept");
    assert_eq!((second.version, second.definition), (2, DefinitionId(2u128.to_be_bytes())));
}

#[test]
fn a_version_is_compared_before_it_is_replaced() {
    let mut cluster = Cluster::new();
    let expecting = |expect, content| {
        Command::ApplyWorkflow(Box::new(ApplyWorkflow { expect, ..apply_workflow("deploy", content) }))
    };
    let conflict = |version| Rejection::WorkflowConflict { name: named("deploy"), version };
    assert_eq!(cluster.refused(expecting(Expect::Version(1), 1)), conflict(0));
    cluster.ok(expecting(Expect::Absent, 1));
    assert_eq!(cluster.refused(expecting(Expect::Absent, 2)), conflict(1));
    assert_eq!(cluster.refused(expecting(Expect::Version(2), 2)), conflict(1));
    cluster.ok(expecting(Expect::Version(1), 2));
    let delete = |expect| Command::DeleteWorkflow { name: named("deploy"), expect };
    assert_eq!(cluster.refused(delete(Expect::Version(1))), conflict(2));
    cluster.ok(delete(Expect::Version(2)));
}

#[test]
fn a_deleted_workflow_is_gone_and_its_runs_go_on() {
    let mut cluster = Cluster::new();
    cluster.ok(applied("deploy", 1));
    cluster.ok(run_of(1, 1, 1));
    cluster.ok(Command::DeleteWorkflow { name: named("deploy"), expect: Expect::Any });
    let unknown = Rejection::WorkflowUnknown { name: named("deploy") };
    assert_eq!(cluster.refused(run_of(2, 1, 1)), unknown);
    assert_eq!(
        cluster.refused(Command::DeleteWorkflow { name: named("deploy"), expect: Expect::Any }),
        unknown
    );
    assert_eq!(cluster.refused(Command::PauseWorkflow { name: named("deploy") }), unknown);
    cluster.connect(ANN, 1, vec![]);
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
    assert_eq!(cluster.ok(applied("deploy", 1)), version(1, true), "the name is free again");
}

#[test]
fn a_paused_workflow_starts_no_runs_by_name() {
    let mut cluster = Cluster::new();
    cluster.ok(applied("deploy", 1));
    cluster.ok(Command::PauseWorkflow { name: named("deploy") });
    cluster.ok(Command::PauseWorkflow { name: named("deploy") });
    assert_eq!(cluster.refused(run_of(1, 1, 1)), Rejection::WorkflowPaused { name: named("deploy") });
    cluster.ok(applied("deploy", 2));
    assert!(
        cluster.state.workflows.get(&named("deploy")).expect("it is kept").paused,
        "a new version changes nothing"
    );
    cluster.ok(Command::ResumeWorkflow { name: named("deploy") });
    cluster.ok(run_of(1, 1, 1));
    assert_eq!(cluster.run(1).origin.workflow, Some(WorkflowRef { name: named("deploy"), version: 1 }));
    assert_eq!(cluster.refused(run_of(2, 1, 3)), Rejection::WorkflowUnknown { name: named("deploy") });
}

#[test]
fn the_latest_definition_stays_in_memory_and_older_ones_may_leave() {
    let (mut cluster, mut disk) = (Cluster::new(), Store::default());
    cluster.ok(applied("deploy", 1));
    for other in 0..600 {
        cluster.ok(applied("train", 1_000 + other));
        cluster.ok(applied("test", 2_000 + other));
    }
    let held = |cluster: &Cluster, content: u128| {
        cluster.state.definitions.contains(&DefinitionId(content.to_be_bytes()))
    };
    assert!(held(&cluster, 1), "the latest version of a workflow");
    assert_eq!(cluster.state.definitions.len(), 1_003, "1,000 that nobody uses, and one of each workflow");
    disk.drain(&mut cluster.state);
    let loaded = disk.load();
    assert_eq!(loaded.indexes, cluster.state.indexes, "workflows use definitions after a restart, too");
}

#[test]
fn workflows_and_their_versions_are_limited() {
    let mut cluster = Cluster::new();
    for content in 1..=1_000 {
        cluster.ok(applied("deploy", content));
    }
    let limit = Rejection::LimitExceeded { what: Limited::WorkflowVersions, limit: 1_000 };
    assert_eq!(cluster.refused(applied("deploy", 1_001)), limit);
    assert_eq!(cluster.ok(applied("deploy", 1_000)), version(1_000, false));
    let empty = ApplyWorkflow { definition: definition(1, Vec::new()), ..apply_workflow("empty", 1) };
    assert!(matches!(cluster.refused(Command::ApplyWorkflow(Box::new(empty))), Rejection::Invalid(_)));
}
