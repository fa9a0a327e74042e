//! The seed's three factories as presets: what each changes of the defaults.
//! Knows nothing of files or flags, which both win over a preset.

use std::time::Duration;

use orc_domain::ClusterConfig;

/// A ready-made configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// 60 s between health checks, failures are not tried again.
    Development,
    /// 50 workflows, 200 tasks, 15 s between health checks.
    Production,
    /// 5 workflows, 10 tasks; the data folder may be a temporary one.
    Testing,
    /// The seed's plain defaults.
    #[default]
    None,
}

impl Preset {
    /// Every preset with its word.
    pub const ALL: [(&'static str, Preset); 3] = [
        ("development", Preset::Development),
        ("production", Preset::Production),
        ("testing", Preset::Testing),
    ];

    /// The preset of a word.
    pub fn of(word: &str) -> Option<Preset> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, preset)| *preset)
    }

    /// The cluster settings it begins with.
    pub fn cluster(self) -> ClusterConfig {
        let mut config = ClusterConfig::default();
        match self {
            Preset::Development => {
                config.switches.recovery = false;
                config.health_interval = Duration::from_secs(60);
            }
            Preset::Production => {
                config.runs_active_max = 50;
                config.tasks_running_max = 200;
                config.health_interval = Duration::from_secs(15);
                config.switches.backups = true;
            }
            Preset::Testing => {
                config.runs_active_max = 5;
                config.tasks_running_max = 10;
            }
            Preset::None => {}
        }
        config
    }
}
