//! The parameters of lists of runs and tasks as searches, and what a search found as a page: filters, sort, cursors, fields.
//! Knows nothing of how a search is carried out. A cursor names the order, the filters (by a hash) and the last row.

use std::{collections::BTreeSet, sync::Arc};

use orc_client::wire::{self, Page, RunFilter, RunsQuery, TasksQuery};
use orc_domain::{Facet, Text, Timestamp};
use orc_raft::store::{Found, Group, Order, Place, Query};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use warp::http::header;

use super::{call::Call, paging, problem::Refusal, reply::Reply, searched::Searched};
use crate::definition::{duration::parse_duration, suggest::did_you_mean};

/// Words in one filter.
const WORDS_MAX: usize = 50;
/// Lists of labels that must all be met.
const LABELS_MAX: usize = 5;
/// What lists may be sorted by, with the letter that cursors have for it.
const SORTS: [(&str, char, Order); 4] = [
    ("-createdAt", 'n', Order::Newest),
    ("createdAt", 'o', Order::Oldest),
    ("-endedAt", 'l', Order::EndedLast),
    ("endedAt", 'f', Order::EndedFirst),
];

/// The parameters, as given.
#[derive(Debug, Default, Clone)]
pub struct Parameters<'a> {
    status: Option<&'a str>,
    /// Workflows or actions.
    counted: Option<&'a str>,
    label: Option<&'a str>,
    since: Option<&'a str>,
    until: Option<&'a str>,
    q: Option<&'a str>,
    run: Option<&'a str>,
    sort: Option<&'a str>,
    cursor: Option<&'a str>,
    fields: Option<&'a str>,
    limit: Option<u32>,
}

impl<'a> From<&'a RunsQuery> for Parameters<'a> {
    fn from(query: &'a RunsQuery) -> Self {
        Parameters {
            status: query.status.as_deref(),
            counted: query.workflow.as_deref(),
            label: query.label.as_deref(),
            since: query.since.as_deref(),
            until: query.until.as_deref(),
            q: query.q.as_deref(),
            run: None,
            sort: query.sort.as_deref(),
            cursor: query.cursor.as_deref(),
            fields: query.fields.as_deref(),
            limit: query.limit,
        }
    }
}

impl<'a> From<&'a TasksQuery> for Parameters<'a> {
    fn from(query: &'a TasksQuery) -> Self {
        Parameters {
            status: query.status.as_deref(),
            counted: query.action.as_deref(),
            label: query.label.as_deref(),
            since: query.since.as_deref(),
            until: query.until.as_deref(),
            q: query.q.as_deref(),
            run: query.run_id.as_deref(),
            sort: query.sort.as_deref(),
            cursor: query.cursor.as_deref(),
            fields: query.fields.as_deref(),
            limit: query.limit,
        }
    }
}

impl<'a> From<&'a RunFilter> for Parameters<'a> {
    fn from(filter: &'a RunFilter) -> Self {
        Parameters {
            status: filter.status.as_deref(),
            counted: filter.workflow.as_deref(),
            label: filter.label.as_deref(),
            since: filter.since.as_deref(),
            until: filter.until.as_deref(),
            q: filter.q.as_deref(),
            ..Parameters::default()
        }
    }
}

