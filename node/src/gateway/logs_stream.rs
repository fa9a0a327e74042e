//! `GET /runs/{id}/logs/stream` and `GET /tasks/{id}/logs/stream`: what is logged on all nodes, as it comes, to the end of
//! the run or task. A reader that does not keep up is cut; it resumes by the last id it saw, on any node.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use orc_client::wire::{LogsQuery, headers};
use orc_domain::NodeId;
use tokio::time::{Instant, interval_at, sleep, timeout_at};

use super::{
    Gateway,
    call::Call,
    logs::{Asked, Log},
    outlet::{self, Outlet},
    problem::Refusal,
    reply::Answered,
    sse,
};
use crate::logs::{Answer, Gathered, Places, Request, Wanted, ask, gather, merge_nodes};

const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a node waits for a line before it is asked anew.
const WAIT: Duration = Duration::from_secs(5);
/// Lines that were written at the same time on several nodes come within this time.
const TOGETHER: Duration = Duration::from_millis(30);
/// A node that did not answer is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Lines of a page.
const PAGE: usize = 500;

/// `GET /runs/{id}/logs/stream`
pub async fn of_run(gateway: Arc<Gateway>, call: Call) -> Answered {
    refuse_pages(&call)?;
    let asked = gateway.log_of_run(&call).await?;
    follow(gateway, &call, asked)
}

/// `GET /tasks/{id}/logs/stream`
pub async fn of_task(gateway: Arc<Gateway>, call: Call) -> Answered {
    refuse_pages(&call)?;
    let asked = gateway.log_of_task(&call).await?;
    follow(gateway, &call, asked)
}

fn refuse_pages(call: &Call) -> Result<(), Refusal> {
    let query: LogsQuery = call.query()?;
    if query.failed.is_some() || query.limit.is_some() {
        let refusal = Refusal::bad_request("in the query: a stream has neither `failed` nor `limit`");
        return Err(refusal.hint("ask for a page: GET …/logs"));
    }
    Ok(())
}

fn follow(gateway: Arc<Gateway>, call: &Call, (log, mut wanted, mut places): Asked) -> Answered {
    // What the client saw last wins over what it asked for first.
    if let Some(last) = call.text_header(headers::LAST_EVENT_ID)?.filter(|last| !last.is_empty()) {
        let wrong = |()| Refusal::bad_request("Last-Event-ID must be the id of an event of this stream");
        places = last.parse().map_err(wrong)?;
        wanted.tail = false;
    }
    if !wanted.tail {
        wanted.limit = PAGE;
    }
    let (pieces, mut body) = outlet::stream(gateway.streams.clone());
    let guard = gateway.metrics.sse_client();
    let follower = Follower {
        gateway,
        log,
        wanted,
        places,
        pieces,
        missing: BTreeSet::new(),
        asked: BTreeSet::new(),
        answers: FuturesUnordered::new(),
    };
    tokio::spawn(async move {
        let _guard = guard;
        follower.run().await;
    });
    Ok(sse::response(move |context| body.poll_next(context)))
}

/// The log's end was told, the reader is gone or was cut.
struct Over;

struct Follower {
    gateway: Arc<Gateway>,
    log: Log,
    wanted: Wanted,
    /// Everything before these was sent.
    places: Places,
    pieces: Outlet,
    /// Nodes that did not answer when they were asked last.
    missing: BTreeSet<NodeId>,
    /// Nodes that are asked and have not answered yet.
    asked: BTreeSet<NodeId>,
    answers: FuturesUnordered<BoxFuture<'static, (NodeId, Option<Answer>)>>,
}

impl Follower {
    async fn run(mut self) {
        let (draining, gone) = (self.gateway.draining(), self.pieces.gone());
        tokio::select! {
            Over = self.follow() => {}
            () = draining => {}
            () = gone => {}
        }
    }

