//! Does what runs await of the leader: evaluates expressions and sends messages, and proposes what came of it.
//! Knows nothing of what that means for a run; lost or lagging, it reads what is outstanding again.

use std::{
    collections::{BTreeSet, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use orc_domain::{
    Command, ComponentId, Effect, EvalPoint, Evaluation, Failure, Json, RunId, StepIx, Text, Work,
};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{
    MessageError, Outgoing,
    component_coordinator::CoordinatorHandle,
    expression::{Evaluated, Family, ReadKey, evaluate},
    following::{Heard, following},
    gauges::{Gauges, count},
    proposer::ProposerHandle,
    seam::{Effects, ReplicatedState},
    supervision::{Leads, Ping, Stop},
};

/// Evaluations under way at once, most of them waiting for the log.
const EVALUATIONS_MAX: usize = 256;
/// Messages under way at once, most of them waiting for a component.
const MESSAGES_MAX: usize = 1_000;
/// Orders of one kind that wait; beyond it they are read from the state when there is room.
const WAITING_MAX: usize = 10_000;
/// Time for a reply where a step does not say.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// Something awaited of the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Awaited {
    Evaluation(RunId, EvalPoint),
    Message(RunId, StepIx),
}

/// What waits of one kind, and how much is under way.
#[derive(Default)]
struct Backlog {
    waiting: VecDeque<Awaited>,
    under_way: usize,
}

/// Does what runs await of the leader.
pub struct WorkflowManager {
    state: Arc<dyn ReplicatedState>,
    proposer: ProposerHandle,
    coordinator: CoordinatorHandle,
    gauges: Arc<Gauges>,
    processors: Arc<Semaphore>,
    leads: bool,
    evaluations: Backlog,
    messages: Backlog,
    known: BTreeSet<Awaited>,
    /// Something was missed: the state has to be read when there is room.
    missed: bool,
    reading: bool,
}

impl WorkflowManager {
    pub(crate) fn new(
        state: Arc<dyn ReplicatedState>,
        proposer: ProposerHandle,
        coordinator: CoordinatorHandle,
        gauges: Arc<Gauges>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        WorkflowManager {
            state,
            proposer,
            coordinator,
            gauges,
            processors: Arc::new(Semaphore::new(processors)),
            leads: false,
            evaluations: Backlog::default(),
            messages: Backlog::default(),
            known: BTreeSet::new(),
            missed: false,
            reading: false,
        }
    }

    fn backlog(&mut self, awaited: Awaited) -> &mut Backlog {
        match awaited {
            Awaited::Evaluation(..) => &mut self.evaluations,
            Awaited::Message(..) => &mut self.messages,
        }
    }

    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            let awaited = match effect {
                Effect::Evaluate { run, point } => Awaited::Evaluation(*run, *point),
                Effect::SendMessage { run, step } => Awaited::Message(*run, *step),
                Effect::DeliverTask { .. }
                | Effect::DeliverMessages { .. }
                | Effect::CancelAttempt { .. }
                | Effect::CloseSession { .. }
                | Effect::PlanSchedule { .. } => continue,
            };
            if self.backlog(awaited).waiting.len() >= WAITING_MAX {
                self.missed = true;
            } else if self.known.insert(awaited) {
                self.backlog(awaited).waiting.push_back(awaited);
            }
        }
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        while self.evaluations.under_way < EVALUATIONS_MAX
            && let Some(awaited) = self.evaluations.waiting.pop_front()
        {
            self.start(awaited, ctx);
        }
        while self.messages.under_way < MESSAGES_MAX
            && let Some(awaited) = self.messages.waiting.pop_front()
        {
            self.start(awaited, ctx);
        }
        let idle = self.evaluations.waiting.is_empty() && self.messages.waiting.is_empty();
        if self.missed && idle && !self.reading && self.leads {
            self.read_state(ctx);
        }
    }

    fn read_state(&mut self, ctx: &mut Context<Self>) {
        (self.missed, self.reading) = (false, true);
        let outstanding = self.state.outstanding();
        ctx.spawn(outstanding.into_actor(self).map(|effects, manager, ctx| {
            manager.reading = false;
            if manager.leads {
                manager.take(&effects);
                manager.work(ctx);
            }
        }));
    }

    fn start(&mut self, awaited: Awaited, ctx: &mut Context<Self>) {
        let command = match awaited {
            Awaited::Evaluation(run, point) => self.family(run).map(|family| {
                let evaluated = self.evaluate(family, point);
                futures::future::Either::Left(async move {
                    let evaluation = evaluated.await;
                    Command::RecordEvaluation { run, point, evaluation }
                })
            }),
            Awaited::Message(run, step) => self.request(run, step).map(|(request, within)| {
                let coordinator = self.coordinator.clone();
                futures::future::Either::Right(async move {
                    let reply = send(&coordinator, &request, within).await;
                    Command::FinishMessage { run, step, reply }
                })
            }),
        };
        let Some(command) = command else {
            // It has ended since.
            self.known.remove(&awaited);
            return;
        };
        self.backlog(awaited).under_way += 1;
        let (state, proposer) = (self.state.clone(), self.proposer.clone());
        let decided = async move {
            let command = command.await;
            let leadership = state.leadership();
            proposer.decide(command, || leadership.borrow().is_leader).await
        };
        ctx.spawn(decided.into_actor(self).map(move |_, manager, ctx| {
            manager.backlog(awaited).under_way -= 1;
            manager.known.remove(&awaited);
            manager.work(ctx);
        }));
    }

    /// A run with those of its definition around it; none once one of them has ended.
    fn family(&self, run: RunId) -> Option<Family> {
        let state = self.state.clone();
        let key: ReadKey = Arc::new(move |key| state.key(&key.parse().ok()?));
        Family::of(&run, |run| self.state.run(run), |definition| self.state.definition(definition), key)
    }

    fn evaluate(&self, family: Family, point: EvalPoint) -> impl Future<Output = Evaluation> + use<> {
        let processors = self.processors.clone();
        let (state, gauges) = (self.state.clone(), self.gauges.clone());
        async move {
            let id = family.runs[0].id;
            let place = processors.acquire_owned().await;
            let found = orc_runtime::blocking(move || {
                let _place = place;
                evaluate(&family, point)
            });
            let evaluation = match found.await {
                Ok(Evaluated::Known(evaluation)) => evaluation,
                Ok(Evaluated::Workflow { name, version, inputs }) => {
                    match state.child(name, version, inputs).await {
                        Ok(start) => Evaluation::Child(Box::new(start)),
                        Err(failure) => Evaluation::Failed(failure),
                    }
                }
                // Only a fault in the evaluator ends here; the run must not wait for it for ever.
                Err(_) => Evaluation::Failed(Failure::new("EXPRESSION_FAILED", "the evaluator failed")),
            };
            count(&gauges.evaluations);
            tracing::debug!(run = %id, ?point, failed = matches!(evaluation, Evaluation::Failed(_)), "evaluated");
            evaluation
        }
    }

    /// The message that a step sends, and the time left for its reply; none where it waits for none.
    fn request(&self, run: RunId, place: StepIx) -> Option<(Json, Duration)> {
        let run = self.state.run(&run)?;
        let step = run.steps.get(usize::from(place))?;
        let Some(Work::Message(request)) = step.work.as_deref() else { return None };
        let left = step.wakes_at.map_or(REPLY_WITHIN, |until| until.since(self.state.now()));
        Some((request.clone(), left.max(Duration::from_millis(1))))
    }
}

