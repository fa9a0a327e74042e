//! Durable messages: in order, at least once, given up with a reason.

use super::*;

fn ann() -> ComponentId {
    ANN.parse().expect("a legal name")
}

fn message(id: u128) -> NewMessage {
    NewMessage {
        id: MessageId(Uuid::from_u128(id)),
        component: ann(),
        kind: "note".into(),
        payload: "1".into(),
    }
}

fn send(ids: impl Iterator<Item = u128>) -> Command {
    Command::Message(MessageCommand::Send(ids.map(message).collect()))
}

impl Cluster {
    /// Messages that are with the component, with their tokens.
    fn with(&self) -> Vec<(u128, Token)> {
        let all = self.state.messages.iter().map(|(_, message)| message);
        let with = all.filter_map(|row| Some((row.id.0.as_u128(), row.delivery.as_ref()?.token)));
        with.collect()
    }

    fn with_ids(&self) -> Vec<u128> {
        self.with().into_iter().map(|(id, _)| id).collect()
    }

    fn acknowledge(&mut self, id: u128, token: Token) -> Result<Answer, Rejection> {
        let message = MessageId(Uuid::from_u128(id));
        self.propose(Command::Message(MessageCommand::Acknowledge { message, token })).result
    }

    fn give_back(&mut self, id: u128, token: Token) {
        let message = MessageId(Uuid::from_u128(id));
        let failure = Failure::new("BUSY", "not now");
        let command = MessageCommand::Return { message, token, failure, retry_after: None };
        self.ok(Command::Message(command));
    }

    fn dead(&self) -> Vec<(u128, &str)> {
        let dead = self.state.dead_messages.iter();
        dead.map(|(id, row)| (id.0.as_u128(), &*row.failure.code)).collect()
    }
}

#[test]
fn messages_wait_for_their_component_and_go_in_order_through_a_window() {
    let mut cluster = Cluster::new();
    cluster.ok(registration(ANN, 1));
    cluster.ok(send(1..=100));
    assert_eq!(cluster.with(), []);
    cluster.connect(ANN, 1, vec![]);
    assert_eq!(cluster.with_ids(), (1..=64).collect::<Vec<u128>>());
    let first = cluster.with()[0];
    assert_eq!(cluster.acknowledge(first.0, first.1), Ok(Answer::Done));
    assert_eq!(cluster.with_ids(), (2..=65).collect::<Vec<u128>>());
    assert_eq!(
        cluster.acknowledge(first.0, first.1),
        Err(Rejection::MessageUnknown { message: MessageId(Uuid::from_u128(1)) })
    );
}

#[test]
fn what_is_given_back_comes_again_in_its_place_after_a_pause() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(send(1..=3));
    let with = cluster.with();
    cluster.give_back(2, with[1].1);
    assert_eq!(cluster.with_ids(), [1], "what came after it goes back, too");
    assert!(matches!(cluster.acknowledge(3, with[2].1), Err(Rejection::StaleDelivery { .. })));
    cluster.pass(Duration::from_millis(999));
    assert_eq!(cluster.with_ids(), [1]);
    cluster.pass(Duration::from_millis(1));
    let again = cluster.with();
    assert_eq!(cluster.with_ids(), [1, 2], "what failed comes again alone");
    cluster.acknowledge(2, again[1].1).expect("it is with the component");
    assert_eq!(cluster.with_ids(), [1, 3]);
    let deliveries: Vec<u32> = cluster.state.messages.iter().map(|(_, row)| row.deliveries).collect();
    assert_eq!(deliveries, [1, 1], "only the one that failed is counted");
}

#[test]
fn a_message_that_fails_every_time_is_given_up_with_its_reason() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(send(1..=2));
    for _ in 0..5 {
        let with = cluster.with();
        cluster.give_back(1, with[0].1);
        cluster.pass(Duration::from_secs(1));
    }
    assert_eq!((cluster.dead(), cluster.with_ids()), (vec![(1, "BUSY")], vec![2]));
    let requeue = MessageCommand::Requeue(DeadMessages::All);
    assert_eq!(cluster.ok(Command::Message(requeue)), Answer::Count(1));
    assert_eq!((cluster.dead(), cluster.with_ids()), (vec![], vec![2, 1]), "at the end of the queue");
}

