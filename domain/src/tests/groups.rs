//! Which runs may be active together: concurrency groups, and words that keep a run single.

use super::*;

fn one_step() -> Vec<StepDef> {
    vec![step("one", &[], does("a"))]
}

impl Cluster {
    fn create_in(&mut self, id: u128, limit: u32, on_conflict: OnConflict) -> Result<Answer, Rejection> {
        let definition = definition(9, one_step());
        let create = CreateRun {
            body: Some(definition.clone()),
            group: Some(Group { name: "g".into(), limit, on_conflict }),
            ..CreateRun::new(run_id(id), definition.id)
        };
        self.propose(Command::CreateRun(Box::new(create))).result
    }

    fn statuses(&self, ids: &[u128]) -> Vec<&'static str> {
        ids.iter().map(|id| self.run(*id).status.name()).collect()
    }
}

#[test]
fn runs_of_a_full_group_wait_for_their_turn() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    for id in 1..=4 {
        cluster.create_in(id, 2, OnConflict::Queue).unwrap();
    }
    cluster.start_run(5, one_step());
    assert_eq!(cluster.statuses(&[1, 2, 3, 4, 5]), ["running", "running", "queued", "queued", "running"]);
    assert_eq!(cluster.state.group(&"test".into(), &"g".into()).1, [run_id(3), run_id(4)]);
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(cluster.statuses(&[3, 4]), ["running", "queued"]);
    cluster.ok(Command::CancelRun { run: run_id(4), reason: "no".into() });
    assert_eq!(cluster.statuses(&[4]), ["cancelled"]);
}

#[test]
fn a_full_group_may_refuse() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.create_in(1, 1, OnConflict::Reject).unwrap();
    let busy = Rejection::GroupBusy { group: "g".into(), limit: 1, run: run_id(1) };
    assert_eq!(cluster.create_in(2, 1, OnConflict::Reject), Err(busy));
    cluster.complete(step_task(1, 0), "1");
    cluster.create_in(2, 1, OnConflict::Reject).unwrap();
}

#[test]
fn a_newer_run_may_have_older_ones_cancelled() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.create_in(1, 1, OnConflict::CancelRunning).unwrap();
    cluster.create_in(2, 1, OnConflict::CancelRunning).unwrap();
    cluster.create_in(3, 1, OnConflict::CancelRunning).unwrap();
    assert_eq!(cluster.statuses(&[1, 2, 3]), ["cancelling", "cancelled", "queued"]);
    cluster.fail(step_task(1, 0), "CANCELLED");
    assert_eq!(cluster.statuses(&[1, 3]), ["cancelled", "running"]);
}

#[test]
fn a_live_run_with_the_same_word_is_the_answer() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let definition = definition(9, one_step());
    let create = |id, word: &str| {
        let body = Some(definition.clone());
        let create =
            CreateRun { body, dedupe: Some(word.into()), ..CreateRun::new(run_id(id), definition.id) };
        Command::CreateRun(Box::new(create))
    };
    let running = |id| Answer::Run { id: run_id(id), status: RunStatus::Running };
    assert_eq!(cluster.ok(create(1, "w")), running(1));
    assert_eq!(cluster.ok(create(2, "w")), running(1), "nothing new is started");
    assert_eq!(cluster.ok(create(3, "other")), running(3));
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(cluster.ok(create(2, "w")), running(2));
}

#[test]
fn a_group_counts_over_one_workflow_only() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.create_in(1, 1, OnConflict::Queue).unwrap();
    let other = Arc::new(Definition::new(DefinitionId([1; 16]), "another", linked(one_step())));
    let group = Some(Group { name: "g".into(), limit: 1, on_conflict: OnConflict::Queue });
    let create = CreateRun { body: Some(other.clone()), group, ..CreateRun::new(run_id(2), other.id) };
    cluster.ok(Command::CreateRun(Box::new(create)));
    assert_eq!(cluster.statuses(&[1, 2]), ["running", "running"]);
}