/// What a step says of its message.
#[derive(Deserialize)]
struct Request {
    component: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    payload: Option<Box<serde_json::value::RawValue>>,
}

/// Sends to one component and takes its reply, or to all and takes what each said.
async fn send(coordinator: &CoordinatorHandle, request: &Json, within: Duration) -> Result<Json, Failure> {
    let unsendable = |why: String| Failure::new("MESSAGE_UNSENDABLE", why);
    let request: Request =
        serde_json::from_str(request.as_str()).map_err(|error| unsendable(error.to_string()))?;
    let payload = request.payload.map_or_else(Json::null, |payload| Json::from(payload.get()));
    let message = Outgoing { kind: Text::from(request.kind), payload, timeout: within };
    match request.component {
        Some(component) => {
            let component: ComponentId = component.parse().map_err(|bad| unsendable(format!("{bad}")))?;
            coordinator.send(&component, message).await.map_err(|error| failure(&error))
        }
        None => {
            let said = coordinator.broadcast(message).await;
            let entry = |(component, reply): (ComponentId, Result<Json, MessageError>)| {
                let name = serde_json::Value::from(component.as_str());
                match reply {
                    Ok(payload) => format!("{{\"componentId\":{name},\"payload\":{}}}", payload.as_str()),
                    Err(error) => {
                        let failure = failure(&error);
                        let error =
                            serde_json::json!({ "code": &*failure.code, "message": &*failure.message });
                        format!("{{\"componentId\":{name},\"error\":{error}}}")
                    }
                }
            };
            let responses: Vec<String> = said.into_iter().map(entry).collect();
            Ok(Json::from(format!("{{\"responses\":[{}]}}", responses.join(","))))
        }
    }
}

fn failure(error: &MessageError) -> Failure {
    let code = match error {
        MessageError::ComponentUnknown { .. } => "COMPONENT_UNKNOWN",
        MessageError::ComponentDisconnected { .. } | MessageError::ConnectionBroke { .. } => {
            "COMPONENT_DISCONNECTED"
        }
        MessageError::ComponentTimeout { .. } => "COMPONENT_TIMEOUT",
        MessageError::QueueFull { .. } => "QUEUE_FULL",
        MessageError::Remote(remote) => &remote.code,
        MessageError::MessageUnknown { .. } => "MESSAGE_UNKNOWN",
    };
    Failure::new(code, error.to_string())
}

impl Actor for WorkflowManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.add_stream(following(self.state.effects()));
    }
}

impl StreamHandler<Heard<Effects>> for WorkflowManager {
    fn handle(&mut self, heard: Heard<Effects>, ctx: &mut Self::Context) {
        if !self.leads {
            return;
        }
        match heard {
            Heard::Next(effects) => self.take(&effects),
            Heard::Missed => {
                tracing::warn!("effects were missed: reading what is outstanding");
                self.missed = true;
            }
        }
        self.work(ctx);
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The state is gone: the node shuts down, and the orchestrator stops its actors.
    }
}

impl Handler<Leads> for WorkflowManager {
    type Result = ();

    fn handle(&mut self, Leads(leadership): Leads, ctx: &mut Self::Context) {
        let began = leadership.is_leader && !self.leads;
        self.leads = leadership.is_leader;
        if began {
            self.missed = true;
            self.work(ctx);
        } else if !self.leads {
            self.evaluations.waiting.clear();
            self.messages.waiting.clear();
            self.known.clear();
        }
    }
}

impl Handler<Ping> for WorkflowManager {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Stop> for WorkflowManager {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
