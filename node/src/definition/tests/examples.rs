//! The shipped examples compile, and broken versions of them are told where and why.

use super::{compile, compiled};

fn example(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file);
    std::fs::read_to_string(path).expect("the example is there")
}

#[test]
fn the_shipped_examples_compile() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(folder).expect("examples are there").filter_map(Result::ok);
    let files = files.map(|file| file.file_name().into_string().expect("names are UTF-8"));
    let mut seen = 0;
    for file in files.filter(|file| file.ends_with(".yaml")) {
        compiled(&example(&file));
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} examples");
}

/// Each broken version: what is replaced, by what, and the line and a part of the sentence that tell it.
fn check(file: &str, broken: &[(&str, &str, u32, &str)]) {
    let text = example(file);
    for (part, replacement, line, sentence) in broken {
        assert_eq!(text.matches(part).count(), 1, "`{part}` is in {file} once");
        let errors = compile(&text.replace(part, replacement)).expect_err(replacement);
        let told = errors.0.iter().any(|error| error.line == Some(*line) && error.message.contains(sentence));
        assert!(told, "{file} with {replacement}:\n{}", errors.render(file));
    }
}

#[test]
fn a_broken_training_pipeline_is_told_where_and_why() {
    check(
        "ml-training.yaml",
        &[
            ("name: ML Model", "nam: ML Model", 2, "unknown field `nam`, did you mean `name`?"),
            ("default: 3,", "default: three,", 5, "input `epochs` must be of type integer"),
            ("inputs.noise", "inputs.nois", 16, "unknown input `nois`, did you mean `noise`?"),
            ("steps.data_preparation.", "steps.data_prep.", 23, "unknown step `data_prep`"),
            ("timeout: 3600000", "timeout: 1 our", 26, "`1 our` is not a duration"),
            ("name: Model Validation", "name: Model Training", 27, "two steps have the id `model_training`"),
            ("type: condition", "type: conditon", 28, "step type `conditon`, did you mean `condition`?"),
            ("accuracy > 0.85", "accuracy >> 0.85", 29, "is not a valid expression"),
            ("outputs.model }}", "outputs.model }", 34, "has no matching `}}`"),
            ("steps.model_training.outputs.accuracy", "steps.model_training.", 37, "not a valid expression"),
        ],
    );
}

#[test]
fn a_broken_pull_request_pipeline_is_told_where_and_why() {
    check(
        "pr-pipeline.yaml",
        &[
            ("cancelRunning", "cancelRuning", 7, "not `cancelRuning`, did you mean `cancelRunning`?"),
            (
                "limit: 2, delay",
                "limit: 0, delay",
                10,
                "`limit` must be a whole number from 1 to 1000, not 0",
            ),
            ("maxTurns: 30", "maxTurns: many", 24, "`maxTurns` must be a whole number"),
            ("lint, test, review]", "lint, test, reviw]", 31, "needs unknown step `reviw`"),
            ("steps.review.", "steps.smoke.", 32, "step `smoke`, which is not before this step"),
            (
                "onTimeout: reject",
                "onTimeout: refuse",
                36,
                "must be `reject`, `approve` or `fail`, not `refuse`",
            ),
            ("./ci/deploy.sh", "./ci/deploy.sh ${{ inputs.x }}", 41, "not allowed inside run:"),
            (
                "{ workdir: src, run: ./ci/rollback.sh }",
                "./ci/rollback.sh",
                42,
                "a step must be a map, this is a text",
            ),
            ("http: { url:", "http: { uri:", 43, "`http` needs a `url`"),
            ("component: linear-integration, ", "", 45, "`message` needs a `component`"),
        ],
    );
}

#[test]
fn a_broken_nightly_evaluation_is_told_where_and_why() {
    check(
        "nightly-eval.yaml",
        &[
            ("items: steps.shards.outputs.shards, ", "", 13, "`foreach` needs `items`"),
            ("as: shard,", "as: steps,", 13, "`steps` cannot be the name of an item"),
            ("maxParallel: 8", "maxParallel: 0", 13, "`maxParallel` must be a whole number from 1 to 1000"),
            ("failFast", "failfast", 13, "unknown field `failfast`, did you mean `failFast`?"),
            ("needs: [shards]", "needs: [score]", 12, "these steps wait for each other"),
            ("models.nightly.accuracy", "models..accuracy", 25, "`models..accuracy` is not a state key"),
            ("wait: 10m", "wait: { until: 2026-13-01T00:00:00Z }", 26, "is not a time"),
            (
                "inputs.threshold",
                "inputs.treshold",
                29,
                "unknown input `treshold`, did you mean `threshold`?",
            ),
            ("workflow: publish-model", "workflow: Publish Model", 30, "names no workflow"),
            ("eval.finished", "task.finished", 34, "looks like a built-in event"),
        ],
    );
}
