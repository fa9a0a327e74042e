//! Tables over whole documents: what compiles, to what, and each kind of mistake with its place and sentence.
//! Knows the compiler by its public face only.

use std::time::Duration;

use orc_domain::{Cache, ClusterConfig, OnFalse, Priority, StepDef, StepKind};
use serde_json::{Value, json};

use super::{Compiled, Compiler, DefinitionErrors, Mode};

mod blocks;
mod examples;
mod forms;
mod mistakes;
mod names;
mod noise;
mod reference;
mod schema;
mod triggers;

/// The language of expressions; what holds `??` is refused with a sentence that does not depend on its parser.
fn check_expression(text: &str) -> Result<Vec<Vec<String>>, String> {
    if text.contains("??") {
        return Err("unexpected `??`".to_owned());
    }
    super::check_expression(text)
}

fn compile(text: &str) -> Result<Compiled, DefinitionErrors> {
    Compiler { config: &ClusterConfig::default(), check_expression: &check_expression }.text(text)
}

fn compiled(text: &str) -> Compiled {
    compile(text).unwrap_or_else(|errors| panic!("{}of {text}", errors.render("file")))
}

/// Puts steps, written as a YAML list, into a workflow; the first line of them is line 3.
fn workflow(steps: &str) -> String {
    format!("name: W\nsteps:\n{steps}")
}

fn steps(text: &str) -> Vec<StepDef> {
    compiled(&workflow(text)).definition.steps.clone()
}

fn task(step: &StepDef) -> (&str, Value, bool) {
    match &step.kind {
        StepKind::Task { action, config, templated } => {
            (action, serde_json::from_str(config.as_str()).expect("config is JSON"), *templated)
        }
        other => panic!("not a task: {other:?}"),
    }
}

#[test]
fn the_seeds_quick_start_is_a_sequence_of_echoes() {
    let text = "name: Data Processing Pipeline\nsteps:\n- {name: Validate Data, type: task}\n- {name: Transform Data, type: task}\n- {name: Store Results, type: task}\n";
    let compiled = compiled(text);
    assert_eq!((compiled.mode, compiled.workflow.as_str()), (Mode::Sequence, "data-processing-pipeline"));
    let steps = &compiled.definition.steps;
    let ids: Vec<&str> = steps.iter().map(|step| &*step.id).collect();
    assert_eq!(ids, ["validate_data", "transform_data", "store_results"]);
    assert_eq!(steps.iter().map(|step| step.needs.clone()).collect::<Vec<_>>(), [vec![], vec![0], vec![1]]);
    assert_eq!(
        steps.iter().map(|step| step.followers.clone()).collect::<Vec<_>>(),
        [vec![1], vec![2], vec![]]
    );
    assert_eq!(task(&steps[0]), ("echo", json!({}), false));
}

#[test]
fn the_seeds_pipeline_keeps_its_actions_times_and_condition() {
    let document = json!({
        "name": "ML Model Training Pipeline", "description": "Complete machine learning workflow",
        "steps": [
            {"name": "Data Preparation", "type": "task", "config": {"action": "prepare_data"}},
            {"name": "Model Training", "type": "task", "config": {"action": "train_model", "timeout": 3_600_000}},
            {"name": "Model Validation", "type": "condition", "condition": "accuracy > 0.85"},
            {"name": "Model Deployment", "type": "task", "config": {"action": "deploy_model"}},
        ]
    });
    let pretty = compiled(&serde_json::to_string_pretty(&document).expect("writes"));
    let steps = &pretty.definition.steps;
    assert_eq!(task(&steps[1]).0, "train_model");
    assert_eq!(steps[1].timeout, Duration::from_secs(3_600));
    assert_eq!(steps[0].timeout, ClusterConfig::default().step_timeout);
    let condition = StepKind::Condition { expression: "accuracy > 0.85".into(), on_false: OnFalse::Skip };
    assert_eq!(steps[2].kind, condition);
    let tabs = serde_json::to_string_pretty(&document).expect("writes").replace("  ", "\t");
    for text in [document.to_string(), tabs] {
        assert_eq!(compiled(&text).definition, pretty.definition, "any layout of JSON is the same document");
    }
}

