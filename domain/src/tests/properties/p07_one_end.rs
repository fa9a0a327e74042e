//! P7: every run reaches exactly one terminal state, and nothing happens to it afterwards.

use alloc::collections::BTreeSet;

use super::*;

#[derive(Default)]
struct OneEnd {
    open: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
}

impl Property for OneEnd {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        for recorded in happened.events {
            let Some(run) = recorded.event.run() else { continue };
            match &recorded.event {
                // The archive's ids are not known to the rules: a gateway mints each once.
                Event::RunCreated(_) => {
                    self.ended.remove(&run);
                    self.open.insert(run);
                }
                // It tells of the end and changes nothing.
                Event::Trouble(_) => {}
                _ if self.ended.contains(&run) => {
                    return Err(format!("after the end of {run}: {:?}", recorded.event));
                }
                Event::RunEnded { status, .. } => {
                    if !status.is_terminal() {
                        return Err(format!("{run} ended as {}", status.name()));
                    }
                    self.open.remove(&run);
                    self.ended.insert(run);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &State) -> Result<(), String> {
        if self.open.is_empty() { Ok(()) } else { Err(format!("never ended: {:?}", self.open)) }
    }
}

#[test]
fn every_run_ends_once() {
    holds::<OneEnd>();
}

#[test]
fn a_run_that_goes_on_after_its_end_is_noticed() {
    let broken = breaks::<OneEnd>(|state, _| {
        let ended = state.journal.events.iter().find_map(|recorded| match &recorded.event {
            Event::RunEnded { run, .. } => Some(*run),
            _ => None,
        });
        ended.map(|run| Event::RunTimedOut { run }).into_iter().collect()
    });
    assert!(broken.contains("after the end"), "{broken}");
}
