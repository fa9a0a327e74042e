//! Schedules, rule by rule, and that each instant has one turn at most, never early, whoever computes them (P14).

extern crate std;

use alloc::{collections::BTreeMap, format};

use super::{
    dice::Dice,
    store::Store,
    workflows::{applied, apply_workflow, named},
    *,
};

const MINUTE: u64 = 60_000;

fn id(text: &str) -> ScheduleId {
    text.parse().expect("a legal name")
}

pub(super) fn spec(name: &str, workflow: &str) -> ScheduleSpec {
    ScheduleSpec {
        id: id(name),
        workflow: named(workflow),
        of_file: true,
        cron: "* * * * *".into(),
        timezone: "UTC".into(),
        overlap: Overlap::Skip,
        catch_up: Duration::from_secs(600),
        jitter: Duration::ZERO,
        given: "{}".into(),
        inputs: "{}".into(),
        group: None,
    }
}

fn minutely() -> ScheduleSpec {
    ScheduleSpec { of_file: false, ..spec("minutely", "deploy") }
}

fn set(spec: ScheduleSpec) -> Command {
    Command::SetSchedule { spec: Box::new(spec), expect: Expect::Any }
}

/// What a planner proposes that knows one instant a minute.
fn plan_of(schedule: &Schedule, now: Timestamp) -> Command {
    let mut instant = Timestamp((schedule.after.0 / MINUTE + 1) * MINUTE);
    let mut missed: Option<Missed> = None;
    while schedule.spec.is_missed(instant, now) {
        missed = Some(Missed { count: missed.map_or(0, |missed| missed.count) + 1, last: instant });
        instant = Timestamp(instant.0 + MINUTE);
    }
    let (schedule, version, after) = (schedule.spec.id.clone(), schedule.version, schedule.after);
    Command::PlanSchedule { schedule, version, after, instant, missed }
}

impl Cluster {
    fn schedule(&self, name: &str) -> &Schedule {
        self.state.schedules.get(&id(name)).expect("it is there")
    }

    /// The hands do what they owe.
    fn plan(&mut self) {
        let owed: Vec<Effect> = outstanding(&self.state).collect();
        for effect in owed {
            if let Effect::PlanSchedule { schedule } = effect {
                let plan = plan_of(self.state.schedules.get(&schedule).expect("it is there"), self.clock);
                self.ok(plan);
            }
        }
    }

    fn minutes(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.pass(Duration::from_millis(MINUTE));
            self.plan();
        }
    }

    fn scheduled(spec: ScheduleSpec) -> Cluster {
        let mut cluster = Cluster::new();
        cluster.clock = Timestamp(10 * MINUTE);
        cluster.ok(applied("deploy", 1));
        cluster.ok(set(spec));
        cluster.plan();
        cluster
    }

    fn count(&self, name: &str) -> (u64, u64, u64) {
        let schedule = self.schedule(name);
        (schedule.started, schedule.skipped, schedule.missed)
    }
}

#[test]
fn an_instant_starts_a_run_when_it_is_due_and_not_before() {
    let mut cluster = Cluster::scheduled(minutely());
    assert_eq!(cluster.state.next_due(), Some(Timestamp(11 * MINUTE)));
    cluster.pass(Duration::from_millis(MINUTE - 1));
    assert_eq!(cluster.count("minutely"), (0, 0, 0));
    cluster.pass(Duration::from_millis(1));
    assert_eq!(cluster.effects, [Effect::PlanSchedule { schedule: id("minutely") }]);
    assert_eq!(cluster.count("minutely"), (1, 0, 0));
    let (_, run) = cluster.state.runs.iter().next().expect("it runs");
    assert_eq!(run.origin.by, StartedBy::Schedule(id("minutely")));
    assert_eq!(run.origin.workflow, Some(WorkflowRef { name: named("deploy"), version: 1 }));
    let trigger = r#"{"type":"cron","schedule":"minutely","scheduledAt":660000,"manual":false}"#;
    assert_eq!(run.origin.trigger, Some(trigger.into()));
    assert_eq!(run.id.0.as_u128() >> 80, 660_000, "lists of runs are in the order of their start");
    cluster.pass(Duration::from_secs(5));
    assert_eq!(cluster.count("minutely"), (1, 0, 0), "the next one is not planned yet");
}

