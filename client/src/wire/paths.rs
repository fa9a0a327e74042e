//! Every HTTP path, as a route template (`{id}` stands for one percent-encoded segment), and how to fill one in.
//! Knows neither methods nor bodies.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// `GET` with an upgrade to WebSocket: [`super::calls`].
pub const CALLS: &str = "/api/v1/calls";

/// `POST` starts a run, `GET` lists runs.
pub const RUNS: &str = "/api/v1/runs";
/// `GET` one run, `DELETE` it once it has ended.
pub const RUN: &str = "/api/v1/runs/{id}";
/// `GET`: answers when the run is terminal, or after `timeout` as it is then.
pub const RUN_WAIT: &str = "/api/v1/runs/{id}/wait";
/// `POST`
pub const RUN_CANCEL: &str = "/api/v1/runs/{id}/cancel";
/// `POST`
pub const RUN_PAUSE: &str = "/api/v1/runs/{id}/pause";
/// `POST`
pub const RUN_RESUME: &str = "/api/v1/runs/{id}/resume";
/// `POST`: ends a run and its children at once.
pub const RUN_TERMINATE: &str = "/api/v1/runs/{id}/terminate";
/// `POST` data for a step that awaits this signal, now or later.
pub const RUN_SIGNAL: &str = "/api/v1/runs/{id}/signals/{name}";
/// `POST`: a new run that goes on from the steps that failed.
pub const RUN_RETRY: &str = "/api/v1/runs/{id}/retry";
/// `POST`: a new run that repeats it, from its start or from a step.
pub const RUN_RERUN: &str = "/api/v1/runs/{id}/rerun";
/// `GET` the runs it has started: items, workflows of steps, handlers.
pub const RUN_CHILDREN: &str = "/api/v1/runs/{id}/children";
/// `GET` its steps as nodes and edges.
pub const RUN_GRAPH: &str = "/api/v1/runs/{id}/graph";
/// `GET` one step.
pub const RUN_STEP: &str = "/api/v1/runs/{id}/steps/{step}";
/// `GET` the items of a `foreach` step.
pub const RUN_ITEMS: &str = "/api/v1/runs/{id}/steps/{step}/items";

/// `GET` what awaits somebody's decision, over all runs.
pub const APPROVALS: &str = "/api/v1/approvals";
/// `POST`
pub const APPROVAL_APPROVE: &str = "/api/v1/approvals/{id}/approve";
/// `POST`
pub const APPROVAL_REJECT: &str = "/api/v1/approvals/{id}/reject";
/// `GET` a page of what its tasks logged, on all nodes.
pub const RUN_LOGS: &str = "/api/v1/runs/{id}/logs";
/// `GET` the same as an event stream that ends with the run.
pub const RUN_LOGS_STREAM: &str = "/api/v1/runs/{id}/logs/stream";
/// `GET` why the run waits, or how it came to its end.
pub const RUN_EXPLAIN: &str = "/api/v1/runs/{id}/explain";

/// `POST` keeps a workflow by name, `GET` lists those kept.
pub const WORKFLOWS: &str = "/api/v1/workflows";
/// `GET` one workflow, `PUT` a new version of it, `DELETE` forgets it.
pub const WORKFLOW: &str = "/api/v1/workflows/{name}";
/// `GET` its versions.
pub const WORKFLOW_VERSIONS: &str = "/api/v1/workflows/{name}/versions";
/// `GET` one version with its definition.
pub const WORKFLOW_VERSION: &str = "/api/v1/workflows/{name}/versions/{version}";
/// `GET` what another version changes.
pub const WORKFLOW_DIFF: &str = "/api/v1/workflows/{name}/versions/{version}/diff/{other}";
/// `GET` the graph of its steps.
pub const WORKFLOW_GRAPH: &str = "/api/v1/workflows/{name}/graph";
/// `POST`: it starts no new runs by name, schedule or hook.
pub const WORKFLOW_PAUSE: &str = "/api/v1/workflows/{name}/pause";
/// `POST`
pub const WORKFLOW_RESUME: &str = "/api/v1/workflows/{name}/resume";
/// `GET` the JSON Schema of workflow files.
pub const WORKFLOW_SCHEMA: &str = "/api/v1/schemas/workflow.json";

/// `POST` makes a schedule, `GET` lists them.
pub const SCHEDULES: &str = "/api/v1/schedules";
/// `GET` one schedule, `PUT` makes or changes it, `DELETE` forgets it.
pub const SCHEDULE: &str = "/api/v1/schedules/{id}";
/// `POST`: no instant has its turn.
pub const SCHEDULE_PAUSE: &str = "/api/v1/schedules/{id}/pause";
/// `POST`
pub const SCHEDULE_RESUME: &str = "/api/v1/schedules/{id}/resume";
/// `POST` starts a run now.
pub const SCHEDULE_TRIGGER: &str = "/api/v1/schedules/{id}/trigger";
/// `GET` its next instants.
pub const SCHEDULE_NEXT: &str = "/api/v1/schedules/{id}/next";