#[test]
fn equal_documents_have_one_id_and_others_do_not() {
    let id = |text: &str| compiled(text).definition.id;
    let one = id("name: W\nsteps: [{name: A, type: task}]");
    assert_eq!(one, id("# comment\n{\"steps\": [{\"type\": \"task\", \"name\": \"A\"}], \"name\": \"W\"}"));
    assert_ne!(one, id("name: W\nsteps: [{name: B, type: task}]"));
    let config = ClusterConfig { step_timeout: Duration::from_secs(1), ..ClusterConfig::default() };
    let compiler = Compiler { config: &config, check_expression: &check_expression };
    let other = compiler.text("name: W\nsteps: [{name: A, type: task}]").expect("it compiles");
    assert_ne!(one, other.definition.id, "other defaults make another definition");
}

#[test]
fn every_form_of_step_compiles() {
    let all = steps(
        "- { id: a, action: work, config: { x: '${{ inputs.x }}' }, timeout: 5s, queueTimeout: 1m, heartbeatTimeout: 2s, totalTimeout: 5m, priority: high, labels: { gpu: true } }\n\
         - { id: b, run: echo hi, shell: bash, env: { X: '${{ inputs.x }}', N: 1 } }\n\
         - { id: c, http: { url: 'http://x/', expect: [200] } }\n\
         - { id: d, delay: 250ms }\n\
         - { id: e, type: wait, config: { duration: 2000 } }\n\
         - { id: f, if: '${{ steps.a.outputs.x }}', condition: x > 1, onFalse: fail }\n\
         - { id: g, type: run, config: { script: echo }, retry: { limit: 5, delay: 1s, backoff: 1.5, maxDelay: 1m, jitter: true, nonRetryable: [X], maxLost: 0 }, continueOnError: true }\n",
    );
    assert_eq!(task(&all[0]), ("work", json!({"x": "${{ inputs.x }}"}), true));
    assert_eq!(
        (all[0].timeout, all[0].queue_timeout),
        (Duration::from_secs(5), Some(Duration::from_secs(60)))
    );
    assert_eq!(
        (all[0].heartbeat_timeout, all[0].total_timeout),
        (Some(Duration::from_secs(2)), Some(Duration::from_secs(300)))
    );
    assert_eq!(
        (all[0].priority, all[0].labels["gpu"].to_string()),
        (Some(Priority::High), "true".to_owned())
    );
    let script = json!({"script": "echo hi", "shell": "bash", "env": {"X": "${{ inputs.x }}", "N": "1"}});
    assert_eq!(task(&all[1]), ("run", script, true));
    assert_eq!(task(&all[2]), ("http", json!({"url": "http://x/", "expect": [200]}), false));
    assert_eq!(all[3].kind, StepKind::Delay { duration: Duration::from_millis(250) });
    assert_eq!(all[4].kind, StepKind::Delay { duration: Duration::from_secs(2) });
    assert_eq!(all[5].only_if.as_deref(), Some("steps.a.outputs.x"));
    assert_eq!(all[5].kind, StepKind::Condition { expression: "x > 1".into(), on_false: OnFalse::Fail });
    let retry = &all[6].retry;
    assert_eq!((retry.limit, retry.backoff_percent, retry.jitter, retry.lost_max), (5, 150, true, 0));
    assert_eq!((&*retry.non_retryable[0], all[6].continue_on_error), ("X", true));
}

#[test]
fn a_false_condition_goes_to_a_later_step() {
    let all = steps(
        "- { id: a, condition: inputs.x, onFalse: { goto: d } }\n- { id: b }\n- { id: c }\n- { id: d }\n",
    );
    let condition = StepKind::Condition { expression: "inputs.x".into(), on_false: OnFalse::Goto(3) };
    assert_eq!(all[0].kind, condition);
}

#[test]
fn a_task_says_when_an_earlier_output_counts() {
    let all = steps(
        "- { id: a, run: make, cache: { key: 'v1-${{ inputs.sha }}', maxAge: 7d } }\n\
         - { id: b, foreach: { items: inputs.rows, as: row }, cache: { key: '${{ row }}' } }\n",
    );
    let week = Some(Duration::from_secs(7 * 86_400));
    assert_eq!(all[0].cache, Some(Cache { key: "v1-${{ inputs.sha }}".into(), age_max: week }));
    assert_eq!(all[1].cache, None, "each item has it, not all of them together");
}