#[test]
fn a_plan_counts_only_for_what_it_was_computed_from() {
    let mut cluster = Cluster::scheduled(minutely());
    let not_awaited = Rejection::PlanNotAwaited { schedule: id("minutely") };
    let early = plan_of(cluster.schedule("minutely"), cluster.clock);
    assert_eq!(cluster.refused(early.clone()), not_awaited, "it is planned already");
    cluster.pass(Duration::from_millis(MINUTE));
    assert_eq!(cluster.refused(early), not_awaited, "an older plan does not fire the same instant again");
    let plan = plan_of(cluster.schedule("minutely"), cluster.clock);
    cluster.ok(set(ScheduleSpec { overlap: Overlap::Allow, ..minutely() }));
    assert_eq!(cluster.effects, [Effect::PlanSchedule { schedule: id("minutely") }], "it is asked for again");
    assert_eq!(cluster.refused(plan), not_awaited, "the schedule has changed");
    let Command::PlanSchedule { schedule, version, after, .. } =
        plan_of(cluster.schedule("minutely"), cluster.clock)
    else {
        unreachable!("it is a plan")
    };
    let missed = Some(Missed { count: 1, last: Timestamp(after.0 + 1) });
    let instant = Timestamp(after.0 + 2);
    let skipping = Command::PlanSchedule { schedule: schedule.clone(), version, after, instant, missed };
    assert!(
        matches!(cluster.refused(skipping), Rejection::Invalid(_)),
        "nothing is missed within the catch-up time"
    );
    let backwards = Command::PlanSchedule { schedule, version, after, instant: after, missed: None };
    assert!(matches!(cluster.refused(backwards), Rejection::Invalid(_)));
}

#[test]
fn overlap_skips_queues_allows_or_cancels() {
    for (overlap, counts, live, waiting) in [
        (Overlap::Skip, (1, 2, 0), 1, 0),
        (Overlap::Queue, (1, 0, 0), 1, 2),
        (Overlap::Allow, (3, 0, 0), 3, 0),
        (Overlap::CancelRunning, (3, 0, 0), 1, 0),
    ] {
        let mut cluster = Cluster::scheduled(ScheduleSpec { overlap, ..minutely() });
        cluster.minutes(3);
        let schedule = cluster.schedule("minutely");
        assert_eq!(cluster.count("minutely"), counts, "{overlap:?}");
        assert_eq!((schedule.running.len(), schedule.waiting.len()), (live, waiting), "{overlap:?}");
        assert_eq!(cluster.state.runs.len(), live, "{overlap:?}");
    }
}

#[test]
fn what_waits_starts_when_the_run_before_it_ends() {
    let mut cluster = Cluster::scheduled(ScheduleSpec { overlap: Overlap::Queue, ..minutely() });
    cluster.minutes(3);
    cluster.ok(Command::PauseWorkflow { name: named("deploy") });
    cluster.ok(Command::ResumeWorkflow { name: named("deploy") });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let run = cluster.schedule("minutely").running[0];
        seen.push(cluster.schedule("minutely").last.clone().expect("it has started one").instant.0 / MINUTE);
        cluster.ok(Command::CancelRun { run, reason: "enough".into() });
    }
    assert_eq!(seen, [11, 12, 13], "in order, each once");
    assert_eq!((cluster.count("minutely"), cluster.state.runs.len()), ((3, 0, 0), 0));
}

#[test]
fn what_waits_is_skipped_when_the_workflow_is_paused() {
    let mut cluster = Cluster::scheduled(ScheduleSpec { overlap: Overlap::Queue, ..minutely() });
    cluster.minutes(4);
    cluster.ok(Command::PauseWorkflow { name: named("deploy") });
    let run = cluster.schedule("minutely").running[0];
    cluster.ok(Command::CancelRun { run, reason: "enough".into() });
    assert_eq!(cluster.count("minutely"), (1, 3, 0));
    cluster.minutes(1);
    assert_eq!(cluster.count("minutely"), (1, 4, 0), "and so is what is due");
    let trigger = Command::TriggerSchedule { schedule: id("minutely"), run: run_id(9) };
    assert_eq!(cluster.refused(trigger), Rejection::WorkflowPaused { name: named("deploy") });
}

#[test]
fn instants_of_a_downtime_have_their_turn_within_the_catch_up_time() {
    let mut cluster = Cluster::scheduled(ScheduleSpec { overlap: Overlap::Allow, ..minutely() });
    cluster.clock = Timestamp(40 * MINUTE + 1);
    for _ in 0..20 {
        cluster.ok(Command::AdvanceTime);
        cluster.plan();
    }
    assert_eq!(cluster.count("minutely"), (10, 0, 20), "11 to 30 are too late, 31 to 40 are not");
    assert_eq!(cluster.state.next_due(), Some(Timestamp(41 * MINUTE)));
}

