//! The action `run`: a script in a folder of its own, with a scrubbed environment; what it writes to `$ORC_OUTPUT` is
//! its output, and both its streams are its log. Knows nothing of how processes are ended; [`crate::process`] does that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orc_client::wire::{Millis, codes};
use orc_client::{TaskCtx, TaskError};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::process::{self, Finished, OutputLog, Program, TAIL_BYTES};
use crate::{RESULT_BYTES_MAX, Workdir, too_large};

/// What is kept of the streams of a script whose result would be too large otherwise.
const SHORT_TAIL_BYTES: usize = 4 * 1024;

/// The payload of `run`.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    /// The script's text.
    #[serde(alias = "run")]
    script: String,
    #[serde(default)]
    shell: Shell,
    /// Where it runs; by default in a fresh folder.
    #[serde(default)]
    workdir: Option<PathBuf>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    timeout: Option<Millis>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shell {
    #[default]
    Sh,
    Bash,
    Python3,
}

impl Shell {
    fn program(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Bash => "bash",
            Self::Python3 => "python3",
        }
    }
}

/// Runs a script.
pub(crate) async fn run(ctx: TaskCtx, run: Run, workdir: Workdir) -> Result<Value, TaskError> {
    let folder = process::fresh_folder()?;
    let (script, output) = (folder.path().join("script"), folder.path().join("output"));
    let workdir = workdir.of(&ctx, run.workdir, &folder.path().join("work"))?;
    let prepared = fs::write(&script, &run.script)
        .and_then(|()| fs::write(&output, ""))
        .and_then(|()| fs::create_dir_all(folder.path().join("work")));
    prepared.map_err(|error| {
        TaskError::new("NO_FOLDER", format!("the script's folder cannot be written: {error}"))
    })?;

    let mut env: Vec<(OsString, OsString)> =
        run.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    env.push(("ORC_OUTPUT".into(), output.clone().into()));
    let mut argv: Vec<OsString> = vec![run.shell.program().into(), script.into()];
    argv.extend(run.args.into_iter().map(OsString::from));
    let program = Program {
        argv,
        dir: Some(workdir),
        scrubbed: true,
        env,
        input: Vec::new(),
        timeout: run.timeout.map(Duration::from),
        output_bytes: TAIL_BYTES,
        output_log: OutputLog::Lines,
    };
    let finished = process::run(program, &ctx, &folder).await?;
    match finished.failure() {
        Some(failure) => Err(failure),
        None => result(&finished, read_output(&output)?),
    }
}

/// What the script wrote: one JSON object, or lines of `key=value` whose values are JSON if they parse, else text.
fn read_output(path: &Path) -> Result<Map<String, Value>, TaskError> {
    let invalid =
        |message: String| TaskError::permanent(codes::INVALID_OUTPUT, format!("$ORC_OUTPUT {message}"));
    let length = fs::metadata(path).map_err(|error| invalid(format!("cannot be read: {error}")))?.len();
    if length > RESULT_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let text = fs::read_to_string(path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| invalid(format!("is no JSON object: {error}")));
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (key, value) =
                line.split_once('=').ok_or_else(|| invalid(format!("has a line without `=`: {line}")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((key.trim().to_owned(), value))
        })
        .collect()
}

