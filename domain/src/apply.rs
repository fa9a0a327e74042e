//! The whole story of one entry: the clock advances, the command is decided, facts are written,
//! what follows follows, until nothing more does. The same on every node.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    answer::{Answer, Outcome},
    assign::{admit, assign},
    command::{Command, Entry, Idempotency},
    decide::{alive_twin, decide, deliver, due, follow},
    effect::Effect,
    event::Event,
    evolve::evolve,
    ids::{RunId, Token},
    message::{MessageCommand, MessageEvent},
    planted::{Bug, planted},
    react::{FollowUp, effects_of, react},
    recorded::Recorded,
    rejection::Rejection,
    run::RunStatus,
    state::{AnswerRecord, State},
    task::TaskStatus,
};

/// Deadlines that one `AdvanceTime` lets take effect; the rest follow in the next.
const DUE_MAX: usize = 256;

/// More tokens than the cluster that a backup was made of hands out afterwards, should a clock be wrong.
const TOKENS_SKIPPED: u64 = 1 << 32;

/// What an entry led to. Its events are the latest in [`State::journal`].
#[derive(Debug)]
pub struct Applied {
    /// What the caller hears.
    pub outcome: Outcome,
    /// What the hands have to do.
    pub effects: Vec<Effect>,
}

/// Applies one entry, whole.
pub fn apply(state: &mut State, entry: &Entry) -> Applied {
    state.meta.rev = entry.rev;
    state.meta.now = state.meta.now.max(entry.proposed_at);
    state.answers.expire(state.meta.now);
    if planted(Bug::NondeterministicApply) {
        state.meta.now = state.meta.now + Duration::from_millis(applied_here() % 2);
    }
    if let Some(outcome) = entry.proposal.idempotency.and_then(|idempotency| replay(state, idempotency)) {
        return Applied { outcome, effects: Vec::new() };
    }
    let (command, seq_before) = (&entry.proposal.command, state.meta.seq);
    let twin = match command {
        Command::CreateRun(create) => alive_twin(state, create),
        _ => None,
    };
    let events = match decide(state, command) {
        Ok(events) => events,
        Err(rejection) => {
            let outcome = Outcome { rev: entry.rev, replayed: false, result: Err(rejection) };
            return Applied { outcome, effects: Vec::new() };
        }
    };
    if let Command::BeginAnew { token_min } = command {
        // No fact of its own: what follows already hands out tokens.
        state.meta.token = (*token_min).max(Token(state.meta.token.0 + TOKENS_SKIPPED));
    }
    let first = state.journal.events.len();
    let mut story = Story { state, effects: Vec::new(), follow_ups: VecDeque::new() };
    story.record(events);
    story.settle();
    if *command == Command::AdvanceTime {
        story.advance();
    }
    let effects = story.effects;
    if let Command::FollowEvents { upto, .. } = command {
        // No fact of its own: whoever follows the facts would have to follow it, too.
        state.meta.followed = state.meta.followed.max(*upto);
    }
    let answer = answer(state, command, (twin, first, seq_before));
    if let Some(idempotency) = entry.proposal.idempotency {
        keep(state, idempotency, answer.clone());
    }
    Applied { outcome: Outcome { rev: entry.rev, replayed: false, result: Ok(answer) }, effects }
}

/// How many records this program has applied, which the nodes of a cluster need not agree on.
fn applied_here() -> u64 {
    static APPLIED: AtomicU64 = AtomicU64::new(0);
    APPLIED.fetch_add(1, Ordering::Relaxed)
}

fn replay(state: &State, idempotency: Idempotency) -> Option<Outcome> {
    let known = state.answers.get(&idempotency.key)?;
    if planted(Bug::IdemNotAtomic) && known.rev == state.meta.rev {
        return None;
    }
    if known.idempotency.request == idempotency.request {
        return Some(Outcome { rev: known.rev, replayed: true, result: Ok(known.answer.clone()) });
    }
    Some(Outcome { rev: state.meta.rev, replayed: false, result: Err(Rejection::IdempotencyKeyReused) })
}

fn keep(state: &mut State, idempotency: Idempotency, answer: Answer) {
    let record = AnswerRecord { idempotency, rev: state.meta.rev, at: state.meta.now, answer };
    state.journal.answers.push(record.clone());
    state.answers.insert(record);
}

struct Story<'a> {
    state: &'a mut State,
    effects: Vec<Effect>,
    follow_ups: VecDeque<FollowUp>,
}

impl Story<'_> {
    fn record(&mut self, events: Vec<Event>) {
        for event in events {
            self.effects.extend(effects_of(self.state, &event));
            evolve(self.state, &event);
            self.follow_ups.extend(react(&event));
            let meta = &mut self.state.meta;
            meta.seq += 1;
            let recorded = Recorded { seq: meta.seq, rev: meta.rev, at: meta.now, event };
            self.state.journal.events.push(Arc::new(recorded));
        }
    }

    /// Follows what follows, then fills free places, until nothing more happens.
    fn settle(&mut self) {
        loop {
            while let Some(follow_up) = self.follow_ups.pop_front() {
                let events = follow(self.state, &follow_up);
                self.record(events);
            }
            match admit(self.state).or_else(|| assign(self.state)).or_else(|| deliver(self.state)) {
                Some(event) => self.record(alloc::vec![event]),
                None => return,
            }
        }
    }

    fn advance(&mut self) {
        for _ in 0..DUE_MAX {
            let Some(events) = due(self.state) else { return };
            self.record(events);
            self.settle();
        }
    }
}