/// `POST`: a signed call from outside that may start a run.
pub const HOOK: &str = "/api/v1/hooks/{workflow}/{hook}";

/// `POST` starts a batch, `GET` lists those of the node that is asked.
pub const BATCHES: &str = "/api/v1/batches";
/// `GET` one batch, from the node that carries it out.
pub const BATCH: &str = "/api/v1/batches/{id}";
/// `POST`
pub const BATCH_CANCEL: &str = "/api/v1/batches/{id}/cancel";

/// `POST` schedules a task or a list of them, `GET` lists tasks.
pub const TASKS: &str = "/api/v1/tasks";
/// `GET` one task, `PATCH` its priority.
pub const TASK: &str = "/api/v1/tasks/{id}";
/// `GET`: answers when the task is terminal, or after `timeout` as it is then.
pub const TASK_WAIT: &str = "/api/v1/tasks/{id}/wait";
/// `POST`
pub const TASK_CANCEL: &str = "/api/v1/tasks/{id}/cancel";
/// `POST`: a new task in place of one of the dead-letter list.
pub const TASK_RETRY: &str = "/api/v1/tasks/{id}/retry";
/// `GET` why the task waits, or how it came to its end.
pub const TASK_EXPLAIN: &str = "/api/v1/tasks/{id}/explain";
/// `GET` what waits and runs, per action.
pub const TASKS_BACKLOG: &str = "/api/v1/tasks/backlog";
/// `GET` the dead-letter list.
pub const TASKS_DEAD: &str = "/api/v1/tasks/dead";
/// `POST`: new tasks in place of some of the dead-letter list.
pub const TASKS_DEAD_REQUEUE: &str = "/api/v1/tasks/dead/requeue";
/// `POST`: takes tasks off the dead-letter list for good.
pub const TASKS_DEAD_DROP: &str = "/api/v1/tasks/dead/drop";
/// `POST`: no tasks of the action are assigned.
pub const ACTION_PAUSE: &str = "/api/v1/actions/{action}/pause";
/// `POST`: tasks of the action are assigned again.
pub const ACTION_RESUME: &str = "/api/v1/actions/{action}/resume";
/// `POST` the result of an attempt.
pub const TASK_COMPLETE: &str = "/api/v1/tasks/{id}/complete";
/// `POST` the failure of an attempt.
pub const TASK_FAIL: &str = "/api/v1/tasks/{id}/fail";
/// `POST`: the attempt is alive.
pub const TASK_HEARTBEAT: &str = "/api/v1/tasks/{id}/heartbeat";
/// `POST` lines that an attempt logged, `GET` a page of what its task logged.
pub const TASK_LOGS: &str = "/api/v1/tasks/{id}/logs";
/// `GET` the same as an event stream that ends with the task.
pub const TASK_LOGS_STREAM: &str = "/api/v1/tasks/{id}/logs/stream";

/// `GET` lists components.
pub const COMPONENTS: &str = "/api/v1/components";
/// `PUT` registers, `GET` reads, `DELETE` removes a component.
pub const COMPONENT: &str = "/api/v1/components/{id}";
/// `GET` with an upgrade to WebSocket: [`super::session`].
pub const COMPONENT_CONNECT: &str = "/api/v1/components/{id}/connect";
/// `POST`: the long-poll form of a session.
pub const COMPONENT_POLL: &str = "/api/v1/components/{id}/poll";
/// `POST`: the component is alive.
pub const COMPONENT_HEARTBEAT: &str = "/api/v1/components/{id}/heartbeat";
/// `POST`: no new tasks for the component.
pub const COMPONENT_DRAIN: &str = "/api/v1/components/{id}/drain";
/// `POST` sends a message and waits for its reply.
pub const COMPONENT_MESSAGES: &str = "/api/v1/components/{id}/messages";
/// `POST` sends a message to all connected components.
pub const COMPONENTS_BROADCAST: &str = "/api/v1/components/broadcast";
/// `POST`: a polling component answers a message.
pub const MESSAGE_REPLY: &str = "/api/v1/messages/{id}/reply";
/// `GET` a durable message.
pub const MESSAGE: &str = "/api/v1/messages/{id}";
/// `POST` that a durable message is done with.
pub const MESSAGE_ACK: &str = "/api/v1/messages/{id}/ack";
/// `POST` that a durable message could not be dealt with.
pub const MESSAGE_NACK: &str = "/api/v1/messages/{id}/nack";
/// `GET` durable messages that were given up.
pub const MESSAGES_DEAD: &str = "/api/v1/messages/dead";
/// `POST` to put them back into their queues.
pub const MESSAGES_DEAD_REQUEUE: &str = "/api/v1/messages/dead/requeue";
/// `POST` to drop them for good.
pub const MESSAGES_DEAD_DROP: &str = "/api/v1/messages/dead/drop";

