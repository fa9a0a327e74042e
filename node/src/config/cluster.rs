//! The cluster's configuration as JSON by the seed's names, both ways; used by `GET/PUT /cluster/config` and by files.
//! Knows nothing of HTTP or TOML.

use orc_domain::ClusterConfig;
use serde_json::{Map, Value, json};

use super::cluster_settings::{GROUPS, Kind, SETTINGS, Setting};
use crate::definition::{duration::duration_of_value, suggest::did_you_mean};

/// A configuration with changes applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedConfig {
    /// The result.
    pub config: ClusterConfig,
    /// Sentences about what was accepted and has no effect.
    pub notes: Vec<String>,
}

/// A setting that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingError {
    /// The setting's dotted name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl SettingError {
    /// The JSON pointer of the setting.
    pub fn pointer(&self) -> String {
        format!("/{}", self.name.replace('.', "/"))
    }
}

/// The whole configuration by the seed's names; durations are milliseconds.
pub fn cluster_config_to_json(config: &ClusterConfig) -> Value {
    let mut config = config.clone();
    let mut root = Map::new();
    for setting in SETTINGS {
        let value = match &setting.kind {
            Kind::Count(place) => json!(*place(&mut config)),
            Kind::Time(place) => json!(u64::try_from(place(&mut config).as_millis()).unwrap_or(u64::MAX)),
            Kind::Flag(place) => json!(*place(&mut config.switches)),
            Kind::Switch { read, .. } => json!(read(&config)),
            Kind::Fixed { position, .. } => json!(position),
            Kind::Noted(_) | Kind::Word(..) => continue,
        };
        if setting.group.is_empty() {
            root.insert(setting.name.to_owned(), value);
            continue;
        }
        let group = root.entry(setting.group).or_insert_with(|| json!({}));
        if let Value::Object(group) = group {
            group.insert(setting.name.to_owned(), value);
        }
    }
    Value::Object(root)
}

/// The dotted names of the switches that are off.
pub fn switched_off(config: &ClusterConfig) -> Vec<String> {
    let mut config = config.clone();
    let is_off = |setting: &&Setting| match &setting.kind {
        Kind::Flag(place) => !*place(&mut config.switches),
        Kind::Switch { read, .. } => !read(&config),
        Kind::Count(_) | Kind::Time(_) | Kind::Fixed { .. } | Kind::Noted(_) | Kind::Word(..) => false,
    };
    SETTINGS.iter().filter(is_off).map(Setting::path).collect()
}

/// Applies the settings of `changes`, a JSON object by the seed's names, over `base`; every mistake at once.
///
/// A switch that is off wins over numbers beside it: `enableVersioning: false` means one version, whatever `maxVersions`
/// says.
pub fn merge_cluster_config(
    base: &ClusterConfig,
    changes: &Value,
) -> Result<MergedConfig, Vec<SettingError>> {
    let mut errors = Vec::new();
    let given = flatten(changes, &mut errors);
    let mut merged = MergedConfig { config: base.clone(), notes: Vec::new() };
    let switches = |position: bool, config: &mut ClusterConfig| {
        for (setting, value) in &given {
            if let (Kind::Switch { write, .. }, Ok(on)) = (&setting.kind, boolean(value))
                && on == position
            {
                write(config, on);
            }
        }
    };
    switches(true, &mut merged.config);
    for (setting, value) in &given {
        if let Err(reason) = apply(setting, value, &mut merged) {
            errors.push(SettingError { name: setting.path(), reason });
        }
    }
    switches(false, &mut merged.config);
    if errors.is_empty()
        && let Err(error) = merged.config.validate()
    {
        errors.push(SettingError { name: error.name, reason: error.reason });
    }
    if errors.is_empty() { Ok(merged) } else { Err(errors) }
}

/// The known settings that are given; the others are mistakes.
fn flatten<'v>(changes: &'v Value, errors: &mut Vec<SettingError>) -> Vec<(&'static Setting, &'v Value)> {
    let Value::Object(root) = changes else {
        errors.push(SettingError {
            name: String::new(),
            reason: "the configuration must be an object".to_owned(),
        });
        return Vec::new();
    };
    let mut given = Vec::new();
    for (name, value) in root {
        match (GROUPS.contains(&name.as_str()), value) {
            (true, Value::Object(group)) => {
                for (inner, value) in group {
                    given.extend(find(name, inner, errors).map(|setting| (setting, value)));
                }
            }
            (true, _) => errors
                .push(SettingError { name: name.clone(), reason: "must be a group of settings".to_owned() }),
            (false, value) => given.extend(find("", name, errors).map(|setting| (setting, value))),
        }
    }
    given
}

fn find(group: &str, name: &str, errors: &mut Vec<SettingError>) -> Option<&'static Setting> {
    let found = SETTINGS.iter().find(|setting| setting.group == group && setting.name == name);
    if found.is_none() {
        let dotted = if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") };
        let elsewhere = SETTINGS.iter().find(|setting| setting.name == name);
        let meant = match elsewhere {
            Some(setting) => format!(", did you mean `{}`?", setting.path()),
            None => {
                let known =
                    SETTINGS.iter().filter(|setting| setting.group == group).map(|setting| setting.name);
                did_you_mean(name, known.chain(GROUPS))
            }
        };
        errors.push(SettingError { name: dotted, reason: format!("unknown setting{meant}") });
    }
    found
}

