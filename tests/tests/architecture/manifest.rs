//! What a `Cargo.toml` says about who depends on whom, read as text.
//! Knows just enough TOML for the way ours are written.

/// A line of a dependency section.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package, also behind a rename.
    pub package: String,
    /// Only tests, examples and benches see it.
    pub dev: bool,
}

/// The folders of the workspace.
pub fn members(root_manifest: &str) -> Vec<String> {
    let list = root_manifest.split_once("members").and_then(|(_, rest)| rest.split_once('['));
    let list = list.and_then(|(_, rest)| rest.split_once(']')).map_or("", |(inside, _)| inside);
    list.split(',')
        .map(|name| name.trim().trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Every dependency of every section: normal, dev, build, per target, inline or as a table of its own.
pub fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = Section::Other;
    for line in manifest.lines().map(|line| line.split('#').next().unwrap_or("").trim()) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = Section::of(header);
            if let Section::One { name, dev } = &section {
                found.push(Dependency { package: name.clone(), dev: *dev });
            }
        } else if let Some((key, value)) = line.split_once('=') {
            match &section {
                Section::List { dev } => {
                    let name = key.trim().split('.').next().unwrap_or("").trim_matches('"');
                    let package = renamed(value).unwrap_or_else(|| name.to_owned());
                    found.push(Dependency { package, dev: *dev });
                }
                Section::One { dev, .. } if key.trim() == "package" => {
                    found.push(Dependency { package: value.trim().trim_matches('"').to_owned(), dev: *dev });
                }
                Section::One { .. } | Section::Other => {}
            }
        }
    }
    found
}

/// Workspace packages a crate depends on and must not.
pub fn forbidden_edges(folder: &str, found: &[Dependency], may: &[&str], tests_may: &[&str]) -> Vec<String> {
    let allowed = |name: &str, dev: bool| may.contains(&name) || (dev && tests_may.contains(&name));
    found
        .iter()
        .filter(|edge| edge.package.starts_with("orc-") && !allowed(&edge.package, edge.dev))
        .map(|edge| format!("{folder}/Cargo.toml: {folder} must not know {}", edge.package))
        .collect()
}

/// Foreign packages a crate depends on that belong to another.
pub fn away_from_home(folder: &str, found: &[Dependency], homes: &[(&str, &[&str])]) -> Vec<String> {
    let home = |name: &str| homes.iter().find(|(package, _)| *package == name).map(|(_, folders)| *folders);
    found
        .iter()
        .filter(|edge| home(&edge.package).is_some_and(|folders| !folders.contains(&folder)))
        .map(|edge| {
            format!("{folder}/Cargo.toml: {} is named only in {:?}", edge.package, home(&edge.package))
        })
        .collect()
}

enum Section {
    /// `[dependencies]`: a name on each line.
    List {
        dev: bool,
    },
    /// `[dependencies.name]`: one dependency.
    One {
        name: String,
        dev: bool,
    },
    Other,
}

impl Section {
    fn of(header: &str) -> Section {
        let dev = header.contains("dev-dependencies");
        match header.rsplit_once("dependencies") {
            Some((_, "")) => Section::List { dev },
            Some((_, rest)) if rest.starts_with('.') => {
                Section::One { name: rest[1..].trim_matches('"').to_owned(), dev }
            }
            Some(_) | None => Section::Other,
        }
    }
}

/// The real name in `{ package = "name" }`.
fn renamed(value: &str) -> Option<String> {
    let (_, rest) = value.split_once("package")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, expected: &[(&str, bool)]) {
        let expected: Vec<Dependency> = expected
            .iter()
            .map(|(name, dev)| Dependency { package: (*name).to_owned(), dev: *dev })
            .collect();
        assert_eq!(dependencies(manifest), expected, "of {manifest}");
    }

    #[test]
    fn every_way_to_write_a_dependency_is_seen() {
        check("[package]\nname = \"orc-raft\"", &[]);
        check("[dependencies]\norc-domain.workspace = true", &[("orc-domain", false)]);
        check("[dependencies]\norc-raft = { path = \"../raft\" } # why", &[("orc-raft", false)]);
        check("[dev-dependencies]\norc-node = \"1\"", &[("orc-node", true)]);
        check("[build-dependencies]\norc-node = \"1\"", &[("orc-node", false)]);
        check("[dependencies.orc-node]\npath = \"../node\"", &[("orc-node", false)]);
        check("[target.'cfg(unix)'.dependencies]\norc-node = \"1\"", &[("orc-node", false)]);
        check("[dependencies]\nnode = { package = \"orc-node\" }", &[("orc-node", false)]);
        check("[dependencies.node]\npackage = \"orc-node\"", &[("node", false), ("orc-node", false)]);
        check("[dependencies]\na = \"1\"\n[lints]\nworkspace = true", &[("a", false)]);
    }

    #[test]
    fn members_are_listed() {
        assert_eq!(
            members("[workspace]\nmembers = [\"a\", \"b\",\n \"c\"]\n[x]\ny = [\"d\"]"),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn an_edge_that_may_not_be_is_found() {
        let found = dependencies(
            "[dependencies]\norc-domain.workspace = true\n[dev-dependencies]\norc-actors.workspace = true",
        );
        assert_eq!(forbidden_edges("raft", &found, &["orc-domain"], &["orc-actors"]), [""; 0]);
        assert_eq!(forbidden_edges("raft", &found, &["orc-domain"], &[]).len(), 1);
        assert_eq!(forbidden_edges("raft", &found, &[], &[]).len(), 2);
        let found = dependencies("[dependencies]\norc-actors.workspace = true");
        assert_eq!(
            forbidden_edges("tests", &found, &[], &["orc-actors"]).len(),
            1,
            "what tests may, the crate may not"
        );
    }

    #[test]
    fn a_package_away_from_home_is_found() {
        let found = dependencies("[dependencies]\nrocksdb.workspace = true\nserde = \"1\"");
        assert_eq!(away_from_home("raft", &found, &[("rocksdb", &["raft"])]), [""; 0]);
        assert_eq!(away_from_home("node", &found, &[("rocksdb", &["raft"])]).len(), 1);
    }
}