/// The script's output with its exit code and what is kept of its streams, less of them if all is too much.
fn result(finished: &Finished, output: Map<String, Value>) -> Result<Value, TaskError> {
    for bytes in [TAIL_BYTES, SHORT_TAIL_BYTES] {
        let mut result = output.clone();
        let (stdout, stderr) = (finished.stdout.last(bytes), finished.stderr.last(bytes));
        let shortened = bytes < TAIL_BYTES && stdout.len().max(stderr.len()) >= bytes;
        if shortened || finished.stdout.truncated || finished.stderr.truncated {
            result.insert("truncated".to_owned(), true.into());
        }
        result.insert("exitCode".to_owned(), 0.into());
        result.insert("stdout".to_owned(), stdout.into());
        result.insert("stderr".to_owned(), stderr.into());
        let result = Value::Object(result);
        if result.to_string().len() <= RESULT_BYTES_MAX {
            return Ok(result);
        }
    }
    Err(too_large())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;
    use tokio::fs::read_to_string;

    use super::*;
    use crate::tests::context;

    async fn outcome(payload: Value) -> Result<Value, TaskError> {
        outcome_of(context().0, payload).await
    }

    async fn outcome_of(ctx: TaskCtx, payload: Value) -> Result<Value, TaskError> {
        run(ctx, serde_json::from_value(payload).expect("a payload"), Workdir::default()).await
    }

    #[tokio::test]
    async fn a_script_gives_its_output_and_its_streams() {
        let script = "echo hello $1; echo oops >&2; echo 'rows=10' >> $ORC_OUTPUT; echo \"where=$(pwd) x=y\" >> $ORC_OUTPUT";
        let output = outcome(json!({ "run": script, "args": ["you"] })).await.expect("a result");
        assert_eq!((&output["stdout"], &output["stderr"]), (&json!("hello you\n"), &json!("oops\n")));
        assert_eq!(
            (&output["rows"], &output["exitCode"], output.get("truncated")),
            (&json!(10), &json!(0), None)
        );
        assert!(output["where"].as_str().is_some_and(|text| text.ends_with("/work x=y")), "{output}");

        let python = "import json, os\njson.dump({'a': [os.environ['ORC_TASK_ID']]}, open(os.environ['ORC_OUTPUT'], 'w'))";
        let output = outcome(json!({ "script": python, "shell": "python3" })).await.expect("a result");
        assert_eq!(output["a"], json!(["task_1"]));
    }

    #[tokio::test]
    async fn what_a_script_writes_is_logged_while_it_runs() {
        let (ctx, stop) = context();
        let payload =
            serde_json::from_value(json!({ "run": "echo out; echo err >&2; printf half; sleep 600" }));
        let work = tokio::spawn(run(ctx.clone(), payload.expect("a payload"), Workdir::default()));
        while ctx.logged().len() < 2 {
            tokio::task::yield_now().await;
        }
        stop.cancel("enough");
        work.await.expect("no panic").expect_err("cancelled");
        let mut lines: Vec<String> =
            ctx.logged().iter().map(|line| format!("{} {}", line.stream, line.text)).collect();
        lines.truncate(2);
        lines.sort_unstable();
        assert_eq!(lines, ["stderr err", "stdout out"]);
    }

    #[tokio::test]
    async fn failures_have_codes() {
        let failure = outcome(json!({ "run": "echo why >&2; exit 3" })).await.expect_err("exit 3");
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str(), failure.retryable),
            ("EXIT_3", "exit code 3: why", true)
        );
        let failure = outcome(json!({ "run": "kill -9 $$" })).await.expect_err("a signal");
        assert_eq!(failure.code, "EXIT_137");
        let failure =
            outcome(json!({ "run": "true", "workdir": "/nonexistent" })).await.expect_err("no folder");
        assert_eq!((failure.code.as_str(), failure.retryable), ("SPAWN_FAILED", false));
        let failure = outcome(json!({ "run": "echo nothing > $ORC_OUTPUT" })).await.expect_err("no key");
        assert_eq!((failure.code.as_str(), failure.retryable), ("INVALID_OUTPUT", false));
    }

    #[tokio::test]
    async fn the_environment_is_scrubbed() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let output = outcome(json!({ "run": "env", "env": { "MINE": "1" } })).await.expect("a result");
        let text = output["stdout"].as_str().expect("text");
        let mut names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.retain(|name| !["LANG", "TZ", "TMPDIR", "HOME", "PWD", "SHLVL", "OLDPWD", "_"].contains(name));
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "MINE",
                "ORC_ATTEMPT",
                "ORC_ATTEMPT_TOKEN",
                "ORC_OUTPUT",
                "ORC_RUN_ID",
                "ORC_TASK_ID",
                "ORC_TASK_TOKEN",
                "PATH"
            ]
        );
        assert!(
            text.contains("ORC_ATTEMPT_TOKEN=17\n")
                && text.contains("ORC_ATTEMPT=2\n")
                && text.contains("ORC_RUN_ID=run_1\n")
        );
    }

    #[tokio::test]
    async fn the_end_of_a_long_output_is_kept() {
        let output = outcome(json!({ "run": "head -c 300000 /dev/zero | tr '\\0' x; echo end" }))
            .await
            .expect("a result");
        let text = output["stdout"].as_str().expect("text");
        assert!(text.len() == TAIL_BYTES && text.ends_with("xend\n"));
        assert_eq!(output["truncated"], json!(true));
        let output = outcome(json!({ "run": "head -c 60000 /dev/zero" })).await.expect("a result");
        assert_eq!(
            (output["stdout"].as_str().map(str::len), &output["truncated"]),
            (Some(SHORT_TAIL_BYTES), &json!(true))
        );
    }

    /// A script that starts a child in its group and one in a session of its own, both of which ignore SIGTERM, and writes
    /// their ids to `pids`; `end` is what it does then.
    fn family(pids: &Path, end: &str) -> Value {
        let (file, stubborn) =
            (pids.display(), "trap '' TERM; echo $$ >> $0; while true; do sleep 0.1; done");
        let script = format!(
            "sh -c \"$STUBBORN\" {file} & setsid sh -c \"$STUBBORN\" {file} & \
             while [ \"$(wc -l < {file})\" -lt 2 ]; do sleep 0.01; done; {end}"
        );
        json!({ "run": script, "env": { "STUBBORN": stubborn } })
    }

    async fn both_started(pids: &Path) {
        while read_to_string(pids).await.expect("a file").lines().count() < 2 {
            tokio::task::yield_now().await;
        }
    }

    async fn survivors(pids: &Path) -> Vec<String> {
        let pids = read_to_string(pids).await.expect("the script wrote them");
        assert_eq!(pids.lines().count(), 2);
        let is_alive = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        pids.lines().filter(is_alive).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn no_descendant_outlives_the_attempt() {
        let folder = tempfile::tempdir().expect("a folder");
        let pids = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "").expect("a file");
            path
        };
        let left_behind = pids("left");
        outcome(family(&left_behind, "exit 0")).await.expect("a result");
        assert_eq!(survivors(&left_behind).await, [""; 0]);

        let cancelled = pids("cancelled");
        let (ctx, stop) = context();
        let work = tokio::spawn(outcome_of(ctx, family(&cancelled, "wait")));
        both_started(&cancelled).await;
        stop.cancel("enough");
        let failure = work.await.expect("no panic").expect_err("cancelled");
        assert_eq!(failure.code, "CANCELLED");
        assert_eq!(survivors(&cancelled).await, [""; 0]);

        let dropped = pids("dropped");
        let work = tokio::spawn(outcome(family(&dropped, "wait")));
        both_started(&dropped).await;
        work.abort();
        assert!(work.await.expect_err("aborted").is_cancelled());
        let begun = Instant::now();
        while !survivors(&dropped).await.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "they live");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_cancelled_script_may_clean_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ready, cleaned) = (folder.path().join("ready"), folder.path().join("cleaned"));
        let script = format!(
            "trap 'echo yes > {}; exit 1' TERM; echo > {}; while true; do sleep 0.05; done",
            cleaned.display(),
            ready.display()
        );
        let (ctx, stop) = context();
        let work = tokio::spawn(outcome_of(ctx, json!({ "run": script })));
        while !ready.exists() {
            tokio::task::yield_now().await;
        }
        stop.cancel("enough");
        let failure = work.await.expect("no panic").expect_err("cancelled");
        assert_eq!(failure.code, "CANCELLED");
        assert_eq!(fs::read_to_string(cleaned).expect("cleaned up"), "yes\n");
    }
}
