//! `orc state export` and `import`: state keys as lines of JSON.
//! Knows nothing of how they are kept.

use std::{io::BufRead, path::Path};

use orc_client::{
    Client,
    wire::{ExportQuery, Raw, StateOp, StateOperation, StateTransaction, Timestamp},
};
use serde::Deserialize;
use serde_json::json;

use super::{Failure, Out, output::note, values};

/// Keys, and about how many bytes, that one call writes.
const KEYS_MAX: usize = 500;
const BYTES_MAX: usize = 512 * 1024;

/// What counts of a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    key: String,
    value: Raw,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// `orc state export`
pub(super) async fn export(client: &Client, query: ExportQuery) -> Result<(), Failure> {
    let mut lines = client.state().export(&query).await?;
    while let Some(piece) = lines.next_piece().await? {
        Out::raw(&piece)?;
    }
    Ok(())
}

/// `orc state import`: each call writes its keys at once, the calls one after another.
pub(super) async fn import(out: &Out, client: &Client, file: &Path) -> Result<(), Failure> {
    let reader: Box<dyn BufRead> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => {
            let opened = std::fs::File::open(file);
            let failed = |error| Failure::Usage(format!("{}: {error}", file.display()));
            Box::new(std::io::BufReader::new(opened.map_err(failed)?))
        }
    };
    let (mut ops, mut bytes, mut written) = (Vec::new(), 0, 0);
    for (number, line) in (1..).zip(reader.lines()) {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::Usage(format!("{}:{number}: {error} ({written} keys are written)", file.display()))
        };
        let text = line.map_err(|error| wrong(&error))?;
        let line: Line = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let left = line.expires_at.map(|at| at.0.saturating_sub(values::now_ms()));
        if left == Some(0) {
            continue; // its time is over
        }
        if !ops.is_empty() && (ops.len() == KEYS_MAX || bytes + text.len() > BYTES_MAX) {
            written += write(client, &mut ops).await?;
            bytes = 0;
            note(&format!("{written} keys"));
        }
        bytes += text.len();
        let ttl = left.map(|left| std::time::Duration::from_millis(left).into());
        ops.push(StateOperation { op: StateOp::Set, key: line.key, value: Some(line.value), ttl });
    }
    written += write(client, &mut ops).await?;
    out.item(&json!({ "written": written }), &written.to_string(), || format!("{written} keys are set"))
}

async fn write(client: &Client, ops: &mut Vec<StateOperation>) -> Result<usize, Failure> {
    let ops = std::mem::take(ops);
    let count = ops.len();
    if count > 0 {
        client.state().transact(&StateTransaction { compare: Vec::new(), ops }).await?;
    }
    Ok(count)
}