impl Parameters<'_> {
    /// The search that the parameters ask for.
    pub fn query<V: Searched>(&self, now: Timestamp) -> Result<Query<V::Key, V>, Refusal> {
        let order = self.order()?.2;
        let statuses = statuses::<V>(self.status)?;
        let counted: Vec<Facet> = words("workflow", self.counted)?.into_iter().map(V::counted).collect();
        let labels = labels(self.label)?;
        let at = |name, text: Option<&str>| text.map(|text| moment(name, text, now)).transpose();
        let group = |facets: &[Facet]| facets.iter().map(Group::of).collect();
        let query = Query {
            order,
            statuses,
            counted: group(&counted),
            labels: labels.iter().map(|list| group(list)).collect(),
            from: at("since", self.since)?.map(V::key_at),
            before: at("until", self.until)?.map(V::key_at),
            after: self.place::<V>()?,
            limit: paging::limit(self.limit)?,
            is_plain: self.q.is_none() && self.run.is_none(),
            filter: Arc::new(|_| true),
        };
        let text = self.q.map(str::to_ascii_lowercase);
        let filter = move |row: &V| {
            let has_label = |facet: &Facet| match facet {
                Facet::Label(name, value) => row.labels().get(name) == Some(value),
                Facet::Workflow(_) | Facet::Action(_) => false,
            };
            let mentions =
                |text: &String| row.texts().iter().any(|of| of.to_ascii_lowercase().contains(text));
            (counted.is_empty() || counted.contains(&row.counted_by()))
                && labels.iter().all(|list| list.iter().any(has_label))
                && text.as_ref().is_none_or(mentions)
        };
        Ok(Query { filter: Arc::new(filter), ..query })
    }

    /// Whether nothing is filtered.
    pub fn is_everything(&self) -> bool {
        let given = [self.status, self.counted, self.label, self.since, self.until, self.q, self.run];
        given.iter().flatten().all(|text| text.trim().is_empty())
    }

    fn order(&self) -> Result<(&'static str, char, Order), Refusal> {
        let asked = self.sort.unwrap_or(SORTS[0].0);
        SORTS.into_iter().find(|(name, ..)| *name == asked).ok_or_else(|| {
            let names = SORTS.map(|(name, ..)| name);
            let meant = did_you_mean(asked, names);
            Refusal::bad_request(format!("in the query: `sort` cannot be `{asked}`{meant}"))
                .hint(format!("it is one of {}", names.join(", ")))
        })
    }

    /// What a cursor begins with: it belongs to lists of this order with these filters only.
    fn cursor_head(&self) -> Result<String, Refusal> {
        let mut hash = Sha256::new();
        for text in [self.status, self.counted, self.label, self.since, self.until, self.q, self.run] {
            hash.update(text.unwrap_or_default());
            hash.update([0]);
        }
        let hash = hash.finalize();
        Ok(format!("{}{:02x}{:02x}{:02x}{:02x}", self.order()?.1, hash[0], hash[1], hash[2], hash[3]))
    }

    fn place<V: Searched>(&self) -> Result<Option<Place<V::Key>>, Refusal> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let wrong = || Refusal::bad_request("in the query: `cursor` is not the `nextCursor` of a page");
        let (head, place) = cursor.split_once('.').ok_or_else(wrong)?;
        let (ended_at, key) = place.split_once('.').ok_or_else(wrong)?;
        if head.len() != 9 || !head.is_ascii() {
            return Err(wrong());
        }
        if head != self.cursor_head()? {
            let detail = "in the query: `cursor` belongs to a list with other filters or another order";
            return Err(Refusal::bad_request(detail)
                .hint("go on with the same parameters, or start anew without a cursor"));
        }
        let ended_at = Timestamp(ended_at.parse().map_err(|_| wrong())?);
        Ok(Some(Place { ended_at, key: key.parse().map_err(|_| wrong())? }))
    }

    /// What was found, as a page.
    pub fn page<V: Searched, T: Serialize>(
        &self,
        call: &Call,
        (found, total): (Found<V::Key, V>, Option<u64>),
        show: impl Fn(&Arc<V>) -> T,
    ) -> Result<Reply, Refusal> {
        let items: Vec<T> = found.rows.iter().map(show).collect();
        let head = self.cursor_head()?;
        let next = found.next.map(|place| format!("{head}.{}.{}", place.ended_at.0, place.key));
        let all_of_it = self.cursor.is_none() && next.is_none();
        let total = total.or_else(|| all_of_it.then(|| u64::try_from(items.len()).unwrap_or(u64::MAX)));
        let link = next.as_ref().map(|next| link(call, next));
        let page = Page { items, next_cursor: next, total, total_is_exact: Some(total.is_some()) };
        let reply = match self.fields {
            None => Reply::json(&page),
            Some(fields) => Reply::json(&only_fields(page, &fields_of::<V>(fields)?)?),
        };
        Ok(match link {
            Some(link) => reply.header(header::LINK, &link),
            None => reply,
        })
    }

    /// Refuses what no search can answer, before anything is read.
    pub fn check<V: Searched>(&self) -> Result<(), Refusal> {
        self.fields.map_or(Ok(()), |fields| fields_of::<V>(fields).map(|_| ()))
    }
}

