//! Where scripts and agents work.
//! Knows nothing of what they do there.

use std::fs;
use std::path::{Path, PathBuf};

use orc_client::{TaskCtx, TaskError};

/// A fresh folder for each attempt, or a folder of the worker's: `{run}` in its name stands for the run's id, so that the
/// steps of a run share a folder on one worker. A `workdir` of a step that is relative lies in that folder.
#[derive(Clone, Debug, Default)]
pub struct Workdir(Option<String>);

impl Workdir {
    /// A folder of the worker's, made where it is missing.
    #[must_use]
    pub fn at(folder: impl Into<String>) -> Self {
        Self(Some(folder.into()))
    }

    /// Where an attempt works; `fresh` is its own folder, `asked` what its step says.
    pub(crate) fn of(
        &self,
        ctx: &TaskCtx,
        asked: Option<PathBuf>,
        fresh: &Path,
    ) -> Result<PathBuf, TaskError> {
        let Some(template) = &self.0 else { return Ok(asked.unwrap_or_else(|| fresh.to_owned())) };
        let run = ctx.run_id().unwrap_or(ctx.task_id());
        let folder = PathBuf::from(template.replace("{run}", run));
        fs::create_dir_all(&folder).map_err(|error| {
            TaskError::new("NO_FOLDER", format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
        Ok(asked.map_or(folder.clone(), |asked| folder.join(asked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::context;

    #[test]
    fn steps_of_a_run_share_the_workers_folder() {
        let (ctx, _stop) = context();
        let parent = tempfile::tempdir().expect("a folder");
        let workdir = Workdir::at(parent.path().join("{run}").display().to_string());
        let of = |asked: Option<&str>| {
            workdir.of(&ctx, asked.map(PathBuf::from), Path::new("/fresh")).expect("it can be made")
        };
        let own = parent.path().join("run_1");
        assert_eq!(
            (of(None), of(Some("src")), of(Some("/tmp"))),
            (own.clone(), own.join("src"), "/tmp".into())
        );
        assert!(own.is_dir());
        let plain = Workdir::default().of(&ctx, None, Path::new("/fresh")).expect("it is there");
        assert_eq!(plain, Path::new("/fresh"));
    }
}
