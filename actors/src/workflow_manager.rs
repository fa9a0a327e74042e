//! Evaluates what runs await, on the leader: expressions in, the command that records them out.
//! Knows nothing of what an expression means for a run; lost or lagging, it reads what is outstanding again.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use actix::prelude::*;
use orc_domain::{Command, Effect, EvalPoint, Evaluation, Failure, RunId};
use tokio::sync::Semaphore;

use crate::{
    Options,
    expression::evaluate,
    following::{Heard, following},
    gauges::{Gauges, count},
    proposer::ProposerHandle,
    seam::{Effects, ReplicatedState},
    supervision::{Leads, Ping, Stop},
};

/// Evaluations under way at once, most of them waiting for the log.
const UNDER_WAY_MAX: usize = 256;
/// Evaluations that wait; beyond it they are read from the state when there is room.
const WAITING_MAX: usize = 10_000;

type Awaited = (RunId, EvalPoint);

/// Evaluates expressions on the leader.
pub struct WorkflowManager {
    state: Arc<dyn ReplicatedState>,
    proposer: ProposerHandle,
    options: Options,
    gauges: Arc<Gauges>,
    processors: Arc<Semaphore>,
    leads: bool,
    waiting: VecDeque<Awaited>,
    known: BTreeSet<Awaited>,
    under_way: usize,
    /// Something was missed: the state has to be read when there is room.
    missed: bool,
    reading: bool,
}

impl WorkflowManager {
    pub(crate) fn new(
        state: Arc<dyn ReplicatedState>,
        proposer: ProposerHandle,
        options: &Options,
        gauges: Arc<Gauges>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        WorkflowManager {
            state,
            proposer,
            options: options.clone(),
            gauges,
            processors: Arc::new(Semaphore::new(processors)),
            leads: false,
            waiting: VecDeque::new(),
            known: BTreeSet::new(),
            under_way: 0,
            missed: false,
            reading: false,
        }
    }

    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Evaluate { run, point } = effect else { continue };
            if self.waiting.len() >= WAITING_MAX {
                self.missed = true;
            } else if self.known.insert((*run, *point)) {
                self.waiting.push_back((*run, *point));
            }
        }
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        while self.under_way < UNDER_WAY_MAX
            && let Some(awaited) = self.waiting.pop_front()
        {
            self.start(awaited, ctx);
        }
        if self.missed && self.waiting.is_empty() && !self.reading && self.leads {
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
        let (id, point) = awaited;
        let run = self.state.run(&id);
        let definition = run.as_ref().and_then(|run| self.state.definition(&run.definition));
        let (Some(run), Some(definition)) = (run, definition) else {
            // It has ended since.
            self.known.remove(&awaited);
            return;
        };
        self.under_way += 1;
        let (processors, runtime) = (self.processors.clone(), self.options.runtime.clone());
        let (state, proposer, gauges) = (self.state.clone(), self.proposer.clone(), self.gauges.clone());
        let evaluated = async move {
            let place = processors.acquire_owned().await;
            let found = runtime.spawn_blocking(move || {
                let _place = place;
                evaluate(&run, &definition, point)
            });
            // Only a fault in the evaluator ends here; the run must not wait for it for ever.
            let fault = |_| Evaluation::Failed(Failure::new("EXPRESSION_FAILED", "the evaluator failed"));
            let evaluation = found.await.unwrap_or_else(fault);
            count(&gauges.evaluations);
            tracing::debug!(run = %id, ?point, failed = matches!(evaluation, Evaluation::Failed(_)), "evaluated");
            let leadership = state.leadership();
            let record = Command::RecordEvaluation { run: id, point, evaluation };
            proposer.decide(record, || leadership.borrow().is_leader).await
        };
        ctx.spawn(evaluated.into_actor(self).map(move |_, manager, ctx| {
            manager.under_way -= 1;
            manager.known.remove(&awaited);
            manager.work(ctx);
        }));
    }
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
            Heard::Missed(missed) => {
                tracing::warn!(missed, "effects were missed: reading what is outstanding");
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
            self.waiting.clear();
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
