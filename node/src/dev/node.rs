//! One node process: started, started again when it dies, ended by closing its stdin.
//! Knows a process, not a cluster.

use std::{
    io::SeekFrom,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    process::{Child, ChildStdin, Command},
    sync::watch,
};

use super::{DevError, banner, plan::Place};

/// The longest pause for a node that ends by itself again and again.
const RESTART_MAX: Duration = Duration::from_secs(15);
/// A node that lived so long had started.
const LIVED: Duration = Duration::from_secs(5);
/// So many failed starts in a row are enough.
const FAILED_STARTS_MAX: u32 = 5;
/// How long a node may take to end.
const GRACE: Duration = Duration::from_secs(15);
/// Its data is damaged or not its own; starting it again cannot help.
const EXIT_DATA: i32 = 74;
const EXIT_USAGE: i32 = 2;

/// A node and how it is started.
pub(crate) struct Supervised {
    pub(crate) program: PathBuf,
    pub(crate) place: Place,
    pub(crate) flags: Vec<String>,
    /// Its log goes to stderr instead of its log file.
    pub(crate) to_stderr: bool,
    /// Pause before it is started again after it was killed.
    pub(crate) restart_delay: Duration,
}

impl Supervised {
    /// Keeps the node running until told to stop; an error when it cannot run.
    pub(super) async fn keep_running(self, mut stopped: watch::Receiver<bool>) -> Result<(), DevError> {
        let mut failed_starts = 0;
        loop {
            let begun = Instant::now();
            let mut child = self.start()?;
            // Held here, since waiting would close it.
            let stdin = child.stdin.take();
            banner::node_started(&self.place, child.id().unwrap_or_default());
            let ended = tokio::select! {
                ended = child.wait() => ended.map_err(DevError::Program)?,
                () = told(&mut stopped) => return self.end(child, stdin).await,
            };
            let killed = ended.signal().is_some();
            failed_starts = if killed || begun.elapsed() > LIVED { 0 } else { failed_starts + 1 };
            let hopeless = matches!(ended.code(), Some(EXIT_DATA | EXIT_USAGE));
            if hopeless || failed_starts >= FAILED_STARTS_MAX {
                return Err(DevError::Node {
                    number: self.place.number,
                    reason: self.last_words(ended).await,
                });
            }
            let pause = self.pause(failed_starts);
            banner::node_ended(&self.place, ended, pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told(&mut stopped) => return Ok(()),
            }
        }
    }

    /// A node that was killed comes back after the delay; one that ends by itself again and again, ever later.
    fn pause(&self, failed_starts: u32) -> Duration {
        let longest = RESTART_MAX.max(self.restart_delay);
        self.restart_delay.saturating_mul(1 << failed_starts.min(4)).min(longest)
    }

    /// Starts the process in a group of its own: Ctrl-C is for the supervisor, which then ends its nodes in order.
    pub(crate) fn start(&self) -> Result<Child, DevError> {
        let path = self.place.log_file.clone();
        let log = std::fs::File::options().create(true).append(true).open(&path);
        let log = log.map_err(|source| DevError::Folder { path, source })?;
        Command::new(&self.program)
            .args(&self.flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(if self.to_stderr { Stdio::inherit() } else { Stdio::from(log) })
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(DevError::Program)
    }

    /// Ends the process by closing its stdin, which also happens should the supervisor itself be killed.
    async fn end(&self, mut child: Child, stdin: Option<ChildStdin>) -> Result<(), DevError> {
        drop(stdin);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            tracing::warn!(node = self.place.number, "the node does not end, it is killed");
            // It may have ended in this moment.
            child.kill().await.ok();
        }
        Ok(())
    }

    /// Why it ended, with the end of its log.
    async fn last_words(&self, ended: ExitStatus) -> String {
        let tail = tail(&self.place.log_file).await.unwrap_or_default();
        format!("{ended}; the end of {}:\n{tail}", self.place.log_file.display())
    }
}

/// Returns when told to stop; a closed channel is as good as the word.
pub(super) async fn told(stopped: &mut watch::Receiver<bool>) {
    stopped.wait_for(|stop| *stop).await.ok();
}

/// The last lines of a file.
pub(crate) async fn tail(path: &PathBuf) -> std::io::Result<String> {
    const BYTES: u64 = 2_000;
    let mut file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES))).await?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(12)..].join("\n"))
}
