//! Simulated clients: of keys, of runs, of streams. Each value is written once, each start has a key and several callers.
//! Knows nothing of faults.

use std::{io::Write as _, rc::Rc, time::Duration};

use anyhow::Result;
use fastrand::Rng;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use orc_check::{
    history::{Answer, Call, Outcome, Started},
    watch::{Line, Open},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    http::{Ask, Failed, Http, Reply},
    scene::{Phase, Scene},
    workflows,
};

const KEYS: u64 = 6;
/// Calls of one start of which nobody knows what became.
const TRIES_MAX: u32 = 4;
const SILENCE_MAX: Duration = Duration::from_secs(5);
const AFTER_TROUBLE: Duration = Duration::from_millis(100);
const PATTERN: &str = "hot.*";

/// What became of a call; `answer` reads the body of a success. That there is nothing is an answer, too, to one who reads.
fn outcome(reply: Result<Reply, Failed>, reads: bool, answer: impl Fn(Answer, &Value) -> Answer) -> Outcome {
    let reply = match reply {
        Ok(reply) => reply,
        Err(Failed::NotSent) => return Outcome::Rejected { conflict: false },
        Err(Failed::Unknown) => return Outcome::Unknown,
    };
    let Reply { status, rev, body } = reply;
    match (status.is_success(), rev) {
        (true, Some(rev)) => Outcome::Ok(answer(Answer { rev, ..Answer::default() }, &body)),
        (false, Some(rev)) if reads && status == StatusCode::NOT_FOUND => {
            Outcome::Ok(Answer { rev, ..Answer::default() })
        }
        (true, None) => Outcome::Unknown,
        (false, _) if body["executed"] == false => {
            let conflicts = [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED];
            Outcome::Rejected { conflict: conflicts.contains(&status) }
        }
        (false, _) => Outcome::Unknown,
    }
}

/// Reads, writes, compares and deletes a few keys until the faults are over; without a home it roams.
pub async fn keys(scene: Rc<Scene>, name: String, home: Option<u64>, mut rng: Rng) -> Result<()> {
    let (mut http, mut op) = (Http::default(), 0);
    while scene.phase() <= Phase::Calm {
        op += 1;
        let home = home.filter(|home| scene.members().contains(home));
        let node = home.unwrap_or_else(|| scene.any(&mut rng));
        let call = any_call(&mut rng, format!("{name}-{op}"));
        let key = format!("{name}-{op}");
        let done = ask_key(&scene, &mut http, (&name, op), (node, call, &key)).await?;
        let pause = Duration::from_millis(rng.u64(5..60));
        sleep(if matches!(done, Outcome::Ok(_)) { pause } else { AFTER_TROUBLE }).await;
    }
    Ok(())
}

fn any_call(rng: &mut Rng, value: String) -> Call {
    let (key, value) = (format!("hot.k{}", rng.u64(..KEYS)), json!(value));
    match rng.u32(..100) {
        0..40 => Call::Read { key },
        40..75 => Call::Write { key, value },
        75..95 => Call::CompareAndSet { key, version: rng.u64(..4), value },
        _ => Call::Delete { key },
    }
}

/// A call of a key with its lines in the history.
pub async fn ask_key(
    scene: &Scene,
    http: &mut Http,
    me: (&str, u64),
    (node, mut call, idempotency): (u64, Call, &str),
) -> Result<Outcome> {
    let path = format!("/state/keys/{}", call.key().unwrap_or_default());
    let address = Scene::http(node);
    if let Call::CompareAndSet { version, .. } = &mut call
        && *version > 0
        && let Ok(reply) =
            http.ask(&address, Ask::new(Method::GET, &format!("{path}?consistency=stale"))).await
        && let Some(current) = reply.body["version"].as_u64()
    {
        *version = current;
    }
    let ask = match &call {
        Call::Read { .. } | Call::Start { .. } | Call::Report { .. } | Call::Send { .. } => {
            Ask::new(Method::GET, &path)
        }
        Call::Delete { .. } => Ask::new(Method::DELETE, &path),
        Call::Write { value, .. } => Ask::new(Method::PUT, &path).json(json!({"value": value})),
        Call::CompareAndSet { value, version, .. } => {
            let ask = Ask::new(Method::PUT, &path).json(json!({"value": value}));
            match version {
                0 => ask.header("if-none-match", "*"),
                version => ask.header("if-match", format!("\"{version}\"")),
            }
        }
    };
    let (reads, ask) = (call.is_read(), ask.header("idempotency-key", idempotency));
    let answer = move |answer: Answer, body: &Value| {
        let value = body.get("value").filter(|_| reads).cloned();
        Answer { version: body["version"].as_u64(), value, ..answer }
    };
    let asked = async { outcome(http.ask(&address, ask).await, reads, answer) };
    scene.recorded(me, (&Scene::node(node), call), asked).await
}