#[test]
fn runs_of_a_schedule_keep_to_their_concurrency_group() {
    let group = |on_conflict| Some(Group { name: "one".into(), limit: 1, on_conflict });
    let of_group =
        |on_conflict| ScheduleSpec { overlap: Overlap::Allow, group: group(on_conflict), ..minutely() };
    let mut cluster = Cluster::scheduled(of_group(OnConflict::Reject));
    cluster.minutes(2);
    assert_eq!(cluster.count("minutely"), (1, 1, 0));
    let trigger = Command::TriggerSchedule { schedule: id("minutely"), run: run_id(1) };
    assert!(matches!(cluster.refused(trigger.clone()), Rejection::GroupBusy { .. }));
    cluster.ok(set(of_group(OnConflict::Queue)));
    cluster.ok(trigger);
    assert_eq!(cluster.run(1).status, RunStatus::Queued);

    // Ended by its overlap or by its group, a run is ended once.
    let both = ScheduleSpec { overlap: Overlap::CancelRunning, ..of_group(OnConflict::CancelRunning) };
    let mut cluster = Cluster::scheduled(both);
    cluster.minutes(3);
    assert_eq!((cluster.count("minutely"), cluster.state.runs.len()), ((3, 0, 0), 1));
}

#[test]
fn a_paused_schedule_skips_and_goes_on_with_what_comes_later() {
    let mut cluster = Cluster::scheduled(minutely());
    cluster.ok(Command::PauseSchedule { schedule: id("minutely") });
    assert_eq!(cluster.state.next_due(), None);
    cluster.minutes(5);
    cluster.ok(Command::TriggerSchedule { schedule: id("minutely"), run: run_id(9) });
    assert_eq!(cluster.count("minutely"), (1, 0, 0), "by hand it starts all the same");
    assert!(
        cluster
            .run(9)
            .origin
            .trigger
            .as_ref()
            .is_some_and(|json| json.as_str().ends_with(r#""manual":true}"#))
    );
    cluster.ok(Command::ResumeSchedule { schedule: id("minutely") });
    cluster.plan();
    assert_eq!(cluster.state.next_due(), Some(Timestamp(16 * MINUTE)));
}

#[test]
fn jitter_puts_instants_off_by_a_part_that_never_changes() {
    let jitter = Duration::from_secs(30);
    let spec = ScheduleSpec { jitter, ..minutely() };
    let late: Vec<u64> =
        (1..100).map(|minute| spec.turn_at(Timestamp(minute * MINUTE)).0 - minute * MINUTE).collect();
    assert!(late.iter().all(|late| *late <= 30_000));
    assert!(
        late.iter().any(|late| *late > 20_000) && late.iter().any(|late| *late < 10_000),
        "they are spread"
    );
    let cluster = Cluster::scheduled(spec.clone());
    assert_eq!(cluster.state.next_due(), Some(spec.turn_at(Timestamp(11 * MINUTE))));
}

fn with_schedules(content: u128, schedules: &[ScheduleSpec]) -> Command {
    let schedules = schedules.to_vec();
    Command::ApplyWorkflow(Box::new(ApplyWorkflow { schedules, ..apply_workflow("deploy", content) }))
}

#[test]
fn schedules_of_a_file_follow_it() {
    let mut cluster = Cluster::new();
    let (one, two) = (spec("deploy.one", "deploy"), spec("deploy.two", "deploy"));
    cluster.ok(with_schedules(1, &[one.clone(), two.clone()]));
    cluster.plan();
    let (next, seen) = (cluster.schedule("deploy.one").next, cluster.state.meta.seq);
    let later = ScheduleSpec { cron: "0 * * * *".into(), ..two };
    cluster.ok(with_schedules(2, &[one.clone(), later]));
    assert_eq!(
        cluster.state.meta.seq - seen,
        3,
        "a definition, a version and the schedule that is another now"
    );
    assert_eq!(cluster.effects, [Effect::PlanSchedule { schedule: id("deploy.two") }]);
    assert_eq!(cluster.schedule("deploy.one").next, next);
    let of_file = Rejection::ScheduleOfFile { schedule: id("deploy.one"), workflow: named("deploy") };
    assert_eq!(cluster.refused(Command::DeleteSchedule { schedule: id("deploy.one") }), of_file);
    assert_eq!(cluster.refused(set(ScheduleSpec { of_file: false, ..one })), of_file);
    cluster.ok(with_schedules(3, &[]));
    assert!(cluster.state.schedules.is_empty());
    cluster.ok(with_schedules(4, &[spec("deploy.one", "deploy")]));
    cluster.ok(Command::DeleteWorkflow { name: named("deploy"), expect: Expect::Any });
    assert!(cluster.state.schedules.is_empty());
}

#[test]
fn a_new_version_brings_new_defaults_to_other_schedules() {
    let mut cluster = Cluster::scheduled(minutely());
    let next = cluster.schedule("minutely").next;
    let others = vec![(id("minutely"), "{\"n\":1}".into(), None), (id("gone"), "{}".into(), None)];
    cluster.ok(Command::ApplyWorkflow(Box::new(ApplyWorkflow { others, ..apply_workflow("deploy", 2) })));
    let schedule = cluster.schedule("minutely");
    assert_eq!((schedule.spec.inputs.as_str(), schedule.spec.given.as_str()), ("{\"n\":1}", "{}"));
    assert_eq!(schedule.next, next);
}

#[test]
fn what_cannot_be_scheduled_is_refused() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.refused(set(minutely())), Rejection::WorkflowUnknown { name: named("deploy") });
    cluster.ok(applied("deploy", 1));
    let hasty = ScheduleSpec { catch_up: Duration::from_secs(1), ..minutely() };
    assert!(matches!(cluster.refused(set(hasty)), Rejection::Invalid(_)));
    assert_eq!(cluster.ok(set(minutely())), Answer::Version { version: 1, made: true });
    assert_eq!(cluster.ok(set(minutely())), Answer::Version { version: 1, made: false });
    let again = Command::SetSchedule { spec: Box::new(minutely()), expect: Expect::Absent };
    assert_eq!(cluster.refused(again), Rejection::ScheduleConflict { schedule: id("minutely"), version: 1 });
    let of_file =
        ApplyWorkflow { schedules: vec![spec("minutely", "deploy")], ..apply_workflow("deploy", 2) };
    let conflict = Rejection::ScheduleConflict { schedule: id("minutely"), version: 1 };
    assert_eq!(cluster.refused(Command::ApplyWorkflow(Box::new(of_file))), conflict);
    let gone = Rejection::ScheduleUnknown { schedule: id("gone") };
    assert_eq!(cluster.refused(Command::PauseSchedule { schedule: id("gone") }), gone);
}