    async fn follow(&mut self) -> Over {
        if let Err(over) = self.send(sse::RETRY.to_owned()).await {
            return over;
        }
        loop {
            // Listened for before the look, so that no end falls between the two.
            let end = self.gateway.waiters.listen(self.log.subject).heard();
            let Ok(ended) = self.gateway.log_has_ended(&self.log).await else { return Over };
            if let Err(over) = self.catch_up(ended).await {
                return over;
            }
            let mut end = std::pin::pin!(end);
            let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
            loop {
                self.ask_nodes();
                let told = tokio::select! {
                    () = &mut end => break,
                    Some(first) = self.answers.next() => self.tell(first).await,
                    _ = heartbeat.tick() => self.send(": heartbeat\n\n".to_owned()).await,
                };
                if let Err(over) = told {
                    return over;
                }
            }
        }
    }

    /// Sends what there is, up to the end of the log if it has one.
    async fn catch_up(&mut self, ended: bool) -> Result<(), Over> {
        // Those under way would bring lines that are read here.
        (self.answers, self.asked) = (FuturesUnordered::new(), BTreeSet::new());
        loop {
            let (gateway, owners) = (&self.gateway, &self.log.owners);
            let gathered =
                gather(&gateway.cluster, &gateway.logs, owners, &self.wanted, &mut self.places).await;
            (self.wanted.tail, self.wanted.limit) = (false, PAGE);
            let (more, missing) = (gathered.more, gathered.missing.clone());
            self.show(gathered, missing, ended).await?;
            if !more {
                return if ended { Err(Over) } else { Ok(()) };
            }
        }
    }

    /// Asks the nodes that are not asked already to answer with the next lines.
    fn ask_nodes(&mut self) {
        for node in self.gateway.cluster.members() {
            if !self.asked.insert(node) {
                continue;
            }
            let after = self.places.on(node, &self.log.owners);
            let request = Request { after, wanted: self.wanted.clone(), wait: WAIT };
            let (cluster, logs) = (self.gateway.cluster.clone(), self.gateway.logs.clone());
            let pause = if self.missing.contains(&node) { ASK_AGAIN } else { Duration::ZERO };
            let answer = async move {
                sleep(pause).await;
                ask(cluster, logs, node, request).await
            };
            self.answers.push(answer.boxed());
        }
    }

    /// Sends the lines of an answer, and of those that come with it.
    async fn tell(&mut self, first: (NodeId, Option<Answer>)) -> Result<(), Over> {
        let (mut answers, until) = (vec![first], Instant::now() + TOGETHER);
        while let Ok(Some(answer)) = timeout_at(until, self.answers.next()).await {
            answers.push(answer);
        }
        let mut missing = self.missing.clone();
        for (node, _) in &answers {
            self.asked.remove(node);
            missing.remove(node);
        }
        let gathered = merge_nodes(answers, &self.wanted, &mut self.places);
        missing.extend(&gathered.missing);
        self.show(gathered, missing, false).await
    }

    /// Sends a page, if it says anything.
    async fn show(
        &mut self,
        mut gathered: Gathered,
        missing: BTreeSet<NodeId>,
        ended: bool,
    ) -> Result<(), Over> {
        let news = !gathered.lines.is_empty() || missing != self.missing || (ended && !gathered.more);
        self.missing.clone_from(&missing);
        if !news {
            return Ok(());
        }
        gathered.missing = missing;
        let page = self.log.show(&gathered, &self.places, ended);
        self.send(sse::log_page(&page)).await
    }

    async fn send(&mut self, text: String) -> Result<(), Over> {
        loop {
            match self.pieces.room(text.len(), 1, Instant::now() + HEARTBEAT).await {
                Ok(Some(room)) => return self.pieces.send(room, text).map_err(|_| Over),
                Ok(None) => {}
                Err(outlet::Over::Slow) => {
                    tracing::warn!("a reader of logs is too slow: it is cut");
                    return Err(Over);
                }
                Err(outlet::Over::Gone) => return Err(Over),
            }
        }
    }
}