/// Starts runs until the faults are over.
pub async fn starts(scene: Rc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let mut callers: Vec<Http> = (0..3).map(|_| Http::default()).collect();
    let (mut number, mut again) = (0u64, None);
    while scene.phase() <= Phase::Calm {
        number += 1;
        let fresh = || (format!("{name}-{number}"), workflows::any(&mut rng.fork()), 1);
        let (key, definition, tries) = again.take().unwrap_or_else(fresh);
        let asks = callers.iter_mut().take(rng.usize(1..=3)).enumerate().map(|(caller, http)| {
            let (scene, node) = (&scene, scene.any(&mut rng));
            let (process, key, definition) = (format!("{name}.{caller}"), &key, &definition);
            async move {
                let body = json!({"definition": definition, "labels": {"key": key}});
                let ask = Ask::new(Method::POST, "/runs").header("idempotency-key", key).json(body);
                let answer = |answer: Answer, body: &Value| Answer {
                    id: body["runId"].as_str().map(str::to_owned),
                    ..answer
                };
                let call = Call::Start { what: Started::Run, idempotency_key: key.to_owned() };
                let asked = async { outcome(http.ask(&Scene::http(node), ask).await, false, answer) };
                scene.recorded((&process, number), (&Scene::node(node), call), asked).await
            }
        });
        let done = futures::future::try_join_all(asks.collect::<Vec<_>>()).await?;
        let nobody_knows = done.iter().all(|outcome| *outcome == Outcome::Unknown);
        again = (nobody_knows && tries < TRIES_MAX).then_some((key, definition, tries + 1));
        sleep(Duration::from_millis(rng.u64(50..400))).await;
    }
    Ok(())
}

/// Follows the changes of keys over one connection after another, each to another node, until all nodes are there.
pub async fn watch(scene: Rc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let (mut record, mut last) = (scene.file(&format!("watch-{name}.jsonl"))?, 0);
    let path = format!("/state/watch?pattern={PATTERN}");
    while scene.phase() <= Phase::Ending {
        let node = scene.any(&mut rng);
        let ask = Ask::new(Method::GET, &path).header("last-event-id", last.to_string());
        // A stream has its connection for itself.
        let sent = Http::default().send(&Scene::http(node), ask).await;
        if let Ok(response) = sent
            && response.status().is_success()
        {
            let (since, key) = (Some(last), Some(PATTERN.to_owned()));
            let types = vec!["state.changed".to_owned()];
            note(&mut record, &Line::Open(Open { node: Scene::node(node), since, rev: None, types, key }))?;
            // One in four reads so slowly that it is cut, and has to go on elsewhere.
            let pause = Duration::from_millis(if rng.u32(..4) == 0 { 400 } else { 0 });
            let lasts = if pause.is_zero() { rng.u64(500..4000) } else { 15_000 };
            let until = Instant::now() + Duration::from_millis(lasts);
            let (mut body, mut text) = (response.into_body(), String::new());
            while Instant::now() < until {
                let Ok(Some(Ok(frame))) = timeout(SILENCE_MAX, body.frame()).await else { break };
                let Ok(piece) = frame.into_data() else { continue };
                sleep(pause).await;
                text.push_str(&String::from_utf8_lossy(&piece));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let line = line_of(event)?;
                    text = rest.to_owned();
                    let Some(line) = line else { continue };
                    last = match &line {
                        Line::Event(event) => event.seq,
                        Line::Bookmark(seq) => last.max(*seq),
                        Line::Reset(first_seq) => first_seq.saturating_sub(1),
                        Line::Open(_) => last,
                    };
                    note(&mut record, &line)?;
                }
            }
        }
        sleep(AFTER_TROUBLE).await;
    }
    Ok(())
}

fn note(record: &mut std::fs::File, line: &Line) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(record.write_all(&text)?)
}

/// What an event of the stream says, if anything.
fn line_of(event: &str) -> Result<Option<Line>> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    Ok(match (field("event: "), field("data: "), field("id: ")) {
        (Some("reset"), Some(data), _) => {
            let reset: Value = serde_json::from_str(data)?;
            Some(Line::Reset(reset["firstSeq"].as_u64().unwrap_or(0)))
        }
        (_, Some(data), _) => Some(Line::Event(serde_json::from_str(data)?)),
        (_, None, Some(id)) => Some(Line::Bookmark(id.parse()?)),
        (_, None, None) => None,
    })
}
