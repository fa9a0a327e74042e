//! The service that a Restate cluster calls: a workflow of three steps, each with a result of about 100 bytes
//! that the cluster has stored before the next step begins. The steps run inside this process.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use clap::Parser;
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

const STEPS: u32 = 3;

#[derive(Parser)]
#[command(about = "Serves the three-step workflow to a Restate cluster")]
struct Arguments {
    /// The port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Threads of this process.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> Result<()> {
    let Arguments { port, threads } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        HttpServer::new(Endpoint::builder().bind(Workflow).build()).listen_and_serve(address).await;
        anyhow::bail!("the server on {address} ended")
    })
}

#[derive(Clone, Serialize, Deserialize)]
struct StepResult {
    step: u32,
    ok: bool,
    id: String,
    payload: String,
}

struct Workflow;

#[service]
impl Workflow {
    #[handler]
    async fn run(
        &self,
        context: Context<'_>,
        _input: Json<serde_json::Value>,
    ) -> Result<Json<StepResult>, HandlerError> {
        let mut last = None;
        for step in 0..STEPS {
            let work = || async move { Ok(Json::from(result_of(step))) };
            last = Some(context.run(work).name("step").await?.into_inner());
        }
        Ok(Json::from(last.ok_or_else(|| TerminalError::new("no step ran"))?))
    }
}

fn result_of(step: u32) -> StepResult {
    StepResult { step, ok: true, id: "step-result".to_owned(), payload: "x".repeat(40) }
}
