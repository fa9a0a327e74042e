//! Results that come over a session: several are under way at once, each is answered accepted, refused or retry.
//! Knows nothing of frames; beyond the bound the component is not read.

use std::{sync::Arc, time::Duration};

use orc_client::wire::{
    codes,
    session::{Accepted, Ack, Complete, Fail, Nack, NodeMessage, Refused, RetryResult, Settled},
};
use orc_domain::{Command, MessageCommand, MessageId, Outcome, Rejection, TaskId, Token, Unavailable};
use tokio::sync::{Semaphore, mpsc};

use super::{Gateway, attempts::failure, json::nests_too_deep, problem::Refusal, tasks_create::PAYLOAD_MAX};

/// Results of one session under way at once.
const UNDER_WAY_MAX: usize = 256;

/// Where the results of one session go.
pub struct Results {
    gateway: Arc<Gateway>,
    answers: mpsc::Sender<NodeMessage>,
    places: Arc<Semaphore>,
}

/// The attempt that a result is about, in the component's own words.
struct Named {
    task_id: String,
    token: u64,
}

impl Results {
    /// Answers go to `answers`.
    pub fn new(gateway: Arc<Gateway>, answers: mpsc::Sender<NodeMessage>) -> Results {
        Results { gateway, answers, places: Arc::new(Semaphore::new(UNDER_WAY_MAX)) }
    }

    /// Takes a success; one that the state cannot keep is a failure.
    pub async fn complete(&self, complete: Complete) {
        let Complete { task_id, token, output } = complete;
        let output = output.get();
        let misfit = match output {
            text if text.len() > PAYLOAD_MAX => {
                Some(format!("the result is longer than {PAYLOAD_MAX} bytes"))
            }
            text if nests_too_deep(text.as_bytes()) => Some("the result nests too deep".to_owned()),
            _ => None,
        };
        let output = self.gateway.secrets.redact_json(output);
        self.propose(Named { task_id, token }, |task| match misfit {
            None => Command::CompleteTask { task, token: Token(token), output },
            Some(message) => Command::FailTask {
                task,
                token: Token(token),
                failure: failure(codes::INVALID_OUTPUT, &message),
                retryable: false,
                retry_after: None,
            },
        })
        .await;
    }

    /// Takes a failure.
    pub async fn fail(&self, fail: Fail) {
        let Fail { task_id, token, error, retry_after } = fail;
        self.propose(Named { task_id, token }, |task| Command::FailTask {
            task,
            token: Token(token),
            failure: failure(&error.code, &self.gateway.secrets.redact(&error.message)),
            retryable: error.retryable.unwrap_or(true),
            retry_after: retry_after.map(Duration::from_millis),
        })
        .await;
    }

    /// Takes the acknowledgement of a durable message.
    pub async fn acknowledge(&self, ack: Ack) {
        let Ack { message_id, token } = ack;
        let command = |message| MessageCommand::Acknowledge { message, token: Token(token) };
        self.settle(Settled { message_id, token, stale: false }, command).await;
    }

    /// Takes a durable message back.
    pub async fn give_back(&self, nack: Nack) {
        let Nack { message_id, token, error, retry_after } = nack;
        let why = failure(&error.code, &self.gateway.secrets.redact(&error.message));
        let retry_after = retry_after.map(Duration::from_millis);
        let command =
            |message| MessageCommand::Return { message, token: Token(token), failure: why, retry_after };
        self.settle(Settled { message_id, token, stale: false }, command).await;
    }

    /// Proposes until somebody decides it or the session is over: the component need not ask again.
    async fn settle(&self, named: Settled, command: impl FnOnce(MessageId) -> MessageCommand) {
        let stale = Settled { stale: true, ..named.clone() };
        let Ok(message) = named.message_id.parse() else { return self.tell(stale.into()).await };
        let Ok(place) = self.places.clone().acquire_owned().await else { return };
        let (gateway, answers, command) = (self.gateway.clone(), self.answers.clone(), command(message));
        tokio::spawn(async move {
            let Ok(proposer) = gateway.hands().map(|hands| hands.proposer.clone()) else { return };
            let outcome = proposer.decide(Command::Message(command), || !answers.is_closed()).await;
            let Some(outcome) = outcome else { return };
            // One that is in no queue any more was acknowledged, perhaps by this call, or given up.
            let is_stale = matches!(outcome.result, Err(Rejection::StaleDelivery { .. }));
            // The session may be over: what is not acknowledged comes again.
            let _ = answers.send(if is_stale { stale } else { named }.into()).await;
            drop(place);
        });
    }

    /// Waits for a place, proposes, and lets the answer come when it comes.
    async fn propose(&self, named: Named, command: impl FnOnce(TaskId) -> Command) {
        let task = match named.task_id.parse::<TaskId>() {
            Ok(task) => task,
            Err(error) => return self.tell(refused(named, codes::NOT_FOUND, &error.to_string())).await,
        };
        let Ok(place) = self.places.clone().acquire_owned().await else { return };
        let (gateway, answers, command) = (self.gateway.clone(), self.answers.clone(), command(task));
        tokio::spawn(async move {
            let answer = gateway.result(named, command).await;
            // The session may be over: the component sends the result again on the next one.
            let _ = answers.send(answer).await;
            drop(place);
        });
    }

    async fn tell(&self, answer: NodeMessage) {
        // The session may be over.
        let _ = self.answers.send(answer).await;
    }
}

impl Gateway {
    async fn result(&self, named: Named, command: Command) -> NodeMessage {
        let proposer = match self.hands() {
            Ok(hands) => &hands.proposer,
            Err(_) => return retry(named, &Unavailable::ShuttingDown),
        };
        let started = std::time::Instant::now();
        let outcome = proposer.propose(command).await;
        self.metrics.proposal(started.elapsed(), outcome.is_ok());
        match outcome {
            Ok(Outcome { result: Ok(_), .. }) => {
                NodeMessage::Accepted(Accepted { task_id: named.task_id, token: named.token })
            }
            Ok(Outcome { result: Err(rejection), .. }) => {
                let refusal = Refusal::from(rejection);
                refused(named, refusal.code(), refusal.detail())
            }
            Err(unavailable) => retry(named, &unavailable),
        }
    }
}

fn refused(named: Named, code: &str, detail: &str) -> NodeMessage {
    let Named { task_id, token } = named;
    NodeMessage::Refused(Refused { task_id, token, code: code.to_owned(), detail: detail.to_owned() })
}

fn retry(named: Named, unavailable: &Unavailable) -> NodeMessage {
    let pause = match unavailable {
        Unavailable::Overloaded { retry_after } => *retry_after,
        Unavailable::NoLeader | Unavailable::Unknown | Unavailable::ShuttingDown => {
            Duration::from_millis(200)
        }
    };
    let retry_after = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    NodeMessage::Retry(RetryResult { task_id: named.task_id, token: named.token, retry_after })
}
