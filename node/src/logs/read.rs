//! Reads lines of a log from its files: the first ones after a place, or the last ones.
//! Knows nothing of who writes; it reads what the index says is there, and a file that is gone meanwhile is empty.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use orc_client::wire::{LogStream, dropped_log_lines};
use orc_domain::{RunId, StepIx, TaskId};
use serde::{Deserialize, Serialize};

use super::{Owner, Record, index::LogFile};

/// Bytes of lines that are read of one log at a time: those of several nodes fit into an event of a stream.
const BYTES_MAX: usize = 512 * 1024;

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Only those of this child; `steps` are its steps then.
    pub child: Option<RunId>,
    /// Only those of these steps.
    pub steps: Option<Vec<StepIx>>,
    /// Only those in which this occurs.
    pub text: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// The last ones instead of the first ones.
    pub tail: bool,
}

impl Wanted {
    fn accepts(&self, record: &Record) -> bool {
        let of_child = |child: RunId| {
            let (run, step) = record.task.and_then(TaskId::step)?;
            (run == child).then_some(step)
        };
        let place = self.child.map_or(record.step, of_child);
        if self.child.is_some() && place.is_none() {
            return record.attempt == 0;
        }
        let step = match (&self.steps, place) {
            (Some(steps), Some(step)) => steps.contains(&step),
            (Some(_), None) => record.attempt == 0,
            (None, _) => true,
        };
        step && self.text.as_ref().is_none_or(|text| record.text.contains(&**text))
    }
}

/// A line with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whose log it is in.
    pub owner: Owner,
    /// The place behind it.
    pub to: u64,
    /// The line.
    pub record: Record,
}

/// What was found in one log.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) found: VecDeque<Found>,
    /// Up to where was looked.
    pub(super) upto: u64,
    /// There is more behind that.
    pub(super) more: bool,
}

/// Reads the wanted lines of a log after a place.
pub(super) fn read(
    folder: &Path,
    owner: Owner,
    files: &[LogFile],
    after: u64,
    wanted: &Wanted,
) -> io::Result<Lines> {
    // A place behind the end is one in a log that was removed; what was written since is all new.
    let after = if files.last().is_none_or(|last| last.end() < after) { 0 } else { after };
    let mut lines = Lines { upto: after, ..Lines::default() };
    if let Some(oldest) = files.first()
        && after < oldest.start
    {
        lines.upto = oldest.start;
        lines.found.extend(gap(folder, owner, oldest)?);
    }
    // What each line takes, since a tail gives up the first ones.
    let mut sizes: VecDeque<usize> = lines.found.iter().map(|found| found.record.text.len()).collect();
    let mut bytes: usize = sizes.iter().sum();
    for file in files.iter().filter(|file| file.end() > after) {
        lines.upto = lines.upto.max(file.start);
        let Some(mut reader) = open(folder, owner, file, lines.upto)? else { continue };
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let to = lines.upto + line.len() as u64;
            // What a crash left of a line is not one.
            let record = serde_json::from_slice::<Record>(&line).ok().filter(|record| wanted.accepts(record));
            if let Some(record) = record {
                bytes += line.len();
                sizes.push_back(line.len());
                lines.found.push_back(Found { owner, to, record });
            }
            lines.upto = to;
            line.clear();
            while wanted.tail && (lines.found.len() > wanted.limit || bytes > BYTES_MAX) {
                lines.found.pop_front();
                bytes -= sizes.pop_front().unwrap_or(0);
            }
            if !wanted.tail && (lines.found.len() >= wanted.limit || bytes > BYTES_MAX) {
                lines.more = files.last().is_some_and(|last| last.end() > lines.upto);
                return Ok(lines);
            }
        }
    }
    Ok(lines)
}

/// A file's lines after a place.
fn open(
    folder: &Path,
    owner: Owner,
    file: &LogFile,
    after: u64,
) -> io::Result<Option<BufReader<io::Take<File>>>> {
    let mut open = match File::open(file.path(folder, owner)) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let skip = after.saturating_sub(file.start);
    open.seek(SeekFrom::Start(skip))?;
    Ok(Some(BufReader::new(open.take(file.length.saturating_sub(skip)))))
}

/// The line that stands for those before the oldest file; none if there were none.
fn gap(folder: &Path, owner: Owner, oldest: &LogFile) -> io::Result<Option<Found>> {
    let mut first = String::new();
    if let Some(mut reader) = open(folder, owner, oldest, oldest.start)? {
        reader.read_line(&mut first)?;
    }
    let at = serde_json::from_str(&first).map_or(0, |record: Record| record.at);
    let text = dropped_log_lines(oldest.lines_before, "only so much of a log is kept");
    let record = Record { at, step: None, task: None, attempt: 0, stream: LogStream::System, text };
    Ok((oldest.lines_before > 0).then_some(Found { owner, to: oldest.start, record }))
}