/// Leaders come and go: each has a copy of the schedule of some time ago, plans from it late, twice or not at all.
fn turns(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let (mut cluster, mut disk) = (Cluster::new(), Store::default());
    cluster.ok(applied("deploy", 1));
    let (overlap, _) = dice.pick(&Overlap::ALL).expect("it is not empty");
    let jitter = Duration::from_millis(dice.roll(3) * 20_000);
    let asked = ScheduleSpec { overlap, jitter, catch_up: Duration::from_secs(120), ..minutely() };
    let begun = cluster.clock;
    cluster.ok(set(asked.clone()));
    let mut plans = Vec::new();
    for _ in 0..400 {
        match dice.roll(8) {
            0 | 1 => plans.push(plan_of(cluster.schedule("minutely"), cluster.clock)),
            2 | 3 => {
                if let Some(plan) = dice.pick(&plans) {
                    let _ = cluster.propose(plan).result;
                }
            }
            4 => {
                let run = cluster.schedule("minutely").running.first().copied();
                if let Some(run) = run.filter(|_| dice.chance(30)) {
                    cluster.ok(Command::CancelRun { run, reason: "done".into() });
                }
            }
            5 if dice.chance(20) => {
                let events = core::mem::take(&mut cluster.state.journal.events);
                disk.drain(&mut cluster.state);
                cluster.state = disk.load();
                cluster.state.journal.events = events;
            }
            _ => {
                let far = if dice.chance(3) { 20 * MINUTE } else { 40_000 };
                cluster.pass(Duration::from_millis(dice.roll(far)));
            }
        }
    }
    let (mut of, mut runs) = (BTreeMap::new(), 0);
    for recorded in &cluster.state.journal.events {
        let (instant, started) = match &recorded.event {
            Event::Schedule(ScheduleEvent::Fired { instant, .. }) => (*instant, true),
            Event::Schedule(ScheduleEvent::Skipped { instant, .. }) => (*instant, false),
            _ => continue,
        };
        assert!(recorded.at >= asked.turn_at(instant), "never early");
        assert!(
            !started || overlap == Overlap::Queue || !asked.is_missed(instant, recorded.at),
            "never too late"
        );
        assert_eq!(of.insert(instant, started), None, "one turn for each instant");
        runs += usize::from(started);
    }
    let schedule = cluster.schedule("minutely");
    let over = (begun.0 / MINUTE + 1..=schedule.after.0 / MINUTE).count() as u64;
    let told = schedule.started + schedule.skipped + schedule.missed + schedule.waiting.len() as u64;
    assert_eq!(told, over, "every instant has its turn or is counted");
    (runs, of.len() - runs)
}

#[test]
fn each_instant_has_one_turn_whoever_computes_it() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = number("SEED").map_or(0..300, |seed| seed..seed + 1);
    let (mut started, mut skipped) = (0, 0);
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| turns(seed));
        let (more, less) = outcome.unwrap_or_else(|_| panic!("failed at SEED={seed}"));
        (started, skipped) = (started + more, skipped + less);
    }
    assert!(started > 0 && skipped > 0, "{}", format!("{started} started, {skipped} skipped"));
}
