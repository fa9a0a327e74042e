//! The command line as a user meets it: help, exit codes and the form of errors, without a cluster.
//! Knows the binary only.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// An address at which nobody answers: port 1 of loopback.
const NOBODY: &str = "http://127.0.0.1:1";

fn orc(arguments: &[&str]) -> Output {
    orc_with_input(arguments, "")
}

fn orc_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_orc"))
        .args(arguments)
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A command that reads nothing may have closed it.
    stdin.write_all(input.as_bytes()).ok();
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn check(arguments: &[&str], code: i32, on_stderr: &str) -> Output {
    let output = orc(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "orc {arguments:?}: {stderr}");
    assert!(stderr.contains(on_stderr), "orc {arguments:?}: {on_stderr:?} is not in {stderr}");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const BAD: &str = "name: Bad\nsteps:\n- id: evaluate\n  typ: task\n- id: deploy\n  needs: [evalute]\n- id: script\n  run: echo ${{ inputs.x }}\n";

#[test]
fn help_has_examples_and_goes_to_stdout() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["runs", "list", "--help"],
        &["server", "--help"],
        &["dev", "--help"],
    ] {
        let output = check(arguments, 0, "");
        assert!(stdout(&output).contains("Example"), "{arguments:?}");
    }
    assert!(stdout(&check(&["version"], 0, "")).starts_with("orc 0."));
    let json = stdout(&check(&["version", "-o", "json"], 0, ""));
    assert!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["version"].is_string());
}

#[test]
fn a_wrong_command_line_is_2() {
    check(&[], 2, "Usage");
    check(&["rnus", "list"], 2, "similar");
    check(&["runs", "list", "--limit", "0"], 2, "--limit");
    check(&["runs", "cancel"], 2, "<ID>");
    check(&["runs", "cancel", "run_1", "--all-matching"], 2, "cannot be used with");
    check(&["runs", "delete", "run_1", "--status", "failed"], 2, "not both");
    check(&["runs", "pause", "run_1", "--dry-run"], 2, "--all-matching");
    check(&["run", "/no/such/file.yaml"], 2, "/no/such/file.yaml");
    check(&["run", "-", "-i", "novalue"], 2, "KEY=VALUE");
    check(&["worker", "--allow", "echo,rm"], 2, "rm");
    check(&["--addr", "https://x", "status"], 2, "http://");
    check(&["cluster", "remove", "node-3"], 2, "--yes");
}

#[test]
fn a_wrong_configuration_is_2_with_every_mistake() {
    let output = check(&["server", "--listen", "here", "--preset", "prod"], 2, "node-id is not set");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["data-dir is not set", "`here` is not an address", "none of development"] {
        assert!(stderr.contains(part), "{part:?} is not in {stderr}");
    }
    check(&["server", "--set", "raft.heartbeet=1s"], 2, "did you mean `raft.heartbeat`?");
}

#[test]
fn nobody_there_is_7_with_a_hint() {
    let output = check(&["--addr", NOBODY, "--timeout", "1s", "status"], 7, "error[UNREACHABLE]");
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "));
    assert!(output.stdout.is_empty(), "errors do not go to stdout");
    check(&["--addr", NOBODY, "--timeout", "1s", "runs", "ls", "-o", "json"], 7, "UNREACHABLE");
    check(&["--addr", NOBODY, "--timeout", "1s", "state", "get", "a"], 7, "UNREACHABLE");
    check(&["--addr", NOBODY, "--timeout", "1s", "runs", "ls", "--sort", "-endedAt"], 7, "UNREACHABLE");
    check(&["--addr", NOBODY, "--timeout", "1s", "batch", "ls"], 7, "UNREACHABLE");
    check(&["--addr", NOBODY, "healthcheck"], 1, "NOT_READY");
}

#[test]
fn an_invalid_workflow_is_8_with_every_mistake_and_its_place() {
    for arguments in
        [&["workflow", "validate", "-"][..], &["run", "-", "--addr", NOBODY], &["run", "-", "--dry-run"]]
    {
        let output = orc_with_input(arguments, BAD);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{stderr}");
        let expected = "-:4:3 error: unknown field `typ`, did you mean `type`?\n\
             -:6:11 error: step `deploy` needs unknown step `evalute` (did you mean `evaluate`?)\n\
             -:8:8 error: `${{ }}` is not allowed inside run:, pass it through env: [run-interpolation]\n3 errors\n";
        assert_eq!(stderr, expected);
    }
    let output = orc_with_input(&["workflow", "validate", "-", "-o", "json"], BAD);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(
        (document["valid"].as_bool(), document["errors"].as_array().map(Vec::len)),
        (Some(false), Some(3))
    );
    assert_eq!(output.status.code(), Some(8));
}

#[test]
fn a_dry_run_shows_the_plan_and_needs_no_cluster() {
    let workflow =
        "name: Two\ninputs: { n: { type: integer, default: 1 } }\nsteps: [{ id: a }, { id: b, delay: 2s }]\n";
    let output = orc_with_input(&["run", "-", "--dry-run", "-o", "json", "-i", "n=2"], workflow);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((plan["mode"].as_str(), plan["steps"][1]["needs"][0].as_str()), (Some("sequence"), Some("a")));
    assert_eq!(output.status.code(), Some(0));
    let wrong = orc_with_input(&["run", "-", "--dry-run", "-i", "m=2"], workflow);
    let stderr = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        stderr.contains("unknown input `m`, did you mean `n`?") || stderr.contains("unknown input `m`"),
        "{stderr}"
    );
    assert_eq!(wrong.status.code(), Some(8));
}

#[test]
fn a_plan_shows_what_is_inside_steps_and_the_handlers() {
    let workflow = "name: W\nsteps: [{ id: a, foreach: { items: [1] }, workflow: other@2, compensate: { run: undo } }]\n\
                    onFailure: [{ message: { component: linear, type: failed } }]\n";
    let shown = stdout(&orc_with_input(&["run", "-", "--dry-run"], workflow));
    let rows: Vec<String> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "STEP TYPE DOES NEEDS",
        "a foreach each of [1], 10 at once -",
        "each",
        "a workflow other@2 -",
        "compensate",
        "compensate_a task run -",
        "onFailure",
        "on_failure_1 message failed to linear -",
    ];
    assert_eq!(rows, expected);
    let told = orc_with_input(&["workflow", "validate", "-", "-o", "json"], workflow);
    let plan: serde_json::Value = serde_json::from_slice(&told.stdout).expect("one JSON document");
    assert_eq!(plan["steps"][0]["each"][0]["type"], "workflow");
    assert_eq!(plan["handlers"]["onFailure"][0]["type"], "message");
}

#[test]
fn the_examples_are_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for name in ["data-processing.yaml", "ml-training.yaml", "parallel-ci.yaml", "publish-model.yaml"] {
        check(&["workflow", "validate", &format!("{folder}/{name}")], 0, "");
    }
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&check(&["completions", shell], 0, "")).contains("healthcheck"), "{shell}");
    }
}
