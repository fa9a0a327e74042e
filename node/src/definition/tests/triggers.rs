//! `triggers` and `secrets`: what they become, and each mistake with its place.

use std::time::Duration;

use orc_domain::Overlap;

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
    check(&with("triggers: { event: [] }"), &["3:13 `event` is not supported yet"]);
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
