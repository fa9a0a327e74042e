//! The action `agent`: a coding agent does what a prompt says, and its last words are the output, as text or as JSON of
//! a given shape. Knows nothing of how processes are ended; [`crate::process`] does that.

mod answer;
mod providers;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use orc_client::wire::{self, Raw, codes};
use orc_client::{TaskCtx, TaskError, TaskHandler};

use crate::process::{self, OutputLog, Program};
use answer::{Answer, Shape};
use request::Request;

pub use providers::Agents;

/// What is kept of an agent's output. Its last message is in there, and as JSON that is longer than the text in it.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// A handler that asks one of `agents` for every attempt. The payload is
/// `{prompt, provider?, workdir?, allowedTools?, maxTurns?, model?, outputSchema?, env?, timeout?}`.
///
/// The agent gets the prompt on its standard input, a fresh folder unless `workdir` names one, and of the worker's
/// environment what a `run` gets and the variables that begin with `ANTHROPIC_`, `CLAUDE_` or `OPENAI_`. The request is
/// also in `ORC_AGENT_PROMPT`, `ORC_AGENT_MODEL`, `ORC_AGENT_MAX_TURNS`, `ORC_AGENT_ALLOWED_TOOLS` (with commas) and
/// `ORC_AGENT_OUTPUT_SCHEMA`; what was not given, or is longer than 64 KiB, is not there.
///
/// Both streams are the attempt's log. Where the output is `stream-json`, the log is what the agent says and which tools
/// it uses, and the answer is the `result` of the last message of type `result`; else it is the whole output.
/// The output is `{text, agent: {costUsd, turns, usage, sessionId}}`, as far as the agent tells. With an `outputSchema` it
/// is the object that the answer is, or has in its last fenced `json` block, and `agent` beside its fields unless it has
/// such a field itself; a value that is no object is `{value, agent}`.
///
/// An attempt fails with `UNKNOWN_PROVIDER`, `AGENT_FAILED` when the agent says so, `EXIT_<n>`, or `INVALID_OUTPUT` when
/// the answer does not fit the schema.
///
/// ```no_run
/// # fn example(orc: orc_client::Client) {
/// let codex = ["sh", "-c", "codex exec --model \"$ORC_AGENT_MODEL\" -"].map(str::to_owned);
/// let agents = orc_executors::Agents::default().with("codex", codex.to_vec());
/// let worker = orc_client::Worker::new(orc).handler("agent", orc_executors::agent_handler(agents));
/// # }
/// ```
#[must_use]
pub fn agent_handler(agents: Agents) -> Arc<dyn TaskHandler> {
    Arc::new(Handler { agents: Arc::new(agents) })
}

struct Handler {
    agents: Arc<Agents>,
}

impl TaskHandler for Handler {
    fn run(&self, ctx: TaskCtx, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>> {
        ask(Arc::clone(&self.agents), ctx, payload).boxed()
    }
}

async fn ask(agents: Arc<Agents>, ctx: TaskCtx, payload: Raw) -> Result<Raw, TaskError> {
    let request: Request = serde_json::from_str(payload.get()).map_err(|error| {
        TaskError::permanent(
            codes::INVALID_PAYLOAD,
            format!("the payload is no request to an agent: {error}"),
        )
    })?;
    let provider = agents.find(request.provider())?;
    let shape = request.output_schema.as_ref().map(Shape::new).transpose()?;
    let folder = process::fresh_folder()?;
    let program = Program {
        argv: provider.argv(&request)?,
        dir: Some(agents.workdir.of(&ctx, request.workdir.clone(), folder.path())?),
        scrubbed: true,
        env: request.environment(std::env::vars_os()),
        input: request.full_prompt().into_bytes(),
        timeout: request.timeout.map(Duration::from),
        output_bytes: OUTPUT_BYTES_MAX,
        output_log: OutputLog::Read(stream::readable),
    };
    let finished = process::run(program, &ctx, &folder).await?;
    let answer = Answer::of(&finished)?;
    let output = match shape {
        Some(shape) => answer.shaped(&shape)?,
        None => answer.plain()?,
    };
    wire::raw(&output).map_err(|error| TaskError::permanent(codes::INVALID_OUTPUT, error.to_string()))
}
