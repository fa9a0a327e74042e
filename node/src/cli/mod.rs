//! The command line: the tree of commands, the flags that all share, and which function does what.
//! Knows the cluster only through `orc_client`; `orc server` and `orc dev` hand over to their own modules.

mod approval;
mod backup;
mod batch;
mod bench;
mod cluster;
mod component;
mod component_messages;
mod connect;
mod dev;
mod event;
mod explain;
mod failure;
mod follow;
mod health;
mod logging;
mod logs;
mod output;
mod progress;
mod repeat;
mod run;
mod run_text;
mod runs;
mod schedule;
mod server;
mod state;
mod state_carry;
mod state_snapshot;
mod status;
mod style;
mod task;
mod task_queue;
mod values;
mod watch;
mod worker;
mod workflow;
mod workflow_kept;

use clap::{Args, CommandFactory, Parser, Subcommand};

pub use failure::Failure;
pub use output::{Format, Out};
pub use style::ColorChoice;

use crate::config::LogFormat;

/// Runs workflows and tasks on a cluster that survives the loss of its leader.
#[derive(Debug, Parser)]
#[command(
    name = "orc",
    version,
    infer_subcommands = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  orc dev --nodes 3\n  orc run examples/ml-training.yaml -i epochs=3 --watch\n  orc runs ls --status failed\n  orc cluster status -w"
)]
pub struct Cli {
    /// Flags of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of all commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Addresses of the nodes, separated by commas
    #[arg(
        long,
        global = true,
        env = "ORC_ADDR",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7420"
    )]
    pub addr: Vec<String>,
    /// Form of the output
    #[arg(short, long, global = true, env = "ORC_OUTPUT", value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Colours
    #[arg(long, global = true, env = "ORC_COLOR", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// Only ids and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More logs on stderr (-vv: still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Gives up after this time, with exit code 124 (30s, 5m, milliseconds)
    #[arg(long, global = true, env = "ORC_TIMEOUT", value_parser = values::duration)]
    pub timeout: Option<std::time::Duration>,
    /// Does not ask before something is destroyed
    #[arg(short, long, global = true, env = "ORC_YES")]
    pub yes: bool,
    /// Tables without their first line
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// Times as they are stored, instead of "2m ago"
    #[arg(long, global = true)]
    pub utc: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts a cluster on this machine, in the foreground
    Dev(dev::DevArgs),
    /// Runs one node of a cluster
    Server(Box<server::ServerArgs>),
    /// Starts a run of a workflow, a file's or one that is kept
    Run(Box<run::RunArgs>),
    /// Lists, watches and steers runs
    #[command(subcommand)]
    Runs(runs::RunsCommand),
    /// Follows and stops batches: one action on many runs
    #[command(subcommand)]
    Batch(batch::BatchCommand),
    /// Lists what awaits a decision, and decides
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Schedules and lists tasks
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Lists components and sends them messages
    #[command(subcommand)]
    Component(component::ComponentCommand),
    /// Runs a worker with the built-in actions and your programs
    Worker(worker::WorkerArgs),
    /// Reads and writes state keys
    #[command(subcommand)]
    State(state::StateCommand),
    /// Shows the system in a few lines
    Status(status::StatusArgs),
    /// Shows and changes the cluster
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Follows events
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Exits 0 if the node is ready
    Healthcheck(health::HealthArgs),
    /// Checks workflow files and keeps workflows by name
    #[command(subcommand)]
    Workflow(workflow::WorkflowCommand),
    /// Starts runs by the calendar
    #[command(subcommand)]
    Schedule(schedule::ScheduleCommand),
    /// Measures a cluster under load, or one of its own
    Bench(Box<bench::BenchArgs>),
    /// Writes the completions of a shell
    #[command(after_help = "Example:\n  orc completions bash > /etc/bash_completion.d/orc")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Shows the version
    Version,
}

/// Does what the command line says.
pub async fn dispatch(global: Global, command: Command) -> Result<(), Failure> {
    if !matches!(command, Command::Server(_)) {
        logging::start("warn", global.verbose, LogFormat::Text);
    }
    let out = Out::new(&global);
    match command {
        Command::Run(args) => run::run(&global, &out, *args).await,
        Command::Runs(command) => runs::run(&global, &out, command).await,
        Command::Batch(command) => batch::run(&global, &out, command).await,
        Command::Approval(command) => approval::run(&global, &out, command).await,
        Command::Task(command) => task::run(&global, &out, command).await,
        Command::Component(command) => component::run(&global, &out, command).await,
        Command::Worker(args) => worker::run(&global, args).await,
        Command::State(command) => state::run(&global, &out, command).await,
        Command::Status(args) => status::run(&global, &out, args).await,
        Command::Cluster(command) => cluster::run(&global, &out, command).await,
        Command::Event(command) => event::run(&global, &out, command).await,
        Command::Healthcheck(args) => health::run(&global, &args).await,
        Command::Workflow(command) => workflow::run(&global, &out, command).await,
        Command::Schedule(command) => schedule::run(&global, &out, command).await,
        Command::Dev(args) => dev::run(&global, args).await,
        Command::Server(args) => server::run(global.verbose, &args).await,
        Command::Bench(args) => bench::run(&global, &out, *args).await,
        Command::Completions { shell } => completions(shell),
        Command::Version => version(&out),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "orc", &mut script);
    Out::raw(&script)
}

fn version(out: &Out) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if out.is_structured() {
        return out.document(&serde_json::json!({ "version": version }));
    }
    out.line(&format!("orc {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn without_example(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            let leaf = command.get_subcommands().next().is_none();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            if leaf && !help.contains("Example") && command.get_name() != "version" {
                found.push(path.clone());
            }
            command.get_subcommands().for_each(|inner| without_example(inner, &path, found));
        }
        let mut found = Vec::new();
        without_example(&Cli::command(), "", &mut found);
        assert_eq!(found, [""; 0], "commands without an example in their help");
    }
}