fn apply(setting: &Setting, value: &Value, merged: &mut MergedConfig) -> Result<(), String> {
    match &setting.kind {
        Kind::Count(place) => {
            let count = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            let count = count.and_then(|count| u32::try_from(count).ok());
            *place(&mut merged.config) =
                count.ok_or_else(|| format!("must be a whole number, not {value}"))?;
        }
        Kind::Time(place) => *place(&mut merged.config) = duration_of_value(value)?,
        Kind::Switch { .. } => {
            boolean(value)?;
        }
        Kind::Flag(place) => *place(&mut merged.config.switches) = boolean(value)?,
        Kind::Fixed { position, why } => match value.as_bool() {
            Some(given) if given == *position => {}
            Some(_) => return Err((*why).to_owned()),
            None => return Err(format!("must be true or false, not {value}")),
        },
        Kind::Noted(note) => merged.notes.push(format!("{} has no effect: {note}", setting.path())),
        Kind::Word(words, note) => match value.as_str().filter(|word| words.contains(word)) {
            Some(_) => merged.notes.push(format!("{} has no effect: {note}", setting.path())),
            None => return Err(format!("must be one of {}, not {value}", words.join(", "))),
        },
    }
    Ok(())
}

/// Files and flags may bring a word.
fn boolean(value: &Value) -> Result<bool, String> {
    let word = || value.as_str()?.parse().ok();
    value.as_bool().or_else(word).ok_or_else(|| format!("must be true or false, not {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::Switches;
    use std::time::Duration;

    fn merge(changes: Value) -> Result<MergedConfig, Vec<String>> {
        let merged = merge_cluster_config(&ClusterConfig::default(), &changes);
        merged.map_err(|errors| errors.iter().map(SettingError::to_string).collect())
    }

    #[test]
    fn what_is_shown_can_be_set_again() {
        let mut config =
            ClusterConfig { runs_active_max: 7, head_start: Duration::ZERO, ..ClusterConfig::default() };
        config.step_retry.limit = 1;
        config.switches.message_queues = false;
        let shown = cluster_config_to_json(&config);
        assert_eq!(shown["maxConcurrentWorkflows"], 7);
        assert_eq!(shown["workflow"]["stepTimeout"], 300_000);
        assert_eq!(
            (&shown["tasks"]["enablePriorityScheduling"], &shown["enableErrorRecovery"]),
            (&json!(false), &json!(true))
        );
        let again = merge_cluster_config(&ClusterConfig::default(), &shown).expect("it is a configuration");
        assert_eq!((again.config.runs_active_max, again.config.head_start), (7, Duration::ZERO));
        assert_eq!(again.config, config);
    }

    #[test]
    fn the_seeds_configuration_is_accepted() {
        let merged = merge(json!({
            "maxConcurrentWorkflows": 10, "maxConcurrentTasks": 50, "enableMonitoring": true, "enableErrorRecovery": true,
            "retryAttempts": 3, "retryDelay": 1000, "componentTimeout": 60000,
            "workflow": {"stepTimeout": 300000, "workflowTimeout": 3600000, "enableParallelExecution": true,
                         "enableRetry": true, "maxRetryAttempts": 3, "retryDelay": 5000},
            "components": {"messageTimeout": 30000, "heartbeatInterval": 15000, "enableHeartbeat": true,
                           "enableMessageQueue": true, "maxQueueSize": 1000},
            "tasks": {"taskTimeout": 300000, "schedulingInterval": 1000, "enablePriorityScheduling": true,
                      "enableDependencyResolution": true, "deadlockDetectionInterval": 30000},
            "state": {"enablePersistence": true, "enableVersioning": true, "enableBackup": false, "persistenceInterval": 30000,
                      "maxVersions": 10, "backupInterval": 300000, "storageType": "database"},
            "healthCheckInterval": 30000
        }))
        .expect("the seed's values");
        assert_eq!(merged.config, ClusterConfig::default(), "our defaults are the seed's, but for backups");
        assert_eq!(merged.notes.len(), 3, "{:?}", merged.notes);
    }

    #[test]
    fn off_means_off() {
        let off = merge(json!({"enableErrorRecovery": false, "state": {"enableVersioning": false}}));
        let names = off.map(|merged| switched_off(&merged.config)).expect("they can be off");
        assert_eq!(names, ["enableErrorRecovery", "state.enableVersioning", "state.enableBackup"]);
        let switches = |changes| merge(changes).map(|merged| merged.config.switches);
        let on = ClusterConfig::default().switches;
        let off = json!({"enableErrorRecovery": false, "retryAttempts": 5});
        assert_eq!(switches(off), Ok(Switches { recovery: false, ..on }));
        let off = json!({"workflow": {"enableRetry": "false"}});
        assert_eq!(switches(off), Ok(Switches { step_retries: false, ..on }));
        let versions =
            merge(json!({"state": {"enableVersioning": false}})).map(|merged| merged.config.versions_max);
        assert_eq!(versions, Ok(1));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let errors = merge(json!({
            "maxConcurentTasks": 1, "stepTimeout": 5, "maxConcurrentWorkflows": "many", "enableMonitoring": 3,
            "workflow": {"stepTimeout": "soon"}, "state": {"enablePersistence": false, "storageType": "paper"}
        }));
        let errors = errors.expect_err("all of it is wrong");
        let has = |part: &str| {
            assert!(errors.iter().any(|error| error.contains(part)), "{part} is not in {errors:#?}")
        };
        has("maxConcurentTasks: unknown setting, did you mean `maxConcurrentTasks`?");
        has("stepTimeout: unknown setting, did you mean `workflow.stepTimeout`?");
        has("maxConcurrentWorkflows: must be a whole number");
        has("enableMonitoring: must be true or false, not 3");
        has("workflow.stepTimeout: `soon` is not a duration");
        has("state.enablePersistence: every acknowledged write is on the disks");
        has("state.storageType: must be one of rocksdb, database");
        assert_eq!(errors.len(), 7);
        assert!(
            merge(json!({"maxConcurrentTasks": 0})).expect_err("nothing could run")[0].contains("between 1")
        );
    }
}
