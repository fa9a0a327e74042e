//! Components that take attempts over plain HTTP and are a trouble to the cluster: some of their results come after the
//! attempt's time, some twice, some with a token that is none, some never, and now and then a component is gone with all that
//! it works on. Everything that they get and tell is recorded. Knows nothing of what is right.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use fastrand::Rng;
use futures::future::try_join;
use orc_check::{
    history::{Call, Outcome},
    receipts::Got,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    asker::{Asker, outcome},
    scene::Scene,
};

/// What they offer.
pub const ACTION: &str = "judged";
/// How long an attempt may take.
pub const ATTEMPT_MS: u64 = 2_000;

const SLOTS: u32 = 16;
const AFTER_TROUBLE: Duration = Duration::from_millis(100);
/// A result that nobody could take for so long is given up: its attempt times out.
const PATIENCE: Duration = Duration::from_secs(15);

/// A component with a name of its own.
pub struct Component {
    scene: Arc<Scene>,
    name: String,
    asker: Asker,
    rng: Rng,
    /// Attempts that it was given.
    given: u64,
}

/// What came of a poll.
enum Polled {
    Orders(Vec<(String, u64)>),
    Nobody,
    Failed,
}

impl Component {
    /// One that is not known to the cluster yet.
    pub fn new(scene: Arc<Scene>, name: String, rng: Rng) -> Result<Self> {
        Ok(Component { scene, name, asker: Asker::new()?, rng, given: 0 })
    }

    /// Takes attempts until the scene is closed, and tells of those that it has then.
    pub async fn work(mut self) -> Result<()> {
        let (mut registered, mut place) = (false, 0);
        let mut attempts: JoinSet<Result<()>> = JoinSet::new();
        while !self.scene.is_closed() {
            self.scene.rested().await;
            if !registered {
                registered = self.register(place).await;
            }
            let polled = if registered { self.poll(place).await } else { Polled::Failed };
            match polled {
                Polled::Orders(orders) => {
                    for order in orders {
                        attempts.spawn(self.take(order)?.work());
                    }
                }
                Polled::Nobody => registered = false,
                Polled::Failed => {
                    place = self.rng.usize(..self.scene.urls.len());
                    sleep(AFTER_TROUBLE).await;
                }
            }
            while let Some(ended) = attempts.try_join_next() {
                ended.context("an attempt")??;
            }
            if self.rng.u32(..100) == 0 && !self.scene.is_over() {
                self.go_away(place).await;
                registered = false;
            }
        }
        while let Some(ended) = attempts.join_next().await {
            ended.context("an attempt")??;
        }
        Ok(())
    }

    async fn register(&self, place: usize) -> bool {
        let request = self.asker.request(Method::PUT, &self.scene.urls[place], &self.path());
        let body = json!({"type": "worker", "name": self.name, "capabilities": [ACTION], "slots": SLOTS});
        request.json(&body).send().await.is_ok_and(|response| response.status().is_success())
    }

    /// The cluster loses all of its attempts; it does not, and tells of them.
    async fn go_away(&self, place: usize) {
        let request = self.asker.request(Method::DELETE, &self.scene.urls[place], &self.path());
        // Whether it was heard shows in what follows.
        let _ = request.send().await;
    }

    async fn poll(&self, place: usize) -> Polled {
        let path = format!("{}/poll", self.path());
        let request = self.asker.request(Method::POST, &self.scene.urls[place], &path);
        let Ok(response) = request.json(&json!({"wait": 1000})).send().await else { return Polled::Failed };
        match response.status() {
            StatusCode::NOT_FOUND => Polled::Nobody,
            status if status.is_success() => match response.json::<Value>().await {
                Ok(body) => Polled::Orders(orders(&body)),
                Err(_) => Polled::Failed,
            },
            _ => Polled::Failed,
        }
    }

    fn take(&mut self, (task, token): (String, u64)) -> Result<Attempt> {
        self.scene.got(&self.name, Got::Attempt { task: task.clone(), token })?;
        self.given += 1;
        let name = format!("{}-{}", self.name, self.given);
        let (scene, asker, rng) = (self.scene.clone(), self.asker.clone(), self.rng.fork());
        Ok(Attempt { scene, asker, rng, name, task, token })
    }

