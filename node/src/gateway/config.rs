//! `/cluster/config`: the cluster's settings by the seed's names.
//! Knows nothing of single settings.

use std::sync::Arc;

use orc_client::wire::{ProblemError, codes};
use orc_domain::Command;
use serde_json::Value;

use super::{
    Gateway,
    call::Call,
    problem::Refusal,
    reply::{Answered, Reply},
};
use crate::config::{SettingError, cluster_config_to_json, merge_cluster_config};

/// `GET /cluster/config`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.fresh(&call).await?;
    Ok(Reply::json(&cluster_config_to_json(&gateway.cluster.config())))
}

/// `PUT /cluster/config`: settings that are not named stay as they are.
pub async fn put(gateway: Arc<Gateway>, call: Call) -> Answered {
    let changes: Value = call.json()?;
    gateway.fresh(&call).await?;
    let merged = merge_cluster_config(&gateway.cluster.config(), &changes).map_err(refuse)?;
    let shown = cluster_config_to_json(&merged.config);
    let accepted = gateway.command(&call, Command::Configure(Box::new(merged.config))).await?;
    Ok(Reply::json(&shown).rev(accepted.rev).replayed(accepted.replayed))
}

fn refuse(errors: Vec<SettingError>) -> Refusal {
    let place = |error: &SettingError| ProblemError {
        pointer: error.pointer(),
        line: None,
        column: None,
        detail: error.reason.clone(),
    };
    let detail = match errors.as_slice() {
        [only] => only.to_string(),
        many => format!("{} settings cannot be set", many.len()),
    };
    Refusal::new(codes::VALIDATION_FAILED, detail).errors(errors.iter().map(place).collect())
}
