//! Which node gets which ports and folder; kept beside the data, since a cluster remembers its addresses.
//! Knows nothing of processes.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{DevError, DevOptions};

/// Peer ports are so far above HTTP ports.
const PEER_OFFSET: u16 = 100;
/// So many ports are tried from the first on.
const PORTS_TRIED: u16 = 90;
const FILE: &str = "dev.json";

/// The nodes and their places.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In the order of their numbers.
    pub(crate) places: Vec<Place>,
    /// Where everything is.
    pub(super) folder: PathBuf,
    /// What differs from what was asked for.
    pub(super) notes: Vec<String>,
    temporary: bool,
}

/// Where one node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) number: u16,
    /// On loopback.
    pub(super) http_port: u16,
    /// On loopback.
    pub(super) peer_port: u16,
    /// Its data.
    pub(super) data_dir: PathBuf,
    /// Its log.
    pub(crate) log_file: PathBuf,
}

/// What is kept beside the data.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// HTTP and peer port of each node.
    ports: Vec<(u16, u16)>,
}

/// `~/.local/share/orc/dev`, or where `XDG_DATA_HOME` says.
pub fn default_data_dir() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or_else(home).unwrap_or_else(std::env::temp_dir).join("orc/dev")
}

impl Place {
    /// `http://127.0.0.1:7420`
    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// `127.0.0.1:7520`
    pub(super) fn peer_address(&self) -> String {
        format!("127.0.0.1:{}", self.peer_port)
    }
}

impl Plan {
    /// Finds ports, or takes those that the data remembers, and makes the folder.
    pub(crate) fn make(options: &DevOptions) -> Result<Plan, DevError> {
        let temporary = options.data_dir.is_none();
        let folder = options
            .data_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join(format!("orc-dev-{}", std::process::id())));
        std::fs::create_dir_all(&folder)
            .map_err(|source| DevError::Folder { path: folder.clone(), source })?;
        let kept = read_kept(&folder)?;
        let mut notes = Vec::new();
        let ports = match &kept {
            Some(kept) => known_ports(kept, options, &folder, &mut notes)?,
            None => Vec::new(),
        };
        let ports = more_ports(ports, options, &mut notes)?;
        write_kept(&folder, &Kept { ports: ports.clone() })?;
        let places = ports
            .into_iter()
            .zip(1..)
            .map(|((http_port, peer_port), number)| Place {
                number,
                http_port,
                peer_port,
                data_dir: folder.join(format!("node-{number}")),
                log_file: folder.join(format!("node-{number}.log")),
            })
            .collect();
        Ok(Plan { places, folder, notes, temporary })
    }

    /// The flags of a node: the first founds the cluster, the others join through any of their peers.
    pub(crate) fn flags(&self, place: &Place, options: &DevOptions) -> Vec<String> {
        let data_dir = place.data_dir.display().to_string();
        let listen = format!("127.0.0.1:{}", place.http_port);
        let peer_listen = place.peer_address();
        let number = place.number.to_string();
        let pairs = [
            ("--node-id", number),
            ("--data-dir", data_dir),
            ("--listen", listen),
            ("--peer-listen", peer_listen),
        ];
        let mut flags = vec!["server".to_owned(), "--exit-with-stdin".to_owned()];
        flags.extend(pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        if place.number == 1 {
            flags.push("--bootstrap".to_owned());
        } else {
            let others =
                self.places.iter().filter(|other| other.number != place.number).map(Place::peer_address);
            flags.extend(["--join".to_owned(), others.collect::<Vec<_>>().join(",")]);
        }
        flags.extend(options.server_flags.iter().cloned());
        flags
    }

    /// Removes what is not to be kept.
    pub(super) fn clean_up(&self) {
        if self.temporary {
            // What cannot be removed from a temporary folder is the system's to remove.
            std::fs::remove_dir_all(&self.folder).ok();
        }
    }

    /// Whether the data is kept.
    pub(super) fn is_kept(&self) -> bool {
        !self.temporary
    }
}

