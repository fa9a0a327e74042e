//! `orc worker`: a worker with the built-in actions and programs of yours.
//! Knows nothing of sessions or of how actions work.

use clap::Args;
use orc_client::Worker;
use orc_executors::Workdir;

use super::{
    Failure, Global,
    connect::{client, interrupted},
    output::note,
    values,
};

/// Runs a worker until SIGTERM or Ctrl-C; then it takes no new tasks and ends when its last one has.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orc worker --allow echo,sleep,run,http --slots 16 --name w-1\n  orc worker --exec 'train_model=python3 train.py' --label gpu=true --addr http://a:7420,http://b:7421\n  orc worker --allow agent,run --agent 'codex=codex exec -'"
)]
pub struct WorkerArgs {
    /// Built-in actions to offer: echo, sleep, run, http, agent (which asks claude)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "ACTION",
        default_value = "echo,sleep",
        env = "ORC_WORKER_ALLOW"
    )]
    allow: Vec<String>,
    /// An action done by a program: config as JSON on stdin, output as JSON in the last line of stdout, log on stderr
    #[arg(long, value_name = "ACTION=COMMAND", value_parser = values::pair)]
    exec: Vec<(String, String)>,
    /// A provider of the action agent: the prompt on stdin, the request in ORC_AGENT_*, the answer on stdout
    #[arg(long, value_name = "NAME=COMMAND", value_parser = values::pair)]
    agent: Vec<(String, String)>,
    /// Where scripts and agents work, instead of a fresh folder: {run} in it stands for the run's id
    #[arg(long, env = "ORC_WORKER_WORKDIR", value_name = "FOLDER")]
    workdir: Option<String>,
    /// Tasks at once [default: the number of processors]
    #[arg(long, env = "ORC_WORKER_SLOTS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: Option<u32>,
    /// The worker's id
    #[arg(long, alias = "id", env = "ORC_WORKER_NAME")]
    name: Option<String>,
    /// A label that tasks can ask for
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    label: Vec<(String, String)>,
    /// How long running tasks may take after SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    drain_timeout: std::time::Duration,
}

/// Does it.
pub(super) async fn run(global: &Global, args: WorkerArgs) -> Result<(), Failure> {
    let mut worker = Worker::new(client(global)?).labels(args.label).drain_timeout(args.drain_timeout);
    if let Some(slots) = args.slots {
        worker = worker.slots(slots);
    }
    let name = args.name.unwrap_or_else(|| format!("worker-{}", std::process::id()));
    if name.parse::<orc_domain::ComponentId>().is_err() {
        return Err(Failure::Usage(format!(
            "--name {name}: write [a-z0-9][a-z0-9._-]*, at most 63 characters"
        )));
    }
    worker = worker.id(&name).name(&name);
    let mut actions: Vec<&str> =
        args.allow.iter().map(|action| action.trim()).filter(|action| !action.is_empty()).collect();
    let workdir = args.workdir.map(Workdir::at).unwrap_or_default();
    worker = orc_executors::builtin_in(worker, &actions, &workdir)
        .map_err(|error| Failure::Usage(format!("--allow: {error}")))?;
    for (action, command) in &args.exec {
        worker = worker.handler(action, orc_executors::exec_handler(shell(command)));
        actions.push(action);
    }
    if !args.agent.is_empty() {
        let agents = args
            .agent
            .iter()
            .fold(orc_executors::Agents::default().working_in(workdir), |agents, (name, command)| {
                agents.with(name, shell(command))
            });
        worker = worker.handler("agent", orc_executors::agent_handler(agents));
        if !actions.contains(&"agent") {
            actions.push("agent");
        }
    }
    if actions.is_empty() {
        return Err(Failure::Usage("a worker offers something: --allow, --exec or --agent".to_owned()));
    }
    if !global.quiet {
        note(&format!("Worker {name} offers {} · ends on Ctrl-C", actions.join(", ")));
    }
    // On a thread of the runtime like its tasks: waking the main thread would cost a system call for each of them.
    match tokio::spawn(worker.run(interrupted())).await {
        Ok(ended) => Ok(ended?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn shell(command: &str) -> Vec<String> {
    ["sh", "-c", command].map(str::to_owned).to_vec()
}
