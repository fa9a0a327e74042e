//! Workflows kept by name, compiled: what a version says and which inputs it takes.
//! Knows nothing of who starts them.

use std::sync::Arc;

use orc_actors::expression::group_of;
use orc_domain::{ChildStart, Definition, Failure, Json, Text, WorkflowName, WorkflowRef};
use orc_raft::{error::ReadError, replica::Replica};
use serde_json::Value;

use crate::definition::{Compiled, Definitions};

/// What a cluster keeps by name.
pub struct Catalog {
    replica: Replica,
    /// Compiled definitions by their text.
    pub definitions: Definitions,
}

/// A version of a workflow.
pub struct Stored {
    /// Its number.
    pub version: u64,
    /// What runs execute.
    pub definition: Arc<Definition>,
    /// What the file says beside it.
    pub compiled: Arc<Compiled>,
}

/// Why there is no such version.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No workflow of the name.
    #[error("there is no workflow {0}")]
    UnknownWorkflow(WorkflowName),
    /// No version of the number.
    #[error("workflow {0} has no version {1}")]
    UnknownVersion(WorkflowName, u64),
    /// A later release reads workflow files differently.
    #[error("version {1} of workflow {0} can no longer be read: {2}")]
    Unreadable(WorkflowName, u64, crate::definition::DefinitionErrors),
    /// The state cannot be read now.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Catalog {
    /// Over a node's state.
    pub fn new(replica: Replica) -> Arc<Catalog> {
        Arc::new(Catalog { replica, definitions: Definitions::default() })
    }

    /// A version of a workflow; the latest if none is said.
    pub async fn stored(&self, name: &WorkflowName, version: Option<u64>) -> Result<Stored, CatalogError> {
        let reader = self.replica.reader();
        let workflow = reader.workflow(name).ok_or_else(|| CatalogError::UnknownWorkflow(name.clone()))?;
        let version = version.unwrap_or(workflow.version);
        let unknown = || CatalogError::UnknownVersion(name.clone(), version);
        let id = match version == workflow.version {
            true => workflow.definition,
            false => {
                let row = reader.find_workflow_version(name.clone(), version).await?;
                row.ok_or_else(unknown)?.definition
            }
        };
        let definition = reader.find_definition(id).await?.ok_or_else(unknown)?;
        let compiled = self.definitions.get(definition.source.as_str(), &reader.config());
        let compiled = compiled.map_err(|errors| CatalogError::Unreadable(name.clone(), version, errors))?;
        Ok(Stored { version, definition, compiled })
    }

    /// A run of a workflow as a step starts it: the inputs are checked against what it accepts.
    pub async fn child(
        &self,
        name: &Text,
        version: Option<u32>,
        inputs: &Json,
    ) -> Result<ChildStart, Failure> {
        let unknown = |error: &dyn std::fmt::Display| Failure::new("WORKFLOW_UNKNOWN", error.to_string());
        let name: WorkflowName = name.parse().map_err(|error: orc_domain::BadId| unknown(&error))?;
        let stored = self.stored(&name, version.map(u64::from)).await.map_err(|error| unknown(&error))?;
        if self.replica.reader().workflow(&name).is_some_and(|workflow| workflow.paused) {
            return Err(Failure::new("WORKFLOW_PAUSED", format!("workflow {name} is paused")));
        }
        let refused = |error: &dyn std::fmt::Display| {
            Failure::new("INPUTS_INVALID", format!("workflow {name} does not take these inputs: {error}"))
        };
        let given: Value = serde_json::from_str(inputs.as_str()).map_err(|error| refused(&error))?;
        let inputs = stored.compiled.inputs.resolve(&given).map_err(|errors| refused(&errors))?;
        let group = group_of(&stored.definition, &inputs, &Value::Null).map_err(|error| refused(&error))?;
        Ok(ChildStart {
            workflow: WorkflowRef { name, version: stored.version },
            definition: stored.definition.id,
            labels: stored.compiled.labels.clone(),
            body: Some(stored.definition),
            inputs,
            group,
        })
    }
}