fn link(call: &Call, next: &str) -> String {
    let is_cursor = |pair: &&str| pair.is_empty() || *pair == "cursor" || pair.starts_with("cursor=");
    let rest: Vec<&str> = call.query.split('&').filter(|pair| !is_cursor(pair)).collect();
    let query = rest.iter().map(|pair| pair.replace(['<', '>'], "")).chain([format!("cursor={next}")]);
    format!("<{}?{}>; rel=\"next\"", call.path, query.collect::<Vec<_>>().join("&"))
}

fn only_fields<T: Serialize>(page: Page<T>, fields: &[&str]) -> Result<Page<Value>, Refusal> {
    let kept = |item: T| {
        let mut value = serde_json::to_value(item).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            map.retain(|name, _| fields.contains(&name.as_str()));
        }
        value
    };
    let Page { items, next_cursor, total, total_is_exact } = page;
    Ok(Page { items: items.into_iter().map(kept).collect(), next_cursor, total, total_is_exact })
}

fn fields_of<V: Searched>(text: &str) -> Result<Vec<&str>, Refusal> {
    let fields = words("fields", Some(text))?;
    match fields.iter().find(|field| !V::FIELDS.contains(field)) {
        None => Ok(fields),
        Some(unknown) => {
            let meant = did_you_mean(unknown, V::FIELDS.iter().copied());
            Err(Refusal::bad_request(format!("in the query: there is no field `{unknown}`{meant}"))
                .hint(format!("there are {}", V::FIELDS.join(", "))))
        }
    }
}

/// The words of a filter, separated by commas.
fn words<'a>(name: &str, text: Option<&'a str>) -> Result<Vec<&'a str>, Refusal> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    let words: Vec<&str> = parts.filter(|word| !word.is_empty()).collect();
    if words.len() > WORDS_MAX {
        return Err(Refusal::bad_request(format!("`{name}` has more than {WORDS_MAX} values")));
    }
    Ok(words)
}

fn statuses<V: Searched>(text: Option<&str>) -> Result<BTreeSet<u8>, Refusal> {
    let number = |word: &str| {
        let place = V::STATUSES.iter().position(|known| *known == word);
        place.and_then(|place| u8::try_from(place).ok()).ok_or_else(|| {
            let meant = did_you_mean(word, V::STATUSES.iter().copied());
            Refusal::bad_request(format!("there is no status `{word}`{meant}"))
                .hint(format!("there are {}", V::STATUSES.join(", ")))
        })
    };
    words("status", text)?.into_iter().map(number).collect()
}

fn labels(text: Option<&str>) -> Result<Vec<Vec<Facet>>, Refusal> {
    let label = |word: &str| match word.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok(Facet::Label(Text::from(name), Text::from(value))),
        Some(_) | None => Err(Refusal::bad_request(format!("`label` is `{word}`, not `name:value`"))),
    };
    let list = |list: &str| words("label", Some(list))?.into_iter().map(label).collect();
    let lists: Vec<Vec<Facet>> =
        text.unwrap_or_default().split(';').map(list).collect::<Result<_, Refusal>>()?;
    let lists: Vec<Vec<Facet>> = lists.into_iter().filter(|list| !list.is_empty()).collect();
    if lists.len() > LABELS_MAX {
        return Err(Refusal::bad_request(format!("`label` is given more than {LABELS_MAX} times")));
    }
    Ok(lists)
}

