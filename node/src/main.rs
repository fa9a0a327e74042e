//! The `orc` binary.
//! Knows nothing but which allocator suits it.

use std::process::ExitCode;

/// Many small things are made on one thread and dropped on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    orc_node::run_command_line()
}
