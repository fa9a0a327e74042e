//! The node behind the `orc` binary: command line, HTTP gateway, configuration, the wiring of all parts, and the way from a
//! failure to an exit code. Knows which module does what, and nothing of how.

mod bench;
mod cli;
pub mod config;
mod definition;
mod dev;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateway;
mod health;
mod logs;
mod metrics;
pub mod server;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

/// Blocking work that is left when a command is done may take this long.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Does what the arguments of this process say, on a runtime of its own.
pub fn run_command_line() -> ExitCode {
    for (name, action) in orc_runtime::fail_point::begin() {
        eprintln!("fail point {name}: {action}");
    }
    #[cfg(feature = "mutants")]
    if let Ok(name) = std::env::var("PLANTED_BUG") {
        let planted = orc_domain::Bug::named(&name).is_some_and(orc_domain::plant);
        eprintln!("{name}: {}", if planted { "planted" } else { "there is no such bug" });
    }
    let cli::Cli { global, command } = cli::Cli::parse();
    global.color.apply();
    let format = global.output;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            cli::Failure::Unexpected(format!("no threads to run on: {error}")).tell(format);
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(cli::dispatch(global, command));
    runtime.shutdown_timeout(LEFTOVERS);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(format);
            failure.exit_code()
        }
    }
}