/// A time, or a duration before now.
fn moment(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    if let Ok(at) = text.parse::<wire::Timestamp>() {
        return Ok(Timestamp(at.0));
    }
    let ago = parse_duration(text).map_err(|_| {
        Refusal::bad_request(format!("`{name}` is `{text}`, neither a time nor a duration"))
            .hint("write a time such as 2026-11-22T04:11:08Z, or a duration before now such as 24h")
    })?;
    Ok(Timestamp(now.0.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{Run, RunId};
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn query(text: &str) -> Result<Query<RunId, Run>, String> {
        let parsed: RunsQuery = wire::parse_query(text)?;
        let query = Parameters::from(&parsed).query::<Run>(NOW);
        query.map_err(|refusal| refusal.detail().to_owned())
    }

    fn refused(text: &str, words: &str) {
        let error = query(text).err().unwrap_or_else(|| panic!("{text} should be refused"));
        assert!(error.contains(words), "{text}: {error}");
    }

    #[test]
    fn parameters_become_a_search() {
        let found =
            query("status=failed,timed_out&status=waiting&workflow=a,b&label=x:1,x:2&label=y:3:4&limit=7");
        let found = found.expect("it is fine");
        assert_eq!(found.statuses, [3, 6, 8].into());
        assert_eq!((found.counted.len(), found.limit, found.order), (2, 7, Order::Newest));
        assert_eq!(found.labels.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        let group = Group::of(&Facet::Label("y".into(), "3:4".into()));
        assert_eq!(found.labels[1], [group]);
        let times = query("since=24h&until=2001-09-09T01:46:39Z&sort=endedAt").expect("it is fine");
        assert_eq!(times.from, Some(Run::key_at(Timestamp(NOW.0 - 86_400_000))));
        assert_eq!(times.before, Some(Run::key_at(Timestamp(NOW.0 - 1_000))));
        assert_eq!(times.order, Order::EndedFirst);
    }

    #[test]
    fn what_no_search_can_answer_is_refused_with_what_can_be() {
        refused("status=faild", "did you mean `failed`?");
        refused("sort=-createAt", "did you mean `-createdAt`?");
        refused("label=team", "not `name:value`");
        refused("since=yesterday", "neither a time nor a duration");
        refused("limit=501", "1 to 500");
        refused("stat=failed", "stat");
        let names = ["startedAt", "nothing"].map(|field| fields_of::<Run>(field).is_ok());
        assert_eq!(names, [true, false]);
    }

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let parsed = |text: &str| wire::parse_query::<RunsQuery>(text).expect("it reads");
        let first = parsed("status=failed&sort=-endedAt");
        let head = Parameters::from(&first).cursor_head().expect("it has one");
        let id = RunId(Uuid::from_u128(5));
        let with = |filters: &str| query(&format!("{filters}&cursor={head}.77.{id}"));
        let place = with("status=failed&sort=-endedAt").expect("the same list").after;
        assert_eq!(place, Some(Place { ended_at: Timestamp(77), key: id }));
        for other in ["status=failed", "status=completed&sort=-endedAt", "status=failed&sort=-endedAt&q=x"] {
            assert!(with(other).is_err_and(|error| error.contains("other filters")), "{other}");
        }
        for broken in ["x", "x.y", "n00000000.5", "n00000000.x.run_1"] {
            refused(&format!("cursor={broken}"), "cursor");
        }
    }

    #[test]
    fn every_field_of_a_list_has_a_name() {
        let summary = wire::RunSummary {
            id: String::new(),
            workflow: String::new(),
            status: wire::RunStatus::Queued,
            conclusion: None,
            priority: wire::Priority::default(),
            labels: Default::default(),
            steps_total: 0,
            steps_done: 0,
            created_at: wire::Timestamp(0),
            started_at: None,
            ended_at: None,
            duration_ms: None,
            rev: 0,
            workflow_version: Some(String::new()),
            started_by: String::new(),
        };
        let Ok(Value::Object(map)) = serde_json::to_value(summary) else { panic!("it is an object") };
        let shown: BTreeSet<&str> = map.keys().map(String::as_str).collect();
        assert_eq!(shown, Run::FIELDS.iter().copied().collect());
    }
}
