//! Clients that follow the changes of keys over one connection after another, each to another node, and record what comes.
//! Knows nothing of whether it is right.

use std::{fs::File, io::Write as _, sync::Arc};

use anyhow::Result;
use fastrand::Rng;
use futures::StreamExt;
use orc_check::watch::{Line, Open};
use reqwest::Response;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::scene::Scene;

const PATTERN: &str = "hot.*";
const SILENCE_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// A watch and where it is recorded.
pub struct Watcher {
    scene: Arc<Scene>,
    record: File,
    http: reqwest::Client,
    rng: Rng,
    /// The last event that came.
    last: u64,
}

impl Watcher {
    /// One that begins with the first event there is.
    pub fn new(scene: Arc<Scene>, name: &str, rng: Rng) -> Result<Self> {
        let record = scene.file(&format!("watch-{name}.jsonl"))?;
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(1)).build()?;
        Ok(Watcher { scene, record, http, rng, last: 0 })
    }

    /// Follows until the load ends.
    pub async fn work(mut self) -> Result<()> {
        while !self.scene.is_over() {
            let place = self.rng.usize(..self.scene.urls.len());
            let url = format!("{}/api/v1/state/watch?pattern={PATTERN}", self.scene.urls[place]);
            let request = self.http.get(url).header("last-event-id", self.last);
            if let Ok(Ok(response)) = timeout(SILENCE_MAX, request.send()).await
                && response.status().is_success()
            {
                let (since, key) = (Some(self.last), Some(PATTERN.to_owned()));
                let types = vec!["state.changed".to_owned()];
                self.note(&Line::Open(Open { node: Scene::node(place), since, rev: None, types, key }))?;
                let until = Instant::now() + Duration::from_millis(self.rng.u64(500..4000));
                self.read(response, until).await?;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Reads a connection until it breaks, falls silent, or for long enough.
    async fn read(&mut self, response: Response, until: Instant) -> Result<()> {
        let (mut body, mut text) = (response.bytes_stream(), String::new());
        while Instant::now() < until && !self.scene.is_over() {
            let Ok(Some(Ok(piece))) = timeout(SILENCE_MAX, body.next()).await else { return Ok(()) };
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
            Line::Event(event) => self.last = event.seq,
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
