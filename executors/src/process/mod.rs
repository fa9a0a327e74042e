//! Runs one program for one attempt: its environment, its input, its log, the tails of its output, and its certain end.
//! Whatever happens, also when the future is dropped, nothing that the program started outlives the attempt.
//! Knows nothing of what the program does.

mod lines;
mod tail;
mod tree;

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use orc_client::wire::{LogStream, codes};
use orc_client::{TaskCtx, TaskError};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use lines::Lines;
pub(crate) use lines::OutputLog;
use tail::{Reader, Tail};
use tree::Tree;

/// The variables of the worker that a scrubbed environment keeps.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];
/// How long processes may take to end after SIGTERM.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long the output may take to end once no process is left to write it.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// A program to run.
pub(crate) struct Program {
    pub(crate) argv: Vec<OsString>,
    pub(crate) dir: Option<PathBuf>,
    /// Whether it gets only [`KEPT`] of the worker's environment.
    pub(crate) scrubbed: bool,
    /// On top of the environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) input: Vec<u8>,
    pub(crate) timeout: Option<Duration>,
    /// How many bytes of its output are kept; of its errors it is [`TAIL_BYTES`].
    pub(crate) output_bytes: usize,
    /// Its errors go there in any case.
    pub(crate) output_log: OutputLog,
}

/// How many bytes of a stream are kept unless more is asked for.
pub(crate) const TAIL_BYTES: usize = 64 * 1024;

/// What a program that ended by itself left.
#[derive(Debug)]
pub(crate) struct Finished {
    status: ExitStatus,
    pub(crate) stdout: Tail,
    pub(crate) stderr: Tail,
}

impl Finished {
    /// An exit status other than 0 as the failure it is; a signal counts as 128 and its number, as in shells.
    pub(crate) fn failure(&self) -> Option<TaskError> {
        let code = self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default());
        let message = || format!("exit code {code}: {}", self.stderr.last(2048).trim());
        (code != 0).then(|| TaskError::new(format!("EXIT_{code}"), message()))
    }
}

/// A fresh folder for an attempt; it is removed when it is dropped.
pub(crate) fn fresh_folder() -> Result<TempDir, TaskError> {
    tempfile::Builder::new()
        .prefix("orc-")
        .tempdir()
        .map_err(|error| TaskError::new("NO_FOLDER", format!("no temporary folder could be made: {error}")))
}

/// Runs a program until it ends, is cancelled or takes too long; its descendants end with it in any case. `folder` is the
/// attempt's own, and its name makes the attempt's marker unique.
pub(crate) async fn run(program: Program, ctx: &TaskCtx, folder: &TempDir) -> Result<Finished, TaskError> {
    let unique = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let marker = format!("{}.{}.{unique}", ctx.task_id(), ctx.token());
    let mut child = spawn(&program, ctx, &marker)?;
    let mut tree = Tree::new(&child, &marker);
    let stdout_log = Lines::of_output(ctx.clone(), &program.output_log);
    let stderr_log = Some(Lines::new(ctx.clone(), LogStream::Stderr));
    let stdout =
        Reader::start(child.stdout.take().expect("stdout is piped"), program.output_bytes, stdout_log);
    let stderr = Reader::start(child.stderr.take().expect("stderr is piped"), TAIL_BYTES, stderr_log);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let feed = async move {
        // A program may leave its input unread.
        stdin.write_all(&program.input).await.ok();
        drop(stdin);
        std::future::pending::<Infallible>().await
    };
    let too_long = async {
        match program.timeout {
            Some(timeout) => sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let ended = ctx.alive_while(async { tokio::select! {
        status = child.wait() => Ok(status),
        never = feed => match never {},
        () = ctx.cancelled() => Err(TaskError::cancelled("the program was stopped")),
        () = too_long => Err(TaskError::new(codes::TASK_TIMEOUT, "the program took too long and was stopped")),
    } }).await;
    match ended {
        Ok(status) => {
            tree.kill().await;
            let status = status.map_err(|error| TaskError::new("WAIT_FAILED", error.to_string()))?;
            let (stdout, stderr) = tokio::join!(stdout.finish(OUTPUT_GRACE), stderr.finish(OUTPUT_GRACE));
            Ok(Finished { status, stdout, stderr })
        }
        Err(error) => {
            tree.terminate();
            // The child is reaped meanwhile; those it leaves behind are looked for after it.
            timeout(TERM_GRACE, async { tokio::join!(child.wait(), tree.emptied()).1 }).await.ok();
            tree.kill().await;
            Err(error)
        }
    }
}

fn spawn(program: &Program, ctx: &TaskCtx, marker: &str) -> Result<Child, TaskError> {
    let (name, arguments) = program.argv.split_first().expect("the callers give at least a program's name");
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(dir) = &program.dir {
        command.current_dir(dir);
    }
    if program.scrubbed {
        command.env_clear().envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    }
    command.envs(program.env.iter().map(|(name, value)| (name, value)));
    command
        .env("ORC_TASK_ID", ctx.task_id())
        .env("ORC_RUN_ID", ctx.run_id().unwrap_or_default())
        .env("ORC_ATTEMPT", ctx.attempt().to_string())
        .env("ORC_ATTEMPT_TOKEN", ctx.token().to_string())
        .env(tree::MARKER, marker);
    command.spawn().map_err(|error| {
        TaskError::permanent(
            "SPAWN_FAILED",
            format!("{} could not be started: {error}", name.to_string_lossy()),
        )
    })
}
