//! One node without a network: it commits what it is told.
//! Knows nothing of other nodes.

use std::{path::Path, sync::Arc, time::Duration};

use openraft::{
    RaftLogReader, StorageHelper,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
};
use orc_domain::{
    ClusterConfig, Command, CreateRun, Definition, DefinitionId, Expect, Failure, HeldAttempt, Json, NewTask,
    NodeId, Outcome, Priority, Proposal, RegisterComponent, RunId, SessionId, StepDef, StepKind, TaskId,
    Timestamp, Token,
};
use orc_raft::{
    codec::encode_proposal,
    error::{Chain, StartError},
    log::LogStore,
    store::{OpenOptions, StateMachine, StateReader},
    types::{Batch, LeaderId, LogEntry, LogId, Member, Membership, Payload},
};
use uuid::Uuid;

/// Nothing is drained unless a test says so; the first fatal error panics.
pub fn options(node_id: u64) -> OpenOptions {
    OpenOptions {
        fatal: Arc::new(|fatal| panic!("fatal: {}", Chain(fatal))),
        drain_interval: Duration::from_secs(3_600),
        ..OpenOptions::new(node_id)
    }
}

pub struct Node {
    pub log: LogStore,
    pub machine: StateMachine,
    pub reader: StateReader,
    next: u64,
    /// Who appended the last record.
    leader: LeaderId,
}

pub fn place(index: u64) -> LogId {
    LogId::new(LeaderId::new(1, 1), index)
}

pub fn entry(index: u64, commands: &[Command]) -> LogEntry {
    let encoded: Vec<_> =
        commands.iter().map(|command| encode_proposal(&Proposal::from(command.clone()))).collect();
    let batch = Batch::pack(Timestamp(1_000 * index), &encoded).unwrap();
    LogEntry { log_id: place(index), payload: Payload::Normal(batch) }
}

impl Node {
    /// Opens a node and does what Raft does at the start; a new one gets its first membership.
    pub async fn open(data: &Path) -> Node {
        Node::open_with(data, options(1)).await.unwrap()
    }

    pub async fn open_with(data: &Path, options: OpenOptions) -> Result<Node, StartError> {
        let mut node = Node::open_as_is(data, options).await?;
        if node.next == 0 {
            let membership = Membership::new(
                vec![[1].into()],
                [(1, Member::default())].into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            );
            node.commit_entry(LogEntry { log_id: place(0), payload: Payload::Membership(membership) }).await;
        }
        Ok(node)
    }

    /// The same without a first record: a node that joins has none.
    pub async fn open_as_is(data: &Path, options: OpenOptions) -> Result<Node, StartError> {
        let opened = orc_raft::store::open(data, options)?;
        let mut node = Node {
            log: opened.log,
            machine: opened.machine,
            reader: opened.reader,
            next: 0,
            leader: place(0).leader_id,
        };
        StorageHelper::new(&mut node.log, &mut node.machine).get_initial_state().await.unwrap();
        let last = node.log.get_log_state().await.unwrap().last_log_id;
        node.next = last.map_or(0, |id| id.index + 1);
        node.leader = last.map_or(node.leader, |id| id.leader_id);
        Ok(node)
    }

    /// Applies what is in the log but was not known as committed.
    pub async fn catch_up(&mut self) {
        let applied = self.machine.applied_state().await.unwrap().0;
        let rest = self.log.try_get_log_entries(applied.map_or(0, |id| id.index + 1)..).await.unwrap();
        if !rest.is_empty() {
            self.machine.apply(rest).await.unwrap();
        }
    }

    pub async fn append(&mut self, commands: &[Command]) -> LogEntry {
        let entry = entry(self.next, commands);
        self.log.blocking_append([entry.clone()]).await.unwrap();
        self.next += 1;
        entry
    }

    pub async fn commit(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let mut entry = entry(self.next, commands);
        entry.log_id.leader_id = self.leader;
        self.commit_entry(entry).await
    }

