//! What `orc dev` says: each node's process and address on stdout, everything else on stderr.
//! Knows no processes, only what is told about them.

use std::{io::Write, process::ExitStatus, time::Duration};

use orc_client::wire::ClusterStatus;

use super::{
    DevOptions,
    plan::{Place, Plan},
};

/// A node process runs: a line that programs may read.
pub(super) fn node_started(place: &Place, pid: u32) {
    let line = format!("node-{} pid {pid} {} peer {}", place.number, place.http_url(), place.peer_address());
    // A closed stdout leaves nobody to tell; the cluster runs on.
    writeln!(std::io::stdout().lock(), "{line}").ok();
}

/// A node process died and will be started again.
pub(super) fn node_ended(place: &Place, ended: ExitStatus, pause: Duration) {
    say(&format!(" node-{} ended ({ended}), starts again in {:.0} s", place.number, pause.as_secs_f64()));
}

/// The cluster is there, or took too long.
pub(super) fn show(plan: &Plan, options: &DevOptions, status: Option<&ClusterStatus>) {
    let leader = match status {
        Some(status) => format!("{} leader (term {})", status.leader.as_deref().unwrap_or("no"), status.term),
        None => "no leader yet".to_owned(),
    };
    let kept = if plan.is_kept() { "kept; --ephemeral to drop" } else { "dropped at the end" };
    say(&format!(
        " orc {} · dev · {leader} · data {} ({kept})",
        env!("CARGO_PKG_VERSION"),
        plan.folder.display()
    ));
    plan.notes.iter().for_each(|note| say(&format!("   Note       {note}")));
    let urls: Vec<String> = plan.places.iter().map(|place| format!("{}/api/v1", place.http_url())).collect();
    say(&format!("   API        {}", urls.join("  ")));
    let first = plan.places.first().map(Place::http_url).unwrap_or_default();
    say(&format!("   Metrics    {first}/metrics      Logs {}", plan.folder.join("node-*.log").display()));
    if options.worker_slots == 0 {
        say("   Worker     none: start one with `orc worker`");
    } else {
        say(&format!(
            "   Worker     built-in, {} slots: {}",
            options.worker_slots,
            orc_executors::BUILTIN.join(", ")
        ));
    }
    let addr = match plan.places.first() {
        Some(place) if place.http_port != 7420 => format!(" --addr {first}"),
        Some(_) | None => String::new(),
    };
    let example = "orc run examples/data-processing.yaml --watch";
    say(&format!(" Try: orc status -w{addr}   ·   {example}{addr}   ·   Ctrl-C ends it"));
}

fn say(line: &str) {
    // A closed stderr leaves nobody to tell; the cluster runs on.
    writeln!(anstream::stderr().lock(), "{line}").ok();
}