/// How many of what a command asked about a fact speaks of.
fn affected(event: &Event) -> usize {
    match event {
        Event::StateChanged(_) | Event::Message(MessageEvent::Requeued(_)) => 1,
        Event::Message(MessageEvent::Dropped { messages, overflow: false }) => messages.len(),
        Event::DeadTasksDropped { tasks, overflow: false } => tasks.len(),
        _ => 0,
    }
}

/// What the caller of an accepted command hears; `twin` is the run that lived already where one was to be created, the
/// events it led to begin at `first` and follow number `seq_before`.
#[expect(clippy::too_many_lines, reason = "a table: one entry for each command")]
fn answer(
    state: &State,
    command: &Command,
    (twin, first, seq_before): (Option<RunId>, usize, u64),
) -> Answer {
    let run_answer = |id| {
        let status = state.runs.latest(&id).map_or(RunStatus::Completed, |run| run.status);
        Answer::Run { id, status }
    };
    let task_status = |id| state.tasks.latest(id).map_or(TaskStatus::Completed, |task| task.status);
    let version = |version: Option<u64>| Answer::Version {
        version: version.unwrap_or(0),
        made: state.meta.seq > seq_before,
    };
    let workflow_version = |name| state.workflows.get(name).map(|workflow| workflow.version);
    let schedule_version = |id| state.schedules.get(id).map(|schedule| schedule.version);
    match command {
        Command::CreateRun(create) => run_answer(twin.unwrap_or(create.id)),
        Command::CancelRun { run, .. }
        | Command::PauseRun { run }
        | Command::ResumeRun { run }
        | Command::TerminateRun { run, .. }
        | Command::SignalRun { run, .. }
        | Command::DecideApproval { run, .. } => run_answer(*run),
        Command::TriggerSchedule { run, .. } => run_answer(*run),
        Command::CreateTasks { tasks } => {
            Answer::Tasks(tasks.iter().map(|task| (task.id, task_status(&task.id))).collect())
        }
        Command::CancelTask { task, .. } | Command::SetTaskPriority { task, .. } => {
            Answer::Tasks(alloc::vec![(*task, task_status(task))])
        }
        Command::SetState { key, .. } => {
            Answer::Key { version: state.keys.get(key).map_or(0, |record| record.version) }
        }
        Command::Transact(transaction) => {
            let version = |key| state.keys.get(key).map_or(0, |record| record.version);
            Answer::Keys(transaction.writes.iter().map(|write| version(&write.key)).collect())
        }
        Command::CreateSnapshot(new) => Answer::Snapshot(new.id),
        Command::Message(MessageCommand::Send(new)) => {
            Answer::Messages(new.iter().map(|message| (message.id, message.component.clone())).collect())
        }
        Command::RestoreSnapshot(_)
        | Command::DropDeadTasks { .. }
        | Command::Message(MessageCommand::Requeue(_) | MessageCommand::Drop(_)) => {
            let affected = state.journal.events[first..].iter().map(|recorded| affected(&recorded.event));
            Answer::Count(u32::try_from(affected.sum::<usize>()).unwrap_or(u32::MAX))
        }
        Command::ConnectComponent { component, session, .. } => {
            Answer::Session { component: component.clone(), session: *session }
        }
        // Which session it has: that one, or a newer one.
        Command::ReconnectComponent { component, session, .. } => {
            let current = state.components.get(component).and_then(|known| known.session.as_ref());
            let session = current.map_or(*session, |current| current.id);
            Answer::Session { component: component.clone(), session }
        }
        Command::CompleteTask { .. }
        | Command::FailTask { .. }
        | Command::RegisterComponent(_)
        | Command::EndSession { .. }
        | Command::EndNodeSessions { .. }
        | Command::BeginAnew { .. }
        | Command::DrainComponent { .. }
        | Command::DeregisterComponent { .. }
        | Command::RecordEvaluation { .. }
        | Command::FinishMessage { .. }
        | Command::AdvanceTime
        | Command::Configure(_)
        | Command::DeleteEnded { .. }
        | Command::ExpireHeartbeat { .. }
        | Command::PauseAction { .. }
        | Command::ResumeAction { .. }
        | Command::ReportStuck { .. }
        | Command::DeleteWorkflow { .. }
        | Command::DeleteSchedule { .. }
        | Command::PlanSchedule { .. }
        | Command::GiveEvent { .. }
        | Command::DeleteSnapshot { .. }
        | Command::Message(_)
        | Command::PostEvent { .. }
        | Command::Report(_)
        | Command::FollowEvents { .. } => Answer::Done,
        Command::ApplyWorkflow(apply) => version(workflow_version(&apply.name)),
        Command::PauseWorkflow { name } | Command::ResumeWorkflow { name } => version(workflow_version(name)),
        Command::SetSchedule { spec, .. } => version(schedule_version(&spec.id)),
        Command::PauseSchedule { schedule } | Command::ResumeSchedule { schedule } => {
            version(schedule_version(schedule))
        }
    }
}

/// Writes facts that no rule made, as a wrong rule would, and lets follow what follows.
#[cfg(test)]
pub(crate) fn record_wrong(state: &mut State, events: Vec<Event>) {
    let mut story = Story { state, effects: Vec::new(), follow_ups: VecDeque::new() };
    story.record(events);
    story.settle();
}