/// `GET` lists state keys.
pub const STATE_KEYS: &str = "/api/v1/state/keys";
/// `GET`, `PUT`, `DELETE` one key.
pub const STATE_KEY: &str = "/api/v1/state/keys/{key}";
/// `GET` the versions of a key.
pub const STATE_VERSIONS: &str = "/api/v1/state/keys/{key}/versions";
/// `GET` changes as an event stream.
pub const STATE_WATCH: &str = "/api/v1/state/watch";
/// `POST` writes of several keys.
pub const STATE_TXN: &str = "/api/v1/state/txn";
/// `GET` every key, a line each.
pub const STATE_EXPORT: &str = "/api/v1/state/export";
/// `POST` to bring an earlier version of a key back.
pub const STATE_RESTORE: &str = "/api/v1/state/keys/{key}/versions/{version}/restore";
/// `GET` how two versions of a key differ.
pub const STATE_DIFF: &str = "/api/v1/state/keys/{key}/diff";
/// `GET` snapshots, `POST` one.
pub const SNAPSHOTS: &str = "/api/v1/state/snapshots";
/// `GET` or `DELETE` a snapshot, by its id or name.
pub const SNAPSHOT: &str = "/api/v1/state/snapshots/{id}";
/// `GET` the keys of a snapshot.
pub const SNAPSHOT_KEYS: &str = "/api/v1/state/snapshots/{id}/keys";
/// `GET` what differs between a snapshot and a later one, or now.
pub const SNAPSHOT_DIFF: &str = "/api/v1/state/snapshots/{id}/diff";
/// `POST` to bring the keys of a snapshot back.
pub const SNAPSHOT_RESTORE: &str = "/api/v1/state/snapshots/{id}/restore";

/// `GET` a page of events.
pub const EVENTS: &str = "/api/v1/events";
/// `GET` events as an event stream.
pub const EVENTS_STREAM: &str = "/api/v1/events/stream";
/// `GET` one event.
pub const EVENT: &str = "/api/v1/events/{seq}";
/// `GET` a page of what happened to a run.
pub const RUN_EVENTS: &str = "/api/v1/runs/{id}/events";

/// `GET` the cluster as a node sees it.
pub const CLUSTER: &str = "/api/v1/cluster";
/// `POST` adds a node as a learner.
pub const CLUSTER_NODES: &str = "/api/v1/cluster/nodes";
/// `DELETE` removes a node.
pub const CLUSTER_NODE: &str = "/api/v1/cluster/nodes/{id}";
/// `POST` makes a learner a voter.
pub const CLUSTER_PROMOTE: &str = "/api/v1/cluster/nodes/{id}/promote";
/// `GET` and `PUT` the cluster-wide configuration.
pub const CLUSTER_CONFIG: &str = "/api/v1/cluster/config";
/// `POST` lets another node lead.
pub const CLUSTER_TRANSFER: &str = "/api/v1/cluster/transfer-leadership";
/// `POST`: the node that is asked makes a snapshot of its state.
pub const CLUSTER_SNAPSHOT: &str = "/api/v1/cluster/snapshot";
/// `GET` the state of the asked node as one file.
pub const CLUSTER_BACKUP: &str = "/api/v1/cluster/backup";
/// `GET` the seed's `getStatus()`.
pub const STATUS: &str = "/api/v1/status";

/// `GET`: the process lives.
pub const HEALTHZ: &str = "/healthz";
/// `GET`: the node can serve.
pub const READYZ: &str = "/readyz";
/// `GET` the metrics in Prometheus' text form.
pub const METRICS: &str = "/metrics";

const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*').remove(b':');

/// Fills the first `{...}` of a template with `value`, percent-encoded.
#[must_use]
pub fn fill(template: &str, value: &str) -> String {
    let encoded = utf8_percent_encode(value, SEGMENT).to_string();
    match (template.find('{'), template.find('}')) {
        (Some(open), Some(close)) => format!("{}{encoded}{}", &template[..open], &template[close + 1..]),
        _ => template.to_owned(),
    }
}

/// The value of a path segment that [`fill`] encoded; `None` if it is not UTF-8.
#[must_use]
pub fn decode(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_survives_a_path() {
        assert_eq!(fill(RUN_WAIT, "run_1"), "/api/v1/runs/run_1/wait");
        assert_eq!(fill(STATUS, "unused"), STATUS);
        assert_eq!(fill(&fill(RUN_SIGNAL, "run_1"), "{a}"), "/api/v1/runs/run_1/signals/%7Ba%7D");
        for key in ["app.version", "a/b?c#d%e f", "ключ", ".."] {
            let path = fill(STATE_KEY, key);
            let segment = path.rsplit('/').next().expect("a path has segments");
            assert_eq!(decode(segment).as_deref(), Some(key));
        }
    }
}
