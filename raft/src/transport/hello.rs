//! The first words on every connection: who calls, whom, for what; and whether the other side agrees.
//! Knows nothing of what follows them.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use uuid::Uuid;

use super::{GROUP, Refusal};
use crate::codec;

const MAGIC: u32 = 0x4f52_4350;
/// The peer protocol that this binary speaks. Raise it when a message changes.
pub const PROTOCOL: u16 = 2;
const HELLO_MAX: usize = 4 << 10;
/// How long either side waits for the other's first words.
pub const HELLO_PATIENCE: Duration = Duration::from_secs(2);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// Log records, votes and heartbeats.
    Raft,
    /// What one node asks another on behalf of its callers.
    Forward,
    /// Snapshots.
    Snapshot,
    /// The wish of a node without a cluster to become a member; nothing else.
    Join,
}

/// Who a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Its id.
    pub node: u64,
    /// Its data folder.
    pub incarnation: Uuid,
    /// Its cluster, once it has one.
    pub cluster: Option<Uuid>,
}

/// What the caller says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The group it means.
    pub group: u32,
    /// What the connection is for.
    pub class: Class,
    /// Its cluster, if it has one.
    pub cluster: Option<Uuid>,
    /// Its id.
    pub node: u64,
    /// Its data folder.
    pub incarnation: Uuid,
    /// Whom it wants to talk to; whoever answers if none.
    pub to: Option<u64>,
}

impl Hello {
    /// What `local` says to node `to`.
    pub fn new(local: Local, class: Class, to: Option<u64>) -> Self {
        let Local { node, incarnation, cluster } = local;
        Hello { group: GROUP, class, cluster, node, incarnation, to }
    }

    /// Whether `local` may talk to who says this; what the membership knows is checked by the service.
    pub fn check(&self, local: Local) -> Result<(), Refusal> {
        if self.group != GROUP {
            return Err(Refusal::UnknownGroup);
        }
        if self.to.is_some_and(|to| to != local.node) {
            return Err(Refusal::WrongNode(local.node));
        }
        match (self.cluster, local.cluster) {
            (_, None) => Err(Refusal::NotJoined),
            (None, Some(_)) if self.class == Class::Join => Ok(()),
            (theirs, ours) if theirs == ours => Ok(()),
            _ => Err(Refusal::ForeignCluster),
        }
    }
}

/// What a greeting led to: the other side's words, or its refusal.
pub type Greeting<T> = io::Result<Result<T, Refusal>>;

/// The caller's side.
pub async fn greet<R, W>(reader: &mut R, writer: &mut W, hello: &Hello) -> Greeting<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let dialogue = async {
        send(writer, hello).await?;
        let (protocol, answer) = receive::<Result<(), Refusal>>(reader).await?;
        Ok(answer.unwrap_or(Err(Refusal::Protocol(protocol))))
    };
    timeout(HELLO_PATIENCE, dialogue).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// The first half of the other side: who calls. [`reply`] follows.
pub async fn listen(reader: &mut (impl AsyncRead + Unpin)) -> Greeting<Hello> {
    let (protocol, hello) =
        timeout(HELLO_PATIENCE, receive::<Hello>(reader)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(hello.ok_or(Refusal::Protocol(protocol)))
}

/// The second half of the other side.
pub async fn reply(writer: &mut (impl AsyncWrite + Unpin), answer: Result<(), Refusal>) -> io::Result<()> {
    // Who speaks another version reads ours in front of words it need not understand.
    timeout(HELLO_PATIENCE, send(writer, &answer)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), words: &impl Serialize) -> io::Result<()> {
    let body = codec::encode_message(words);
    let length = u16::try_from(body.len()).expect("a greeting is short");
    let mut message = Vec::with_capacity(8 + body.len());
    message.extend_from_slice(&MAGIC.to_le_bytes());
    message.extend_from_slice(&PROTOCOL.to_le_bytes());
    message.extend_from_slice(&length.to_le_bytes());
    message.extend_from_slice(&body);
    writer.write_all(&message).await
}

/// The sender's version, and its words if that is ours.
async fn receive<T: DeserializeOwned>(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<(u16, Option<T>)> {
    let garbled = || io::Error::new(io::ErrorKind::InvalidData, "this is not the peer protocol");
    if reader.read_u32_le().await? != MAGIC {
        return Err(garbled());
    }
    let protocol = reader.read_u16_le().await?;
    let length = usize::from(reader.read_u16_le().await?);
    if length > HELLO_MAX {
        return Err(garbled());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    if protocol != PROTOCOL {
        return Ok((protocol, None));
    }
    Ok((protocol, Some(codec::decode_message(&body).map_err(|_| garbled())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_of_the_same_cluster_talk() {
        let ours = Uuid::from_u128(1);
        let us = Local { node: 1, incarnation: Uuid::nil(), cluster: Some(ours) };
        let caller = |cluster, class, to| Hello::new(Local { node: 2, cluster, ..us }, class, to);
        let foreign = Some(Uuid::from_u128(2));
        assert_eq!(caller(Some(ours), Class::Raft, Some(1)).check(us), Ok(()));
        assert_eq!(caller(Some(ours), Class::Raft, Some(3)).check(us), Err(Refusal::WrongNode(1)));
        assert_eq!(caller(foreign, Class::Raft, Some(1)).check(us), Err(Refusal::ForeignCluster));
        assert_eq!(caller(foreign, Class::Join, None).check(us), Err(Refusal::ForeignCluster));
        assert_eq!(caller(None, Class::Forward, Some(1)).check(us), Err(Refusal::ForeignCluster));
        assert_eq!(caller(None, Class::Join, None).check(us), Ok(()));
        assert_eq!(
            caller(None, Class::Join, None).check(Local { cluster: None, ..us }),
            Err(Refusal::NotJoined)
        );
    }
}
