//! The `orc` binary: the command line, one runtime, and the way from a failure to an exit code.
//! Knows which module does what, and nothing of how.

mod bench;
mod cli;
mod config;
mod definition;
mod dev;
mod gateway;
mod health;
mod logs;
mod metrics;
mod server;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

/// Many small things are made on one thread and dropped on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Blocking work that is left when a command is done may take this long.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
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
