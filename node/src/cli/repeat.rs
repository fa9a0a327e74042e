//! `orc runs retry` and `rerun`: new runs that take over what an earlier one has done.
//! Knows nothing of what is taken over.

use clap::Args;
use orc_client::{
    RunHandle,
    wire::{RerunRun, RetryRun, RunStarted},
};
use serde_json::Value;

use super::{Failure, Out, runs::SteerArgs, style, values};

/// How a run is retried.
#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    pub(super) of: SteerArgs,
    /// Takes over what completed (the default)
    #[arg(long, conflicts_with = "all")]
    failed_only: bool,
    /// Starts everything anew
    #[arg(long, conflicts_with = "all_matching")]
    all: bool,
}

/// How a run is repeated.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// A run's id, an unambiguous beginning of one, or @last
    pub(super) id: String,
    /// The step to begin with, or one item of it: `evaluate[7]`
    #[arg(long, value_name = "STEP")]
    from_step: Option<String>,
    /// An input in place of the earlier one; JSON if the value reads as JSON, else text
    #[arg(short = 'i', value_name = "KEY=VALUE", value_parser = values::pair)]
    input_value: Vec<(String, String)>,
    /// What the component gets for the step, a task, instead of its config
    #[arg(long, value_name = "JSON", requires = "from_step")]
    step_input: Option<String>,
}

/// Starts a run that goes on from the failed steps.
pub(super) async fn retry(out: &Out, run: &RunHandle, args: &RetryArgs) -> Result<(), Failure> {
    let started = run.retry(&RetryRun { failed_only: Some(!args.all) }).await?;
    tell(out, &started)
}

/// Starts a run that repeats an earlier one.
pub(super) async fn rerun(out: &Out, run: &RunHandle, args: RerunArgs) -> Result<(), Failure> {
    let raw = |value: &Value| orc_client::wire::raw(value).map_err(Failure::unreadable);
    let inputs = values::inputs(None, None, &args.input_value)?;
    let asked = RerunRun {
        from_step: args.from_step,
        inputs: if inputs.is_empty() { None } else { Some(raw(&Value::Object(inputs))?) },
        step_input: args.step_input.as_deref().map(|text| raw(&values::json_or_text(text))).transpose()?,
    };
    tell(out, &run.rerun(&asked).await?)
}

fn tell(out: &Out, started: &RunStarted) -> Result<(), Failure> {
    out.item(started, &started.run_id, || {
        let of = started.origin.as_ref().map(|origin| format!(", a {} of {}", origin.how, origin.run_id));
        let lived = if started.deduplicated { ", which lived already" } else { "" };
        let status = style::status(started.status.as_str());
        format!("Run {} is {status}{}{lived}", started.run_id, of.unwrap_or_default())
    })?;
    out.hint(&format!("watch it: orc runs watch {}", started.run_id));
    Ok(())
}
