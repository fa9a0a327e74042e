//! `triggers` and `secrets`: what they become, and each mistake with its place.

use std::time::Duration;

use orc_domain::{Overlap, RunStatus};

use super::{compile, compiled};

fn check(text: &str, expected: &[&str]) {
    let errors = compile(text).expect_err("it has mistakes");
    let found: Vec<String> = errors
        .0
        .iter()
        .map(|error| format!("{}:{} {}", error.line.unwrap_or(0), error.column.unwrap_or(0), error.message))
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
}

fn with(triggers: &str) -> String {
    format!("name: W\nsteps: [{{ id: a }}]\n{triggers}")
}

#[test]
fn triggers_have_defaults_and_names() {
    let text = with(
        "inputs: { depth: { type: integer, default: 3 }, side: { type: string, default: left } }\n\
         secrets: [TOKEN]\n\
         triggers:\n  cron:\n  - { schedule: '0 3 * * *', timezone: Europe/Berlin, inputs: { depth: 7 } }\n  \
         - { id: often, schedule: '*/5 * * * *', overlap: queue, catchUp: 1h, jitter: 30s }\n  \
         webhook: { id: github, secret: HOOK, filter: \"trigger.event == 'push'\" }\n",
    );
    let compiled = compiled(&text);
    let [first, second] = compiled.triggers.cron.as_slice() else { panic!("two schedules") };
    assert_eq!(
        (first.id.as_str(), &*first.timezone, first.overlap),
        ("cron-1", "Europe/Berlin", Overlap::Skip)
    );
    assert_eq!(
        (first.given.as_str(), first.inputs.as_str()),
        ("{\"depth\":7}", "{\"depth\":7,\"side\":\"left\"}")
    );
    assert_eq!((first.catch_up, first.jitter), (Duration::from_secs(600), Duration::ZERO));
    assert_eq!((second.id.as_str(), second.overlap), ("often", Overlap::Queue));
    assert_eq!((second.catch_up, second.jitter), (Duration::from_secs(3600), Duration::from_secs(30)));
    let hook = &compiled.triggers.webhooks[0];
    assert_eq!((hook.id.as_str(), hook.secret.as_str()), ("github", "HOOK"));
    assert_eq!(
        (hook.filter.as_deref(), &*compiled.secrets),
        (Some("trigger.event == 'push'"), &["TOKEN".to_owned()][..])
    );
}

#[test]
fn events_and_ends_of_runs_have_defaults_and_names() {
    let text = with(
        "triggers:\n  event:\n  - { type: eval.* }\n  \
         - { id: broken, type: workflow.failed, filter: \"trigger.event.data.workflow != 'W'\" }\n  \
         workflow:\n  - { name: build }\n  - { id: sad, name: build, on: [failed, timed_out, failed] }\n",
    );
    let triggers = compiled(&text).triggers;
    assert!(triggers.follow_events());
    let [first, second] = triggers.events.as_slice() else { panic!("two events") };
    assert_eq!((first.id.as_str(), &*first.kind, &first.filter), ("event-1", "eval.*", &None));
    assert!(first.pattern.matches("eval.finished") && !first.pattern.matches("eval.x.y"));
    assert_eq!((second.id.as_str(), &*second.kind), ("broken", "workflow.failed"));
    assert_eq!(second.filter.as_deref(), Some("trigger.event.data.workflow != 'W'"));
    let [done, sad] = triggers.ends.as_slice() else { panic!("two ends") };
    assert_eq!((done.id.as_str(), done.workflow.as_str()), ("workflow-1", "build"));
    assert_eq!((&*done.on, sad.id.as_str()), (&[RunStatus::Completed][..], "sad"));
    assert_eq!(sad.on, [RunStatus::Failed, RunStatus::TimedOut]);
    let one =
        compiled(&with("triggers: { event: { type: state.changed }, workflow: { name: a, on: cancelled } }"));
    assert_eq!(one.triggers.ends[0].on, [RunStatus::Cancelled]);
    assert!(!compiled(&with("triggers: { event: [] }")).triggers.follow_events());
}

#[test]
fn mistakes_in_triggers_by_events_have_their_place() {
    check(&with("triggers: { event: [{ id: a }] }"), &["3:21 an event trigger needs `type`, such as"]);
    check(
        &with("triggers: { event: { type: a..b } }"),
        &["3:28 `a..b` is no type of an event: a part is empty"],
    );
    check(&with("triggers: { event: { type: a, filter: '??' } }"), &["3:39 `filter` `??` is not a valid"]);
    check(
        &with("triggers: { event: { type: a, filter: event.seq > 1 } }"),
        &["3:39 `filter` names `event`, it sees `trigger` only"],
    );
    check(&with("triggers: { event: { typ: a, type: b } }"), &["3:22 unknown field `typ`"]);
    check(&with("triggers: { workflow: [{ on: failed }] }"), &["3:24 a workflow trigger needs `name`"]);
    check(
        &with("triggers: { workflow: { name: w } }"),
        &["3:31 `w` is this workflow: its end cannot start it again"],
    );
    check(&with("triggers: { workflow: { name: A b } }"), &["3:31 `A b` is not"]);
    check(
        &with("triggers: { workflow: { name: a, on: [failed, faild] } }"),
        &["3:47 `on` has completed, failed, cancelled or timed_out, not `faild`"],
    );
    check(
        &with("triggers: { event: { id: a, type: x }, workflow: { id: a, name: b } }"),
        &["3:11 two triggers have the id `a`"],
    );
    check(
        &with("triggers: { event: { type: x } }\ninputs: { n: { required: true } }"),
        &["3:11 an event gives no inputs"],
    );
}

#[test]
fn mistakes_in_triggers_have_their_place() {
    check(
        &with("triggers: { cron: [{ schedule: '61 * * * *' }] }"),
        &["3:32 `61 * * * *` is no cron pattern"],
    );
    check(
        &with("triggers: { cron: [{ schedule: '0 3 * * *', timezone: Berlin }] }"),
        &["3:55 `Berlin` is no time zone"],
    );
    check(&with("triggers: { cron: [{ schedule: '0 0 30 2 *' }] }"), &["3:32 `0 0 30 2 *` never comes"]);
    check(
        &with("triggers: { cron: [{ cron: '0 3 * * *' }] }"),
        &["3:20 a cron trigger needs", "3:22 unknown field `cron`"],
    );
    check(&with("triggers: { cron: [{ schedule: '@daily', overlap: skp }] }"), &["3:51 `overlap` must be"]);
    check(
        &with("triggers: { cron: [{ schedule: '@daily', catchUp: 1s }] }"),
        &["3:51 `catchUp` must be at least"],
    );
    check(
        &with("triggers: { cron: [{ schedule: '@daily' }] }\ninputs: { n: { required: true } }"),
        &["3:20 this trigger: input `n` is required"],
    );
    check(&with("triggers: { webhook: [{ id: a }] }"), &["3:23 a webhook trigger needs `secret`"]);
    check(
        &with("triggers: { webhook: [{ id: a, secret: abc }] }"),
        &["3:40 `abc` cannot be a secret's name"],
    );
    check(&with("triggers: { webhook: [{ id: a, secret: A, filter: '??' }] }"), &["3:51 `filter`"]);
    check(
        &with("triggers: { webhook: [{ id: a, secret: A }, { id: a, secret: B }] }"),
        &["3:11 two triggers have the id `a`"],
    );
    check(&with("secrets: [ok]"), &["3:11 `ok` cannot be a secret's name"]);
}
