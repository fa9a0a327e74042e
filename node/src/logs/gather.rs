//! Logs of all nodes as one: every node is asked, lines are merged by their times, and who did not answer is named.
//! A place in such a log is a place in the log of each node. Knows nothing of HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use orc_domain::NodeId;

use super::{
    Answer, Found, LogStore, Owner, Request, Wanted,
    merge::{Source, merge},
};
use crate::server::Cluster;

/// How long a node may take to answer, beyond the time that it is asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The place after the lines that were read, in each log on each node; the beginning of those that are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<(NodeId, Owner), u64>);

impl Places {
    /// The places of some logs on a node.
    pub fn on(&self, node: NodeId, owners: &[Owner]) -> Vec<(Owner, u64)> {
        owners.iter().map(|owner| (*owner, self.0.get(&(node, *owner)).copied().unwrap_or(0))).collect()
    }

    fn set(&mut self, node: NodeId, owner: Owner, place: u64) {
        // The beginning needs no word, so that only nodes with lines are named.
        if place > 0 {
            self.0.insert((node, owner), place);
        } else {
            self.0.remove(&(node, owner));
        }
    }
}

impl fmt::Display for Places {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, ((node, owner), place)) in self.0.iter().enumerate() {
            let separator = if number > 0 { "~" } else { "" };
            write!(formatter, "{separator}{}.{place}.{owner}", node.0)?;
        }
        Ok(())
    }
}

impl FromStr for Places {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut places = Places::default();
        for entry in text.split('~').filter(|entry| !entry.is_empty()) {
            let mut parts = entry.splitn(3, '.');
            let mut part = || parts.next().ok_or(());
            let node = NodeId(part()?.parse().map_err(|_| ())?);
            let place = part()?.parse().map_err(|_| ())?;
            places.set(node, part()?.parse().map_err(|_| ())?, place);
        }
        Ok(places)
    }
}

/// A node's answer; none if there is none.
pub type Answered = (NodeId, Option<Answer>);

/// Asks one node, this one included.
pub async fn ask(cluster: Cluster, store: Arc<LogStore>, node: NodeId, request: Request) -> Answered {
    if node == cluster.node() {
        return (node, Some(store.read(request).await));
    }
    let patience = request.wait + ANSWER_WITHIN;
    match tokio::time::timeout(patience, cluster.ask(node, request.to_bytes())).await {
        Ok(Ok(bytes)) => (node, Answer::of_bytes(&bytes)),
        Ok(Err(_)) | Err(_) => (node, None),
    }
}

/// What was read of some logs on some nodes.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Lines with the node that keeps each, in the order of their times.
    pub lines: Vec<(NodeId, Found)>,
    /// There are more lines.
    pub more: bool,
    /// Nodes that did not answer, or could not read.
    pub missing: BTreeSet<NodeId>,
}

/// Asks all nodes for what they have after the places, which move behind what is returned.
pub async fn gather(
    cluster: &Cluster,
    store: &Arc<LogStore>,
    owners: &[Owner],
    wanted: &Wanted,
    places: &mut Places,
) -> Gathered {
    let asked = cluster.members().into_iter().map(|node| {
        let (after, wait) = (places.on(node, owners), Duration::ZERO);
        let request = Request { after, wanted: wanted.clone(), wait };
        ask(cluster.clone(), store.clone(), node, request)
    });
    merge_nodes(join_all(asked).await, wanted, places)
}