    async fn commit_entry(&mut self, entry: LogEntry) -> Vec<Outcome> {
        let id = entry.log_id;
        self.log.blocking_append([entry.clone()]).await.unwrap();
        self.log.save_committed(Some(id)).await.unwrap();
        self.next = id.index + 1;
        self.machine.apply([entry]).await.unwrap().remove(0).0
    }

    /// A mixed history: keys with versions, a component, tasks of which most end.
    pub async fn live_a_little(&mut self, from: u32, rounds: u32) {
        for round in from..from + rounds {
            let number = u128::from(round);
            self.commit(&[set("a.key", round), set(&format!("many.{round}"), round)]).await;
            self.commit(&[register(), connect(number)]).await;
            self.commit(&[Command::CreateTasks { tasks: vec![task(2 * number), task(2 * number + 1)] }])
                .await;
            for (id, token) in self.running().await.into_iter().take(3) {
                self.commit(&[Command::CompleteTask { task: id, token, output: Json::from("1") }]).await;
            }
        }
    }

    /// Tasks that give up, one after the other.
    pub async fn let_die(&mut self, numbers: std::ops::Range<u128>) {
        self.commit(&[register(), connect(u128::MAX)]).await;
        for number in numbers {
            self.commit(&[Command::CreateTasks { tasks: vec![task(number)] }]).await;
            for (id, token) in self.running().await {
                let failure = Failure::new("BROKEN", "it broke");
                let fail =
                    Command::FailTask { task: id, token, failure, retryable: false, retry_after: None };
                self.commit(&[fail]).await;
            }
        }
    }

    pub async fn running(&self) -> Vec<(TaskId, Token)> {
        let look = |state: &orc_domain::State| {
            let running = state.tasks.iter();
            running.filter_map(|(id, task)| Some((*id, task.assignment.as_ref()?.token))).collect()
        };
        self.reader.inspect(look).await.unwrap()
    }
}

pub fn set(key: &str, value: u32) -> Command {
    let value = Some(Json::from(value.to_string()));
    Command::SetState { key: key.parse().unwrap(), value, expect: Expect::Any }
}

fn register() -> Command {
    Command::RegisterComponent(Box::new(RegisterComponent {
        id: "worker".parse().unwrap(),
        name: "Worker".into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: vec!["train".into()],
        labels: Default::default(),
        slots: 3,
        ttl: None,
    }))
}

fn connect(session: u128) -> Command {
    Command::ConnectComponent {
        component: "worker".parse().unwrap(),
        session: SessionId(Uuid::from_u128(session)),
        node: NodeId(1),
        held: Vec::<HeldAttempt>::new(),
    }
}

pub fn task_id(number: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(number))
}

fn task(number: u128) -> NewTask {
    NewTask {
        id: task_id(number),
        name: "Train".into(),
        action: "train".into(),
        payload: Json::null(),
        priority: Priority::Normal,
        labels: Default::default(),
        dependencies: vec![],
        timeout: None,
        queue_timeout: None,
        retry: None,
        run_at: None,
        total_timeout: None,
        heartbeat_timeout: None,
        requeued_from: None,
    }
}

/// A run of a workflow that waits.
pub fn create_run(number: u128) -> Command {
    let id = DefinitionId([1; 16]);
    let kind = StepKind::Delay { duration: Duration::from_secs(3_600) };
    let step = StepDef::new("wait", kind, ClusterConfig::default().step_retry);
    let timeout = Duration::from_secs(7_200);
    let definition = Definition { timeout, ..Definition::new(id, "flow", vec![step]) };
    let create = CreateRun::new(RunId(Uuid::from_u128(number)), id);
    Command::CreateRun(Box::new(CreateRun { body: Some(Arc::new(definition)), ..create }))
}

pub fn cancel_run(number: u128) -> Command {
    Command::CancelRun { run: RunId(Uuid::from_u128(number)), reason: "enough".into() }
}
