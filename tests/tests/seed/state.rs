//! `setState`, `getState`, `subscribe`, versions and snapshots.
//! Knows nothing of what is kept in keys.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use orc_client::Change;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::scene::{PATIENCE, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn state_is_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("state").await?;
    keeps!(&scene;
        set_state_is_what_get_state_returns_on_every_node,
        subscribe_to_app_star_hears_of_every_change_on_every_node,
        get_state_versions_lists_what_was_written,
        restore_state_version_brings_the_value_back_as_a_new_version,
        restore_snapshot_brings_back_what_create_snapshot_kept,
    );
    Ok(())
}

async fn set_state_is_what_get_state_returns_on_every_node(scene: &Scene) -> Result<()> {
    for (key, value) in [("app.version", json!("1.0.0")), ("workflows.active", json!(["wf-1", "wf-2"]))] {
        scene.orc.state().set(key, &value).await?;
        for id in 1..=3 {
            let entry = scene.cluster.client_of(id)?.state().get(key).await?.context("it was set")?;
            ensure!(serde_json::from_str::<Value>(entry.value.get())? == value, "node {id}: {entry:?}");
        }
    }
    ensure!(scene.orc.state().get("never.set").await?.is_none(), "what was never set is not there");
    Ok(())
}

async fn subscribe_to_app_star_hears_of_every_change_on_every_node(scene: &Scene) -> Result<()> {
    let mut watchers = Vec::new();
    for id in 1..=3 {
        watchers.push(scene.cluster.client_of(id)?.state().watch("app.*").await?);
    }
    scene.orc.state().set("app.colour", "red").await?;
    scene.orc.state().set("other.colour", "grey").await?;
    scene.orc.state().set("app.colour", "blue").await?;
    for watcher in &mut watchers {
        for (old, new) in [(None, "\"red\""), (Some("\"red\""), "\"blue\"")] {
            let Change { change, .. } =
                timeout(PATIENCE, watcher.next()).await?.context("a watch goes on")??;
            let value =
                |value: &Option<orc_client::wire::Raw>| value.as_deref().map(|value| value.get().to_owned());
            let seen = (value(&change.old_value), value(&change.new_value));
            ensure!(
                change.key == "app.colour" && seen == (old.map(str::to_owned), Some(new.into())),
                "{change:?}"
            );
        }
    }
    Ok(())
}

/// Three writes, as in "State Versioning".
async fn three_writes(scene: &Scene, key: &str) -> Result<()> {
    for workers in [10, 15, 20] {
        scene.orc.state().set(key, workers).await?;
    }
    Ok(())
}

async fn get_state_versions_lists_what_was_written(scene: &Scene) -> Result<()> {
    three_writes(scene, "config.workers").await?;
    let versions = scene.orc.state().versions("config.workers").await?;
    let listed: Vec<_> =
        versions.iter().map(|version| (version.version, value(version.value.as_deref()))).collect();
    ensure!(listed == [(3, "20".into()), (2, "15".into()), (1, "10".into())], "{listed:?}");
    Ok(())
}

async fn restore_state_version_brings_the_value_back_as_a_new_version(scene: &Scene) -> Result<()> {
    three_writes(scene, "config.slots").await?;
    let restored = scene.orc.state().restore("config.slots", 2).await?;
    ensure!((restored.version, restored.value.get()) == (4, "15"), "{restored:?}");
    let newest =
        scene.orc.state().versions("config.slots").await?.into_iter().next().context("four of them")?;
    ensure!(newest.restored_from.as_deref() == Some("2"), "{newest:?}");
    Ok(())
}

async fn restore_snapshot_brings_back_what_create_snapshot_kept(scene: &Scene) -> Result<()> {
    scene.orc.state().set("app.version", "1.0.0").await?;
    let asked = json!({ "metadata": { "description": "Before major update" } });
    let (status, snapshot) = scene.post("/state/snapshots", asked).await?;
    ensure!(
        status == 201 && snapshot["metadata"]["description"] == "Before major update",
        "{status} {snapshot}"
    );
    scene.orc.state().set("app.version", "2.0.0").await?;
    scene.orc.state().set("app.new", true).await?;
    let id = snapshot["id"].as_str().context("an id")?;
    scene.orc.state().snapshots().restore(id, &Default::default()).await?;
    let version = scene.orc.state().get("app.version").await?.context("it had a value")?;
    ensure!(version.value.get() == "\"1.0.0\"", "{version:?}");
    ensure!(scene.orc.state().get("app.new").await?.is_none(), "what was made since is gone");
    Ok(())
}

fn value(raw: Option<&serde_json::value::RawValue>) -> String {
    raw.map_or_else(String::new, |raw| raw.get().to_owned())
}
