//! Logs on stderr: what `ORC_LOG` or `RUST_LOG` say, else what suits the command; text or JSON.
//! Knows nothing of what is logged.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging; `default` is the level without variables and `-v`.
pub(super) fn start(default: &str, verbose: u8, format: LogFormat) {
    let wanted = ["ORC_LOG", "RUST_LOG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    // The consensus library reports a peer that is down with every heartbeat; nodes say so themselves, once.
    let quiet = |level: &str| format!("{level},openraft=error,openraft::replication=off,openraft::core=off");
    let directives = match verbose {
        0 => quiet(default),
        1 => quiet("info"),
        2 => "debug".to_owned(),
        3.. => "trace".to_owned(),
    };
    let filter = EnvFilter::new(wanted.unwrap_or(directives));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start keeps the first one's settings: tests start commands in one process.
    match format {
        LogFormat::Text => builder.with_ansi(false).try_init().ok(),
        LogFormat::Json => builder.json().flatten_event(true).try_init().ok(),
    };
}
