//! Clients that follow the changes of keys over one connection after another, each to another node, and record what comes, until
//! the last change of all. Knows nothing of whether it is right.

use std::{fs::File, io::Write as _, sync::Arc};

use anyhow::{Result, ensure};
use fastrand::Rng;
use futures::StreamExt;
use orc_check::watch::{Line, Open};
use reqwest::Response;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::scene::Scene;

const PATTERN: &str = "hot.*";
/// What is written when nothing else is any more.
pub const LAST_KEY: &str = "hot.last";
/// A watcher has seen it by then, counted from the end of all work.
const LAST_WITHIN: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// A watch and where it is recorded.
pub struct Watcher {
    scene: Arc<Scene>,
    record: File,
    http: reqwest::Client,
    rng: Rng,
    /// Which of the nodes it asks in the end.
    home: usize,
    /// The last event that came.
    last: u64,
    /// The last change of all has come.
    has_ended: bool,
}

impl Watcher {
    /// One that begins with the first event there is.
    pub fn new(scene: Arc<Scene>, home: usize, rng: Rng) -> Result<Self> {
        let record = scene.file(&format!("watch-{home}.jsonl"))?;
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(1)).build()?;
        Ok(Watcher { scene, record, http, rng, home, last: 0, has_ended: false })
    }

    /// Follows until the last change of all has come; in the end from one node each, so that none is silent unseen.
    pub async fn work(mut self) -> Result<()> {
        let mut deadline = None;
        while !self.has_ended {
            let (mut place, in_the_end) = (self.rng.usize(..self.scene.urls.len()), self.scene.is_closed());
            if in_the_end {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + LAST_WITHIN);
                let late = Instant::now() > deadline;
                ensure!(!late, "watcher {} is at event {} and did not see the last", self.home, self.last);
                place = self.scene.last_place(self.home);
            }
            let url = format!("{}/api/v1/state/watch?pattern={PATTERN}", self.scene.urls[place]);
            let request = self.http.get(url).header("last-event-id", self.last);
            if let Ok(Ok(response)) = timeout(SILENCE_MAX, request.send()).await
                && response.status().is_success()
            {
                let (since, key) = (Some(self.last), Some(PATTERN.to_owned()));
                let types = vec!["state.changed".to_owned()];
                self.note(&Line::Open(Open { node: Scene::node(place), since, rev: None, types, key }))?;
                let until = Instant::now() + Duration::from_millis(self.rng.u64(500..4000));
                self.read(response, (until, in_the_end)).await?;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Reads a connection until it breaks, falls silent, or for long enough; one that was opened before the end, until then.
    async fn read(&mut self, response: Response, (until, in_the_end): (Instant, bool)) -> Result<()> {
        let (mut body, mut text) = (response.bytes_stream(), String::new());
        let scene = self.scene.clone();
        while Instant::now() < until && !self.has_ended {
            let came = tokio::select! {
                came = timeout(SILENCE_MAX, body.next()) => came,
                () = scene.closed(), if !in_the_end => return Ok(()),
            };
            let Ok(Some(Ok(piece))) = came else { return Ok(()) };
            text.push_str(&String::from_utf8_lossy(&piece));
            while let Some((event, rest)) = text.split_once("\n\n") {
                let line = line_of(event);
                text = rest.to_owned();
                if let Some(line) = line? {
                    self.note(&line)?;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, line: &Line) -> Result<()> {
        match line {
            Line::Event(event) => {
                self.last = event.seq;
                self.has_ended |= event.data.get().contains(LAST_KEY);
            }
            Line::Bookmark(seq) => self.last = self.last.max(*seq),
            Line::Reset(first_seq) => self.last = first_seq.saturating_sub(1),
            Line::Open(_) => {}
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        Ok(self.record.write_all(&text)?)
    }
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
