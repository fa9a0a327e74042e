//! Whose data folder this is: cluster, node, incarnation and format, in `identity.toml`.
//! Knows nothing of the data itself; an emptied folder is a new incarnation and cannot pass for the old one.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::StartError,
    store::files::{create_folder, replace, start_error},
};

/// The format of the whole data folder.
pub const FORMAT: u32 = 1;
/// The name of the file.
pub(crate) const FILE: &str = "identity.toml";

/// Whose data folder this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Format of the folder.
    pub format: u32,
    /// The cluster; agreed when it was founded.
    pub cluster_id: Uuid,
    /// The node; never reused in its cluster.
    pub node_id: u64,
    /// This folder: minted when it was first used.
    pub incarnation: Uuid,
}

impl Identity {
    /// The identity stored in a data folder, if it has one.
    pub fn read(data: &Path) -> Result<Option<Identity>, StartError> {
        let path = data.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StartError::File { path, source }),
        };
        let known = |format| StartError::Format { path: data.to_owned(), stored: format, known: FORMAT };
        if let Ok(OnlyFormat { format }) = toml::from_str(&text)
            && format != FORMAT
        {
            return Err(known(format));
        }
        toml::from_str(&text).map(Some).map_err(|source| StartError::Identity { path, source: source.into() })
    }

    /// The identity of a data folder for this node; written and synced when the folder is used for the first time.
    /// Without a cluster id a new folder founds a cluster.
    pub fn open(data: &Path, node_id: u64, cluster_id: Option<Uuid>) -> Result<Identity, StartError> {
        let Some(stored) = Identity::read(data)? else { return Identity::create(data, node_id, cluster_id) };
        if stored.node_id != node_id {
            return Err(StartError::OtherNode {
                path: data.to_owned(),
                stored: stored.node_id,
                given: node_id,
            });
        }
        match cluster_id {
            Some(given) if given != stored.cluster_id => {
                Err(StartError::OtherCluster { path: data.to_owned(), stored: stored.cluster_id, given })
            }
            Some(_) | None => Ok(stored),
        }
    }

    fn create(data: &Path, node_id: u64, cluster_id: Option<Uuid>) -> Result<Identity, StartError> {
        let path = data.join(FILE);
        if data.join(super::store::GROUP).exists() {
            return Err(StartError::IdentityMissing { path });
        }
        let cluster_id = cluster_id.unwrap_or_else(Uuid::new_v4);
        let identity = Identity { format: FORMAT, cluster_id, node_id, incarnation: Uuid::new_v4() };
        let text = toml::to_string(&identity).expect("four plain fields");
        create_folder(data).map_err(start_error(data))?;
        replace(&path, text.as_bytes()).map_err(start_error(path))?;
        Ok(identity)
    }
}

#[derive(Deserialize)]
struct OnlyFormat {
    format: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_folder_keeps_its_identity() {
        let folder = folder();
        let first = Identity::open(folder.path(), 3, None).unwrap();
        assert_eq!(Identity::open(folder.path(), 3, None).unwrap(), first);
        assert_eq!(Identity::open(folder.path(), 3, Some(first.cluster_id)).unwrap(), first);
        assert_eq!(Identity::read(folder.path()).unwrap(), Some(first));
    }

    #[test]
    fn another_node_or_cluster_is_refused() {
        let folder = folder();
        Identity::open(folder.path(), 3, None).unwrap();
        let other_node = Identity::open(folder.path(), 4, None).unwrap_err();
        assert!(matches!(other_node, StartError::OtherNode { stored: 3, given: 4, .. }));
        let other_cluster = Identity::open(folder.path(), 3, Some(Uuid::nil())).unwrap_err();
        assert!(matches!(other_cluster, StartError::OtherCluster { .. }));
        assert_eq!(other_cluster.exit_code(), 74);
    }

    #[test]
    fn unknown_formats_and_damaged_files_are_refused() {
        let folder = folder();
        fs::write(folder.path().join(FILE), "format = 9\nwhatever = 1\n").unwrap();
        assert!(matches!(Identity::open(folder.path(), 3, None), Err(StartError::Format { stored: 9, .. })));
        fs::write(folder.path().join(FILE), "format = 1\nnode").unwrap();
        assert!(matches!(Identity::open(folder.path(), 3, None), Err(StartError::Identity { .. })));
    }

    #[test]
    fn data_without_identity_is_refused() {
        let folder = folder();
        fs::create_dir(folder.path().join("group-0")).unwrap();
        assert!(matches!(Identity::open(folder.path(), 3, None), Err(StartError::IdentityMissing { .. })));
    }
}
