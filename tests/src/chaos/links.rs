//! What happens between machines: cuts of all shapes, one way or both, lost packets and slow cables.
//! Knows nothing of what is sent.

use anyhow::Result;
use tokio::time::{Duration, sleep};

use super::stage::Stage;
use crate::machines::network::Filter;

/// What happens between one node and the others, or between all of them.
#[derive(Debug, Clone, Copy)]
pub enum Links {
    /// It reaches none, and none reaches it.
    Cut,
    /// The same, and connections are told so.
    Reset,
    /// Nobody at all reaches it.
    Unplugged,
    /// The same, again and again for a while.
    Flapping,
    /// One other reaches it, which all reach.
    Bridge,
    /// Each reaches the one before and the one after it.
    Ring,
    /// All others reach it only.
    Star,
    /// It hears none.
    Deaf,
    /// None hears it.
    Mute,
    /// One packet of ten is lost between all.
    Lossy,
    /// It sends slowly.
    Slow,
}

impl Stage<'_> {
    pub(super) async fn disturb(&mut self, links: Links, node: u64, lasts: Duration) -> Result<()> {
        let mut others = self.cluster.ids();
        others.retain(|other| *other != node);
        self.rng.shuffle(&mut others);
        let network = &self.cluster.machines()?.network;
        let filter = |pairs: Vec<(u64, u64)>, filter| {
            pairs.into_iter().try_for_each(|pair| network.filter(pair, filter))
        };
        let to: Vec<(u64, u64)> = others.iter().map(|other| (*other, node)).collect();
        let from: Vec<(u64, u64)> = others.iter().map(|other| (node, *other)).collect();
        match links {
            Links::Cut => filter([to, from].concat(), Filter::Drop)?,
            Links::Reset => filter([to, from].concat(), Filter::Reset)?,
            Links::Deaf => filter(to, Filter::Drop)?,
            Links::Mute => filter(from, Filter::Drop)?,
            Links::Bridge => filter([&to[1..], &from[1..]].concat(), Filter::Drop)?,
            Links::Ring => filter(pairs(&[&[node], &others[..]].concat(), are_apart), Filter::Drop)?,
            Links::Star => filter(pairs(&others, |_, _| true), Filter::Drop)?,
            Links::Lossy => filter([to, from, pairs(&others, |_, _| true)].concat(), Filter::Lose(0.1))?,
            Links::Unplugged => network.plug(node, false)?,
            Links::Slow => network.slow(node, 2_000)?,
            Links::Flapping => {
                for turn in 0..6 {
                    network.plug(node, turn % 2 == 1)?;
                    sleep(Duration::from_millis(self.rng.u64(300..1500))).await;
                }
            }
        }
        sleep(lasts).await;
        network.heal()
    }
}

/// Those in both directions of which the places are like this; the second argument is how many there are.
fn pairs(nodes: &[u64], is_one: fn(usize, usize) -> bool) -> Vec<(u64, u64)> {
    let count = nodes.len();
    let places = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let found = places.filter(|(from, to)| from != to && is_one(from.abs_diff(*to), count));
    found.map(|(from, to)| (nodes[from], nodes[to])).collect()
}

/// So many places from each other they are no neighbours in a ring of so many.
fn are_apart(places: usize, count: usize) -> bool {
    places != 1 && places != count - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_ring_each_has_two_neighbours() {
        let nodes = [3, 1, 2, 5, 4];
        let cut = pairs(&nodes, are_apart);
        for (node, cut_off) in [(3, [2, 5]), (1, [5, 4]), (2, [3, 4]), (5, [3, 1]), (4, [1, 2])] {
            let found: Vec<u64> = cut.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to).collect();
            assert_eq!(found, cut_off, "of {node}");
        }
        assert_eq!(cut.len(), 10);
        assert_eq!(pairs(&[1, 2], |_, _| true), [(1, 2), (2, 1)]);
    }
}