/// The ports that the cluster of this folder knows; they must be free, and so many nodes must be asked for.
fn known_ports(
    kept: &Kept,
    options: &DevOptions,
    folder: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<(u16, u16)>, DevError> {
    let known = kept.ports.len();
    if usize::from(options.nodes) < known {
        return Err(DevError::Plan(format!(
            "{} holds a cluster of {known} nodes: start it with --nodes {known}, or use --ephemeral or another --data-dir",
            folder.display()
        )));
    }
    for port in kept.ports.iter().flat_map(|(http, peer)| [*http, *peer]) {
        if !is_free(port) {
            return Err(DevError::Plan(format!(
                "port {port} is busy, and the cluster in {} has it: is it running already? Otherwise use --ephemeral or another --data-dir",
                folder.display()
            )));
        }
    }
    if kept.ports.first().is_some_and(|(http, _)| *http != options.port) {
        notes.push(format!("the cluster in {} keeps its ports", folder.display()));
    }
    Ok(kept.ports.clone())
}

/// Adds ports until there are enough: the next free ones from the first on.
fn more_ports(
    mut ports: Vec<(u16, u16)>,
    options: &DevOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<(u16, u16)>, DevError> {
    let last = options.port.saturating_add(PORTS_TRIED);
    for port in options.port..=last {
        if ports.len() >= usize::from(options.nodes) {
            return Ok(ports);
        }
        let peer = port.saturating_add(PEER_OFFSET);
        if ports.iter().any(|(http, _)| *http == port) {
            continue;
        }
        match [port, peer].into_iter().find(|port| !is_free(*port)) {
            Some(busy) => notes.push(format!("port {busy} is busy, the next free one is taken")),
            None => ports.push((port, peer)),
        }
    }
    if ports.len() >= usize::from(options.nodes) {
        return Ok(ports);
    }
    Err(DevError::Plan(format!(
        "too few free ports from {} to {last}: choose others with --port",
        options.port
    )))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn read_kept(folder: &Path) -> Result<Option<Kept>, DevError> {
    let path = folder.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DevError::Folder { path, source }),
    };
    let kept = serde_json::from_str(&text);
    kept.map(Some).map_err(|error| DevError::Plan(format!("{} cannot be read: {error}", path.display())))
}

fn write_kept(folder: &Path, kept: &Kept) -> Result<(), DevError> {
    let path = folder.join(FILE);
    let text = serde_json::to_string(kept).map_err(|error| DevError::Plan(error.to_string()))?;
    std::fs::write(&path, text).map_err(|source| DevError::Folder { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(nodes: u16, port: u16, data_dir: PathBuf) -> DevOptions {
        DevOptions {
            nodes,
            port,
            data_dir: Some(data_dir),
            worker_slots: 0,
            server_flags: Vec::new(),
            restart_delay: std::time::Duration::from_secs(1),
            verbose: false,
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("orc-plan-{}-{name}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        folder
    }

    #[test]
    fn busy_ports_are_passed_over_and_kept_ports_are_kept() {
        let folder = folder("ports");
        let busy = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = busy.local_addr().expect("an address").port().min(64_000);
        let plan = Plan::make(&options(2, port, folder.clone())).expect("there are free ports");
        assert!(
            plan.places
                .iter()
                .all(|place| place.http_port > port && place.peer_port == place.http_port + 100)
        );
        assert!(plan.notes[0].contains(&format!("port {port} is busy")), "{:?}", plan.notes);
        let first = &plan.flags(&plan.places[0], &options(2, port, folder.clone()));
        assert!(first.contains(&"--bootstrap".to_owned()));
        let second = &plan.flags(&plan.places[1], &options(2, port, folder.clone()));
        assert!(second.contains(&plan.places[0].peer_address()), "{second:?}");

        let again = Plan::make(&options(3, port, folder.clone())).expect("one more node");
        assert_eq!(again.places[..2], plan.places[..2]);
        let fewer = Plan::make(&options(1, port, folder.clone())).expect_err("two nodes would be missing");
        assert!(fewer.to_string().contains("--nodes 3"), "{fewer}");
        std::fs::remove_dir_all(folder).expect("it was there");
    }
}