#[test]
fn with_is_another_word_for_config() {
    let all = steps(
        "- { id: a, action: work, with: { x: 1 } }\n- { id: b, type: http, with: { url: 'http://x/' } }",
    );
    assert_eq!(task(&all[0]), ("work", json!({"x": 1}), false));
    assert_eq!(task(&all[1]), ("http", json!({"url": "http://x/"}), false));
}

#[test]
fn a_workflow_has_a_priority_and_says_how_long_its_runs_are_kept() {
    let made = compiled("name: W\npriority: high\nretention: 30d\nsteps: [{ id: a }]").definition;
    assert_eq!((made.priority, made.retention), (Priority::High, Some(Duration::from_secs(30 * 86_400))));
    let made = compiled("name: W\nsteps: [{ id: a }]").definition;
    assert_eq!((made.priority, made.retention), (Priority::Normal, None));
}

#[test]
fn an_agent_has_the_environment_of_a_script() {
    let text = "name: W\nsecrets: [KEY]\nenv: { A: 1 }\nsteps: [{ id: a, agent: { provider: claude-code, prompt: hi }, env: { K: '${{ secrets.KEY }}' }, timeout: 5m }]";
    let steps = compiled(text).definition.steps.clone();
    let env = json!({"A": "1", "K": "${{ secrets.KEY }}"});
    assert_eq!(
        task(&steps[0]),
        ("agent", json!({"provider": "claude-code", "prompt": "hi", "env": env}), true)
    );
    assert_eq!(steps[0].timeout, Duration::from_secs(300));
}

#[test]
fn a_parallel_step_is_flattened_children_first() {
    let all = steps(
        "- { id: a }\n- id: both\n  if: a > 1\n  parallel: [{ id: x }, { id: y, if: b }]\n- { id: z }\n",
    );
    let shown: Vec<_> = all
        .iter()
        .map(|step| (&*step.id, step.needs.as_slice(), step.followers.as_slice(), step.only_if.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", &[][..], &[1, 2, 3][..], None),
            ("x", &[0][..], &[3][..], Some("a > 1")),
            ("y", &[0][..], &[3][..], Some("(a > 1) && (b)")),
            ("both", &[0, 1, 2][..], &[4][..], Some("a > 1")),
            ("z", &[3][..], &[][..], None),
        ]
    );
    assert_eq!(all[3].kind, StepKind::Parallel { children: vec![1, 2] });
}

#[test]
fn needs_make_a_graph() {
    let compiled = compiled(&workflow(
        "- { id: a }\n- { id: b }\n- { id: c, needs: [b, a, b] }\n- { id: d, needs: c }\n",
    ));
    assert_eq!(compiled.mode, Mode::Graph);
    let needs: Vec<Vec<u16>> = compiled.definition.steps.iter().map(|step| step.needs.clone()).collect();
    assert_eq!(needs, [vec![], vec![], vec![0, 1], vec![2]]);
}

#[test]
fn defaults_and_environment_reach_the_steps() {
    let text = "name: W\nenv: { A: 1, B: 2 }\ndefaults: { timeout: 7s, retry: 1, labels: { os: linux }, env: { B: 3 } }\nsteps:\n- { id: a, run: x, env: { C: 4 } }\n- { id: b }\n";
    let steps = compiled(text).definition.steps.clone();
    assert_eq!(task(&steps[0]).1, json!({"script": "x", "env": {"A": "1", "B": "3", "C": "4"}}));
    assert_eq!((steps[1].timeout, steps[1].retry.limit), (Duration::from_secs(7), 1));
    assert_eq!(&*steps[1].labels["os"], "linux");
}

#[test]
fn yaml_1_1_traps_and_anchors() {
    let all = steps(
        "- { id: a, config: &c { answer: NO, on: yes, hex: 0x10, big: 1e3, none: ~, text: '5' } }\n- { id: b, config: *c }\n",
    );
    let config = json!({"answer": "NO", "on": "yes", "hex": 16, "big": 1000.0, "none": null, "text": "5"});
    assert_eq!(task(&all[0]).1, config);
    assert_eq!(task(&all[1]).1, config);
}
