//! W4: a message through one node to a component that is connected to the next one, and its reply; 100 bytes each.
//! Sender and components are inside the bench. Knows nothing of how nodes pass messages on.

use orc_client::{
    Client, Worker,
    wire::{self, Raw},
};

use super::{
    BenchError, Options, load::load, recorder::Recorder, report::Measured, scene::Scene, workers::Inside,
};

const KIND: &str = "bench";
/// With its quotes, a payload is 100 bytes of JSON.
const TEXT_LENGTH: usize = 98;
/// A component answers 64 messages at a time and says `BUSY` to more; with some room, so many go to one.
const EACH: usize = 48;

/// Measures one round.
pub(super) async fn measure(scene: &mut Scene, options: &Options) -> Result<Measured, BenchError> {
    let clients = scene.clients();
    let nodes = clients.len();
    // At a fixed rate, as many as a closed loop of this size would use answer.
    let each_node = options.in_flight.div_ceil(nodes).div_ceil(EACH);
    let mut workers = Vec::new();
    let mut ids = Vec::new();
    for number in 0..nodes * each_node {
        let client = Client::builder().nodes(scene.urls_from(number)).build()?;
        let worker = Worker::new(client).slots(0).on_message(KIND, async |payload: Raw| Ok(payload));
        let id = scene.guest(&format!("b{number}"));
        ids.push(id.clone());
        workers.push((id, worker));
    }
    let inside = Inside::start(&clients[0], workers).await?;
    let payload = wire::raw(&"m".repeat(TEXT_LENGTH)).expect("text has a JSON form");
    let recorder = Recorder::starting(options);
    load(options, &recorder, move |place, _| {
        let to = &ids[receiver(place, nodes, each_node)];
        let send = clients[place % nodes].components().send(to, KIND, &payload);
        async move { send.await.map(|_| ()) }
    })
    .await;
    inside.end().await;
    recorder.measured()
}

/// Whom a caller asks: one at the node after its own, each caller of a node another as long as there are some.
fn receiver(place: usize, nodes: usize, each_node: usize) -> usize {
    let node = (place + 1) % nodes;
    let number = (place / nodes) % each_node;
    number * nodes + node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_answers_is_at_another_node_and_has_room() {
        let (in_flight, nodes) = (500_usize, 3);
        let each_node = in_flight.div_ceil(nodes).div_ceil(EACH);
        let mut asked = vec![0; nodes * each_node];
        for place in 0..in_flight {
            let receiver = receiver(place, nodes, each_node);
            assert_ne!(receiver % nodes, place % nodes);
            asked[receiver] += 1;
        }
        assert!(asked.iter().all(|count| (1..=EACH).contains(count)), "{asked:?}");
    }
}
