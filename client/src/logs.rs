//! What runs and tasks logged: pages of it, and streams that go on by themselves, on any node, up to the end.
//! Knows nothing of where lines are kept.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};

use crate::feed::Feed;
use crate::http::Call;
use crate::wire::{self, LogPage, LogsQuery, paths};
use crate::{Client, Error};

/// A page of the log at a path template.
pub(crate) async fn page(
    client: &Client,
    template: &str,
    id: &str,
    query: &LogsQuery,
) -> Result<LogPage, Error> {
    client.call(Call::get(paths::fill(template, id)).query(query)).await
}

/// The stream of the log at a path template.
pub(crate) fn follow(client: Client, template: &str, id: &str, query: &LogsQuery) -> LogFollower {
    let target = format!("{}{}", paths::fill(template, id), wire::write_query(query));
    let following =
        Following { feed: Feed::new(client, target), last: String::new(), ready: Vec::new().into_iter() };
    LogFollower { inner: unfold(Some(following), Following::step).boxed() }
}

/// Pages of a log as its lines come, without gaps or doubles; it reconnects by itself for as long as it is read. It ends
/// after a page that has `ended`, and after an error.
pub struct LogFollower {
    inner: BoxStream<'static, Result<LogPage, Error>>,
}

impl Stream for LogFollower {
    type Item = Result<LogPage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(context)
    }
}

struct Following {
    feed: Feed,
    /// The `next` of the page that was given out last.
    last: String,
    ready: std::vec::IntoIter<crate::sse::SseEvent>,
}

impl Following {
    async fn step(following: Option<Self>) -> Option<(Result<LogPage, Error>, Option<Self>)> {
        let mut this = following?;
        loop {
            if let Some(event) = this.ready.next() {
                return match serde_json::from_str::<LogPage>(&event.data) {
                    Ok(page) => {
                        this.last.clone_from(&page.next);
                        let goes_on = !page.ended;
                        Some((Ok(page), goes_on.then_some(this)))
                    }
                    Err(error) => Some((Err(Error::Decode(error)), None)),
                };
            }
            match this.feed.read(&this.last).await {
                Ok(mut events) => {
                    events.retain(|event| !event.data.is_empty());
                    this.ready = events.into_iter();
                }
                Err(error) => return Some((Err(error), None)),
            }
        }
    }
}