/// Merges the answers of nodes that were asked at the places, which move behind what is returned.
pub fn merge_nodes(answers: Vec<Answered>, wanted: &Wanted, places: &mut Places) -> Gathered {
    let mut gathered = Gathered::default();
    let (mut sources, mut ends) = (Vec::new(), Vec::new());
    for (node, answer) in answers {
        let Some(Answer::Lines { lines, upto, more }) = answer else {
            gathered.missing.insert(node);
            continue;
        };
        ends.push((node, lines.len(), upto, more));
        sources.push(Source { lines: lines.into_iter().map(|line| (node, line)).collect(), more });
    }
    let limit = if wanted.tail { usize::MAX } else { wanted.limit };
    (gathered.lines, gathered.more) = merge(sources, limit, |(_, found)| found.record.at);
    let mut taken: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (node, found) in &gathered.lines {
        places.set(*node, found.owner, found.to);
        *taken.entry(*node).or_default() += 1;
    }
    for (node, count, upto, more) in ends {
        if !more && taken.get(&node).copied().unwrap_or(0) == count {
            upto.into_iter().for_each(|(owner, place)| places.set(node, owner, place));
        }
    }
    if wanted.tail {
        let before = gathered.lines.len().saturating_sub(wanted.limit);
        gathered.lines.drain(..before);
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Record;
    use orc_client::wire::LogStream;
    use orc_domain::RunId;
    use uuid::Uuid;

    const OWNER: Owner = Owner::Run(RunId(Uuid::from_u128(1)));

    /// An answer of lines at times, each ten bytes long.
    fn answer(node: u64, times: &[u64], more: bool) -> Answered {
        let line = |(number, at): (usize, &u64)| {
            let record = Record {
                at: *at,
                step: None,
                task: None,
                attempt: 1,
                stream: LogStream::Stdout,
                text: at.to_string(),
            };
            Found { owner: OWNER, to: 10 * (number as u64 + 1), record }
        };
        let lines: Vec<Found> = times.iter().enumerate().map(line).collect();
        let upto = vec![(OWNER, 100)];
        (NodeId(node), Some(Answer::Lines { lines, upto, more }))
    }

    fn check(answers: Vec<Answered>, wanted: (usize, bool), times: &[u64], (places, more): (&str, bool)) {
        let wanted = Wanted { child: None, steps: None, text: None, limit: wanted.0, tail: wanted.1 };
        let mut reached = Places::default();
        let gathered = merge_nodes(answers, &wanted, &mut reached);
        let found: Vec<u64> = gathered.lines.iter().map(|(_, found)| found.record.at).collect();
        assert_eq!((found.as_slice(), gathered.more), (times, more));
        let places = places.replace('O', &OWNER.to_string());
        assert_eq!(reached.to_string(), places);
        assert_eq!(places.parse(), Ok(reached), "it reads as it is written");
    }

    #[test]
    fn places_move_behind_what_was_returned_and_no_further() {
        let two = || vec![answer(1, &[1, 4], false), answer(2, &[2, 3, 5], false)];
        check(two(), (9, false), &[1, 2, 3, 4, 5], ("1.100.O~2.100.O", false));
        check(two(), (2, false), &[1, 2], ("1.10.O~2.10.O", true));
        check(two(), (2, true), &[4, 5], ("1.100.O~2.100.O", false));
        let cut = vec![answer(1, &[1, 4], true), answer(2, &[2, 9], false)];
        check(cut, (9, false), &[1, 2, 4], ("1.20.O~2.10.O", true));
        check(vec![answer(1, &[], false)], (9, false), &[], ("1.100.O", false));
    }

    #[test]
    fn who_did_not_answer_is_named() {
        let wanted = Wanted { child: None, steps: None, text: None, limit: 9, tail: false };
        let mut places = "2.50.".to_owned() + &OWNER.to_string();
        let mut reached: Places = places.parse().expect("places");
        let answers = vec![answer(1, &[1], false), (NodeId(2), None), (NodeId(3), Some(Answer::Failed))];
        let gathered = merge_nodes(answers, &wanted, &mut reached);
        assert_eq!(gathered.missing, [NodeId(2), NodeId(3)].into());
        places.insert_str(0, &format!("1.100.{OWNER}~"));
        assert_eq!(reached.to_string(), places, "it is asked at the same place again");
        assert_eq!("2.x.run_1".parse::<Places>(), Err(()));
    }
}