#[test]
fn a_new_session_gets_what_the_old_one_had() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(send(1..=2));
    let before = cluster.with();
    cluster.connect(ANN, 1, vec![]);
    let after = cluster.with();
    assert_eq!(cluster.with_ids(), [1]);
    assert!(before[0].1 < after[0].1);
    assert!(matches!(cluster.acknowledge(1, before[0].1), Err(Rejection::StaleDelivery { .. })));
    for _ in 0..4 {
        cluster.connect(ANN, 1, vec![]);
    }
    assert_eq!(cluster.dead(), [(1, "CONNECTION_BROKE")], "it may be what breaks the connection");
    assert_eq!(cluster.with_ids(), [2]);
}

#[test]
fn the_first_must_be_acknowledged_in_time() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(send(1..=2));
    cluster.pass(Duration::from_secs(20));
    let first = cluster.with()[0];
    cluster.acknowledge(first.0, first.1).expect("it is with the component");
    cluster.pass(Duration::from_secs(29));
    assert_eq!(cluster.with_ids(), [2], "its time began when it became the first");
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.with(), []);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.with_ids(), [2]);
}

#[test]
fn a_queue_is_bounded_and_a_component_that_leaves_loses_nothing_silently() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| config.messages_waiting_max = 3);
    assert!(matches!(cluster.refused(send(1..=1)), Rejection::ComponentUnknown { .. }));
    cluster.ok(registration(ANN, 1));
    cluster.ok(send(1..=2));
    assert!(matches!(cluster.refused(send(3..=4)), Rejection::QueueFull { limit: 3, .. }));
    assert!(matches!(cluster.refused(send(2..=2)), Rejection::MessageExists { .. }));
    cluster.ok(Command::DeregisterComponent { component: ann() });
    assert_eq!(cluster.dead(), [(1, "COMPONENT_DEREGISTERED"), (2, "COMPONENT_DEREGISTERED")]);
    let one = DeadMessages::Messages(vec![MessageId(Uuid::from_u128(1))]);
    assert_eq!(cluster.ok(Command::Message(MessageCommand::Drop(one.clone()))), Answer::Count(1));
    assert!(matches!(
        cluster.refused(Command::Message(MessageCommand::Drop(one))),
        Rejection::MessageNotDead { .. }
    ));
    cluster.configure(|config| config.switches.message_queues = false);
    assert!(matches!(cluster.refused(send(9..=9)), Rejection::SwitchedOff { .. }));
}

#[test]
fn a_message_is_requeued_once_and_those_without_room_stay_on_the_list() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(registration(BOB, 1));
    cluster.ok(send(1..=2));
    let bob = |id| NewMessage { component: BOB.parse().expect("a legal name"), ..message(id) };
    cluster.ok(Command::Message(MessageCommand::Send(vec![bob(3)])));
    cluster.ok(Command::DeregisterComponent { component: ann() });
    cluster.ok(Command::DeregisterComponent { component: BOB.parse().expect("a legal name") });
    assert_eq!(cluster.dead().len(), 3);
    cluster.ok(registration(ANN, 1));
    let all = MessageCommand::Requeue(DeadMessages::All);
    assert_eq!(cluster.ok(Command::Message(all)), Answer::Count(2), "the one whose component is gone stays");
    assert_eq!(cluster.dead(), [(3, "COMPONENT_DEREGISTERED")]);
    cluster.ok(registration(BOB, 1));
    let twice = vec![MessageId(Uuid::from_u128(3)); 2];
    let twice = MessageCommand::Requeue(DeadMessages::Messages(twice));
    assert_eq!(cluster.ok(Command::Message(twice)), Answer::Count(1));
    assert_eq!(cluster.state.messages.len(), 3);
}

#[test]
fn what_failed_is_delivered_again_alone() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(send(1..=3));
    let with = cluster.with();
    cluster.give_back(1, with[0].1);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.with_ids(), [1], "the others would only go back with it");
    let again = cluster.with()[0];
    cluster.acknowledge(again.0, again.1).expect("it is with the component");
    assert_eq!(cluster.with_ids(), [2, 3]);
}

#[test]
fn a_component_that_drains_gets_no_more_messages() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(send(1..=1));
    cluster.ok(Command::DrainComponent { component: ann(), within: None });
    cluster.ok(send(2..=2));
    assert_eq!(cluster.with_ids(), [1]);
    cluster.connect(ANN, 1, vec![]);
    assert_eq!(cluster.with_ids(), [1], "a new connection ends it; the first may be what broke the old one");
}