    fn path(&self) -> String {
        format!("/components/{}", self.name)
    }
}

fn orders(body: &Value) -> Vec<(String, u64)> {
    let orders = body["tasks"].as_array().into_iter().flatten();
    { orders }
        .filter_map(|order| Some((order["taskId"].as_str()?.to_owned(), order["token"].as_u64()?)))
        .collect()
}

/// What becomes of an attempt.
enum Manner {
    Done,
    Fails,
    ToldTwice,
    TooLate,
    WrongToken,
    NeverTold,
}

/// An attempt that a component was given.
struct Attempt {
    scene: Arc<Scene>,
    asker: Asker,
    rng: Rng,
    /// Its own, and the mark of its result.
    name: String,
    task: String,
    token: u64,
}

impl Attempt {
    async fn work(mut self) -> Result<()> {
        let manner = self.manner();
        let takes = match manner {
            Manner::TooLate => self.rng.u64(ATTEMPT_MS + 200..ATTEMPT_MS + 1500),
            _ => self.rng.u64(1..150),
        };
        sleep(Duration::from_millis(takes)).await;
        let (own, token) = (self.name.clone(), self.token);
        match manner {
            Manner::Done | Manner::TooLate => self.tell(&own, "complete", token).await,
            Manner::Fails => self.tell(&own, "fail", token).await,
            Manner::NeverTold => Ok(()),
            Manner::WrongToken => {
                let wrong = [0, token.saturating_sub(1), 1 << 40][self.rng.usize(..3)];
                self.tell(&format!("{own}-wrong"), "complete", wrong).await?;
                self.tell(&own, "complete", token).await
            }
            Manner::ToldTwice => {
                let mut other = self.another();
                let again = format!("{own}-again");
                if self.rng.bool() {
                    let both =
                        try_join(self.tell(&own, "complete", token), other.tell(&again, "complete", token));
                    return both.await.map(drop);
                }
                self.tell(&own, "complete", token).await?;
                other.tell(&again, "complete", token).await
            }
        }
    }

    fn manner(&mut self) -> Manner {
        if self.scene.is_over() {
            return Manner::Done;
        }
        match self.rng.u32(..100) {
            0..5 => Manner::Fails,
            5..17 => Manner::ToldTwice,
            17..24 => Manner::TooLate,
            24..31 => Manner::WrongToken,
            31..34 => Manner::NeverTold,
            _ => Manner::Done,
        }
    }

    fn another(&mut self) -> Attempt {
        let (scene, asker, rng) = (self.scene.clone(), self.asker.clone(), self.rng.fork());
        let name = format!("{}-again", self.name);
        Attempt { scene, asker, rng, name, task: self.task.clone(), token: self.token }
    }

    /// Tells a result until somebody says what became of it; each call is an operation of the history.
    async fn tell(&mut self, mark: &str, how: &str, token: u64) -> Result<()> {
        let body = match how {
            "fail" => json!({"token": token, "error": {"code": "NO_LUCK", "message": mark}}),
            _ => json!({"token": token, "output": mark}),
        };
        let path = format!("/tasks/{}/{how}", self.task);
        let deadline = Instant::now() + PATIENCE;
        for call in 1.. {
            let place = self.rng.usize(..self.scene.urls.len());
            let request = self.asker.request(Method::POST, &self.scene.urls[place], &path);
            let request = request.header("idempotency-key", mark).json(&body);
            let report = Call::Report { task: self.task.clone(), token, mark: mark.to_owned() };
            let asked = outcome(request, false, |answer, _: &Value| answer);
            let told = self.scene.recorded((mark, call), (&Scene::node(place), report), asked).await?;
            let is_said = matches!(told, Outcome::Ok(_) | Outcome::Rejected { conflict: true });
            if is_said || Instant::now() > deadline {
                break;
            }
            sleep(AFTER_TROUBLE).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_those_of_a_poll() {
        let body = json!({"tasks": [{"taskId": "task_1", "token": 7, "action": "judged"}], "durable": []});
        assert_eq!(orders(&body), [("task_1".to_owned(), 7)]);
        assert_eq!(orders(&json!({"tasks": []})), []);
    }
}
