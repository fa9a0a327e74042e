//! The shipped examples, run to their ends by real workers: processes of `orc worker` with programs of their own. What the
//! examples find in the world outside, such as a repository or an agent, stands in a folder here.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    hands::{ended, id_of, start_with},
    hooks::signature,
    node::{Answer, Asked, Node, server, start, until},
};

/// A node and the world around it; all of it ends with this.
struct World {
    folder: TempDir,
    _node: Node,
    ask: Asked,
    workers: Vec<Child>,
}

impl Drop for World {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.kill().ok();
            worker.wait().ok();
        }
    }
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        for part in ["bin", "home", "work"] {
            fs::create_dir(folder.path().join(part)).expect("a folder");
        }
        let mut command = server(1, None);
        command.args(["--bootstrap", "--preset", "testing"]);
        command.env("ORC_SECRET_GITHUB_HOOK", "hooked").env("ORC_SECRET_DEPLOY_TOKEN", "t0p-s3cret");
        let node = start(command).await;
        World { folder, ask: node.ask(), _node: node, workers: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file, which may be run.
    fn program(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("it is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
        path.display().to_string()
    }

    /// A worker process, once it is connected.
    async fn worker(&mut self, name: &str, arguments: &[&str]) {
        let path = std::env::var("PATH").expect("there is one");
        let mut command = Command::new(env!("CARGO_BIN_EXE_orc"));
        command.args(["worker", "--name", name, "--addr", &self.ask.base]).args(arguments);
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env("HOME", self.path("home")).current_dir(self.path("work"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.workers.push(command.spawn().expect("the binary starts"));
        until(|| async {
            let answer = self.ask.read(&format!("/components/{name}")).await;
            (answer.status == 200 && answer.json()["status"] == "connected").then_some(())
        })
        .await;
    }

    /// Keeps an example, some of whose words stand for others here; gives its name.
    async fn apply(&self, file: &str, changes: &[(&str, &str)]) -> String {
        let mut text = fs::read_to_string(example(file)).expect("it is there");
        for (here, there) in changes {
            assert!(text.contains(here), "{here} is in {file}");
            text = text.replace(here, there);
        }
        let request = self.ask.request(reqwest::Method::POST, "/api/v1/workflows");
        let request = request.header("content-type", "application/yaml").body(text);
        let applied = Answer::of(request.send().await.expect("an answer")).await.ok(201);
        applied["name"].as_str().expect("a name").to_owned()
    }
}

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file)
}

fn statuses(run: &Value) -> Vec<(&str, &str)> {
    let steps = run["steps"].as_array().expect("steps").iter();
    steps
        .map(|step| (step["id"].as_str().unwrap_or_default(), step["status"].as_str().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn the_training_pipeline_trains_measures_and_deploys() {
    let mut world = World::new().await;
    let action =
        |name: &str, file: &str| format!("{name}=python3 {}", example("ml-training").join(file).display());
    let actions = [
        action("prepare_data", "prepare.py"),
        action("train_model", "train.py"),
        action("deploy_model", "deploy.py"),
    ];
    let actions: Vec<&str> = actions.iter().flat_map(|action| ["--exec", action]).collect();
    world.worker("trainer", &[&actions[..], &["--allow", ""]].concat()).await;
    let name = world.apply("ml-training.yaml", &[]).await;
    let run = start_with(&world.ask, &json!({ "workflow": name })).await;
    let view = ended(&world.ask, &run).await;
    assert_eq!((&view["status"], &view["conclusion"]), (&json!("completed"), &json!("success")), "{view}");
    let accuracy = view["steps"][1]["output"]["accuracy"].as_f64().expect("a number");
    assert!(accuracy > 0.85 && view["steps"][2]["decision"] == json!(true), "{view}");
}

const REVIEW: &str = r#"#!/bin/sh
test -f README.md || exit 9
echo '{"type":"assistant","message":{"content":[{"type":"text","text":"I read the diff."}]}}'
echo '{"type":"result","is_error":false,"result":"{\"blocking\": 0, \"summary\": \"fine\"}","total_cost_usd":0.01}'
"#;

const DEPLOY: &str = "#!/bin/sh\necho \"deploying with $TOKEN\"\nprintf %s \"$TOKEN\" > ../deployed\n";

/// A repository behind the address of the example; gives the id of its only commit.
fn repository(world: &World) -> String {
    for (name, text) in [
        ("app/README.md", "an app\n"),
        ("app/ci/test.sh", "#!/bin/sh\ntest -f README.md\n"),
        ("app/ci/deploy.sh", DEPLOY),
        ("app/ci/rollback.sh", "#!/bin/sh\nrm ../deployed\n"),
    ] {
        world.program(name, text);
    }
    let app = world.path("app");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.test"]).args(arguments);
        let output =
            command.current_dir(&app).env("HOME", world.path("home")).output().expect("git is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "all of it"]);
    let config =
        format!("[url \"file://{}\"]\n\tinsteadOf = https://git.example.test/acme/app.git\n", app.display());
    fs::write(world.path("home/.gitconfig"), config).expect("it is written");
    git(&["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_pull_request_is_checked_reviewed_approved_and_deployed() {
    let mut world = World::new().await;
    let sha = repository(&world);
    world.program("bin/cargo", "#!/bin/sh\ntest \"$1\" = clippy\n");
    let agent = format!("claude-code={}", world.program("review.sh", REVIEW));
    let workdir = world.path("work/{run}").display().to_string();
    world
        .worker("ci", &["--allow", "run,http", "--agent", &agent, "--workdir", &workdir, "--slots", "4"])
        .await;
    let health = format!("{}/healthz", world.ask.base);
    let name = world.apply("pr-pipeline.yaml", &[("https://staging.example.test/health", &health)]).await;

    let opened =
        json!({"action": "opened", "number": 7, "pull_request": {"title": "A change", "head": {"sha": sha}}});
    let (opened, path) = (opened.to_string(), format!("/hooks/{name}/github"));
    let signed = signature("hooked", &opened);
    let headers = [("x-hub-signature-256", signed.as_str())];
    let hooked = world.ask.call_with(reqwest::Method::POST, &path, &opened, &headers).await.ok(201);
    let run = hooked["runId"].as_str().expect("a run").to_owned();
    let approval = until(|| async {
        let view = world.ask.read(&format!("/runs/{run}")).await.ok(200);
        assert_ne!(view["status"], "failed", "{view}");
        let waiting = world.ask.read("/approvals").await.ok(200)["items"][0].clone();
        waiting.is_object().then_some(waiting)
    })
    .await;
    assert_eq!(approval["request"]["prompt"], "Deploy A change?");
    let approve = format!("/approvals/{}/approve", approval["id"].as_str().expect("an id"));
    world.ask.post(&approve, r#"{"by":"release"}"#).await.ok(200);
    let view = ended(&world.ask, &run).await;
    assert_eq!((&view["status"], &view["conclusion"]), (&json!("completed"), &json!("success")), "{view}");
    assert!(statuses(&view).iter().all(|(_, status)| *status == "completed"), "{view}");
    assert_eq!((&view["group"], &view["startedBy"]), (&json!("pr-7"), &json!("webhook")));

    // The secret reached the script, and nothing else.
    let deployed = world.path(&format!("work/{run}/deployed"));
    assert_eq!(fs::read_to_string(deployed).expect("it was deployed"), "t0p-s3cret");
    let logs = world.ask.read(&format!("/runs/{run}/logs")).await.text;
    assert!(logs.contains("deploying with ***") && logs.contains("I read the diff."), "{logs}");
    for part in ["", "/steps", "/logs"] {
        let text = world.ask.read(&format!("/runs/{run}{part}")).await.text;
        assert!(!text.contains("t0p-s3cret"), "{part}: {text}");
    }
}

const EVALUATE: &str = "#!/usr/bin/env python3\nimport json, sys\nshard = json.load(sys.stdin)['shard']\nprint(json.dumps({'shard': shard, 'right': 90 + len(shard)}))\n";
const AGGREGATE: &str = "#!/usr/bin/env python3\nimport json, sys\nresults = json.load(sys.stdin)['results']\nprint(json.dumps({'accuracy': round(sum(one['right'] for one in results) / 100 / len(results), 4), 'order': [one['shard'] for one in results]}))\n";

#[tokio::test]
async fn a_nightly_evaluation_fans_out_scores_and_publishes() {
    let mut world = World::new().await;
    world.program("bin/python", "#!/bin/sh\nexec python3 \"$@\"\n");
    world.program(
        "project/list_shards.py",
        "import json\nprint('shards=' + json.dumps(['a', 'bb', 'ccc']))\n",
    );
    let evaluate = format!("evaluate_shard={}", world.program("evaluate.py", EVALUATE));
    let aggregate = format!("aggregate_scores={}", world.program("aggregate.py", AGGREGATE));
    let workdir = world.path("project").display().to_string();
    world.worker("scripts", &["--allow", "run,echo", "--workdir", &workdir, "--exec", &aggregate]).await;
    world.worker("gpu", &["--allow", "", "--exec", &evaluate, "--label", "gpu=true", "--slots", "2"]).await;
    world.apply("publish-model.yaml", &[]).await;
    let name = world.apply("nightly-eval.yaml", &[("wait: 10m", "wait: 300ms")]).await;

    let schedules = world.ask.read(&format!("/schedules?workflow={name}")).await.ok(200);
    let schedule = schedules["items"][0]["id"].as_str().expect("an id").to_owned();
    let run = id_of(&world.ask.post(&format!("/schedules/{schedule}/trigger"), "").await.ok(201));
    let view = ended(&world.ask, &run).await;
    assert_eq!((&view["status"], &view["conclusion"]), (&json!("completed"), &json!("success")), "{view}");
    assert!(statuses(&view).iter().all(|(_, status)| *status == "completed"), "{view}");
    assert_eq!((&view["outputs"], &view["startedBy"]), (&json!({"accuracy": 0.92}), &json!("cron")));
    let score = view["steps"].as_array().expect("steps").iter().find(|step| step["id"] == "score");
    assert_eq!(score.expect("it is there")["output"]["order"], json!(["a", "bb", "ccc"]));
    assert_eq!(world.ask.read("/state/keys/models.nightly.accuracy").await.ok(200)["value"], 0.92);
    let published = world.ask.read("/state/keys/models.nightly.published").await.ok(200)["value"].clone();
    assert_eq!(published["accuracy"], 0.92);
    let children = world.ask.read(&format!("/runs/{run}/children")).await.ok(200);
    let kinds: Vec<&Value> =
        children["items"].as_array().expect("a list").iter().map(|child| &child["startedBy"]).collect();
    assert!(kinds.contains(&&json!("workflow")), "{children}");
    let emitted = world.ask.read("/events?types=eval.finished").await;
    assert!(emitted.text.contains(&run), "{}", emitted.text);
}
