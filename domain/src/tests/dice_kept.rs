//! Random commands about what is kept and sent: state keys, their snapshots, durable messages.

use super::{dice::Dice, *};

fn key(dice: &mut Dice) -> StateKey {
    dice.pick(&["app.a", "app.b", "app.c", "d"]).expect("it is not empty").parse().expect("a legal key")
}

fn random_expect(dice: &mut Dice) -> Expect {
    match dice.roll(8) {
        0 => Expect::Absent,
        1 => Expect::Present,
        2 => Expect::Version(dice.roll(5)),
        _ => Expect::Any,
    }
}

pub(super) fn random_state_write(dice: &mut Dice) -> Command {
    let mut write = || KeyWrite {
        key: key(dice),
        value: dice.chance(75).then(|| Json::from(format!("{}", dice.roll(100)))),
        expect: random_expect(dice),
        ttl: dice.chance(30).then(|| Duration::from_millis(dice.roll(3_000))),
        restores: None,
    };
    let (first, second) = (write(), write());
    match dice.roll(3) {
        0 => Command::SetState { key: first.key, value: first.value, expect: first.expect },
        1 => Command::Transact(Box::new(first.into())),
        _ => Command::Transact(Box::new(Transaction {
            compare: vec![(key(dice), random_expect(dice))],
            writes: vec![first, second],
        })),
    }
}

pub(super) fn random_snapshot(dice: &mut Dice, state: &State, next: u128) -> Command {
    let known: Vec<SnapshotId> = state.snapshots.iter().map(|(_, snapshot)| snapshot.id).collect();
    let snapshot = dice.pick(&known).unwrap_or(SnapshotId(Uuid::nil()));
    match dice.roll(10) {
        0..=3 => Command::CreateSnapshot(Box::new(NewSnapshot {
            id: SnapshotId(Uuid::from_u128(next)),
            name: dice.chance(30).then(|| format!("s{}", dice.roll(4)).into()),
            metadata: "{}".into(),
            automatic: dice.chance(30),
        })),
        4..=5 => Command::DeleteSnapshot { snapshot },
        _ => Command::RestoreSnapshot(Box::new(RestoreSnapshot {
            snapshot,
            prefix: dice.chance(40).then(|| "app.".into()),
            keep_new: dice.chance(30),
        })),
    }
}

pub(super) fn random_message(dice: &mut Dice, state: &State, next: u128) -> Command {
    let dead: Vec<MessageId> = state.dead_messages.iter().map(|(id, _)| *id).collect();
    let one = dice.pick(&dead).unwrap_or(MessageId(Uuid::from_u128(7)));
    let component: ComponentId =
        dice.pick(&[ANN, BOB, BOB, "cid", "nobody"]).expect("it is not empty").parse().expect("a legal name");
    Command::Message(match dice.roll(12) {
        0 => MessageCommand::Requeue(DeadMessages::Messages(vec![one, one])),
        1 => MessageCommand::Requeue(DeadMessages::Component(component)),
        2 => MessageCommand::Drop(DeadMessages::Messages(vec![one])),
        _ => MessageCommand::Send(
            (0..1 + u128::from(dice.roll(4)))
                .map(|place| NewMessage {
                    id: MessageId(Uuid::from_u128(next + place)),
                    component: component.clone(),
                    kind: "note".into(),
                    payload: format!("{place}").into(),
                })
                .collect(),
        ),
    })
}

/// What a component says of the messages that are with it: mostly in order, now and then about an older delivery.
pub(super) fn random_answer(dice: &mut Dice, state: &State, component: &ComponentId) -> Command {
    let with: Vec<&QueuedMessage> = state
        .messages
        .iter()
        .map(|(_, message)| message)
        .filter(|message| message.component == *component && message.delivery.is_some())
        .collect();
    let message = if dice.chance(80) { with.first().copied() } else { dice.pick(&with) };
    let message = message.expect("what is owed is there");
    let token = message.delivery.as_ref().expect("it was just seen").token;
    let token = if dice.chance(90) { token } else { Token(token.0.saturating_sub(1)) };
    Command::Message(if dice.chance(60) {
        MessageCommand::Acknowledge { message: message.id, token }
    } else {
        MessageCommand::Return {
            message: message.id,
            token,
            failure: Failure::new("BUSY", "not now"),
            retry_after: dice.chance(50).then(|| Duration::from_millis(dice.roll(500))),
        }
    })
}
