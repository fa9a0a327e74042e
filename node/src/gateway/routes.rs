//! The route table: every path of the surface, its methods and their handlers; exact 404 and 405 follow from it.
//! Knows nothing of what handlers do.

use std::{future::Future, pin::Pin, sync::Arc};

use orc_client::wire::paths;
use warp::http::Method;

use super::{
    Gateway, approvals, attempts, backup, batches, call::Call, calls, cluster, components, config, durable,
    events, explain, family, hooks, logs, logs_stream, logs_take, messages, nodes, poll, repeats,
    reply::Answered, runs, runs_start, schedules, session, snapshots, state, state_kept, state_write, steps,
    system, tasks, tasks_backlog, tasks_create, tasks_dead, validate, watch, workflow_versions, workflows,
};

/// An asynchronous handler.
pub type Handler = fn(Arc<Gateway>, Call) -> Pin<Box<dyn Future<Output = Answered> + Send>>;

/// One path of the surface.
pub struct Route {
    /// With placeholders; also the label of its metrics.
    pub template: &'static str,
    methods: &'static [(Method, Handler)],
}

/// `GET` a run's steps alone.
pub const RUN_STEPS: &str = "/api/v1/runs/{id}/steps";
/// `GET` one version of a state key.
pub const STATE_VERSION: &str = "/api/v1/state/keys/{key}/versions/{version}";
/// `POST` a workflow document to have it checked.
pub const WORKFLOWS_VALIDATE: &str = "/api/v1/workflows/validate";
/// `GET` which program this is.
pub const INFO: &str = "/api/v1/info";

macro_rules! routes {
    ($($path:expr => $($method:ident $($handler:ident)::+),+;)+) => {
        &[$(Route {
            template: $path,
            methods: &[$((Method::$method, |gateway, call| Box::pin($($handler)::+(gateway, call)))),+],
        }),+]
    };
}

/// The surface.
pub static ROUTES: &[Route] = routes! {
    paths::CALLS => GET calls::connect;
    paths::RUNS => GET runs::list, POST runs_start::start;
    paths::RUN => GET runs::get, DELETE runs::delete;
    paths::RUN_WAIT => GET runs::wait;
    RUN_STEPS => GET runs::steps;
    paths::RUN_CANCEL => POST runs::cancel;
    paths::RUN_PAUSE => POST runs::pause;
    paths::RUN_RESUME => POST runs::resume;
    paths::BATCHES => GET batches::list, POST batches::start;
    paths::BATCH => GET batches::get;
    paths::BATCH_CANCEL => POST batches::cancel;
    paths::RUN_TERMINATE => POST runs::terminate;
    paths::RUN_SIGNAL => POST runs::signal;
    paths::RUN_RETRY => POST repeats::retry;
    paths::RUN_RERUN => POST repeats::rerun;
    paths::RUN_CHILDREN => GET family::children;
    paths::RUN_GRAPH => GET family::graph;
    paths::RUN_STEP => GET steps::get;
    paths::RUN_ITEMS => GET steps::items;
    paths::APPROVALS => GET approvals::list;
    paths::APPROVAL_APPROVE => POST approvals::approve;
    paths::APPROVAL_REJECT => POST approvals::reject;
    paths::RUN_LOGS => GET logs::of_run;
    paths::RUN_LOGS_STREAM => GET logs_stream::of_run;
    paths::RUN_EXPLAIN => GET explain::run;
    paths::TASKS => GET tasks::list, POST tasks_create::create;
    paths::TASK => GET tasks::get, PATCH tasks_backlog::change;
    paths::TASK_WAIT => GET tasks::wait;
    paths::TASK_CANCEL => POST tasks::cancel;
    paths::TASK_RETRY => POST tasks_dead::retry;
    paths::TASK_EXPLAIN => GET explain::task;
    paths::TASKS_BACKLOG => GET tasks_backlog::list;
    paths::TASKS_DEAD => GET tasks_dead::list;
    paths::TASKS_DEAD_REQUEUE => POST tasks_dead::requeue;
    paths::TASKS_DEAD_DROP => POST tasks_dead::drop_dead;
    paths::ACTION_PAUSE => POST tasks_backlog::pause;
    paths::ACTION_RESUME => POST tasks_backlog::resume;
    paths::TASK_COMPLETE => POST attempts::complete;
    paths::TASK_FAIL => POST attempts::fail;
    paths::TASK_HEARTBEAT => POST attempts::heartbeat;
    paths::TASK_LOGS => GET logs::of_task, POST logs_take::post;
    paths::TASK_LOGS_STREAM => GET logs_stream::of_task;
    paths::COMPONENTS => GET components::list;
    paths::COMPONENT => GET components::get, PUT components::register, DELETE components::deregister;
    paths::COMPONENT_CONNECT => GET session::connect;
    paths::COMPONENT_POLL => POST poll::poll;
    paths::COMPONENT_HEARTBEAT => POST poll::heartbeat;
    paths::COMPONENT_DRAIN => POST components::drain;
    paths::COMPONENT_MESSAGES => GET durable::queue, POST messages::send;
    paths::COMPONENTS_BROADCAST => POST messages::broadcast;
    paths::MESSAGE_REPLY => POST messages::reply;
    paths::MESSAGE => GET durable::get;
    paths::MESSAGE_ACK => POST durable::acknowledge;
    paths::MESSAGE_NACK => POST durable::give_back;
    paths::MESSAGES_DEAD => GET durable::list_dead;
    paths::MESSAGES_DEAD_REQUEUE => POST durable::requeue;
    paths::MESSAGES_DEAD_DROP => POST durable::drop_dead;
    paths::STATE_KEYS => GET state::list;
    paths::STATE_TXN => POST state_kept::transact;
    paths::STATE_EXPORT => GET state_kept::export;
    paths::STATE_RESTORE => POST state_kept::restore;
    paths::STATE_DIFF => GET state_kept::diff;
    paths::SNAPSHOTS => GET snapshots::list, POST snapshots::create;
    paths::SNAPSHOT => GET snapshots::get, DELETE snapshots::delete;
    paths::SNAPSHOT_KEYS => GET snapshots::keys;
    paths::SNAPSHOT_DIFF => GET snapshots::diff;
    paths::SNAPSHOT_RESTORE => POST snapshots::restore;
    paths::STATE_KEY => GET state::get, PUT state_write::set, DELETE state_write::delete;
    paths::STATE_VERSIONS => GET state::versions;
    STATE_VERSION => GET state::version;
    paths::STATE_WATCH => GET watch::watch;
    paths::EVENTS => GET events::list, POST events::post;
    paths::EVENT => GET events::get;
    paths::RUN_EVENTS => GET events::of_run;
    paths::EVENTS_STREAM => GET events::stream;
    paths::CLUSTER => GET cluster::status;
    paths::CLUSTER_NODES => GET nodes::list, POST nodes::add;
    paths::CLUSTER_NODE => GET nodes::get, DELETE nodes::remove;
    paths::CLUSTER_PROMOTE => POST nodes::promote;
    paths::CLUSTER_CONFIG => GET config::get, PUT config::put;
    paths::CLUSTER_TRANSFER => POST nodes::transfer;
    paths::CLUSTER_SNAPSHOT => POST cluster::snapshot;
    paths::CLUSTER_BACKUP => GET backup::backup;
    WORKFLOWS_VALIDATE => POST validate::validate;
    paths::WORKFLOWS => GET workflows::list, POST workflows::apply;
    paths::WORKFLOW => GET workflows::get, PUT workflows::put, DELETE workflows::delete;
    paths::WORKFLOW_VERSIONS => GET workflow_versions::list;
    paths::WORKFLOW_VERSION => GET workflow_versions::get;
    paths::WORKFLOW_DIFF => GET workflow_versions::diff;
    paths::WORKFLOW_GRAPH => GET workflow_versions::graph;
    paths::WORKFLOW_PAUSE => POST workflows::pause;
    paths::WORKFLOW_RESUME => POST workflows::resume;
    paths::WORKFLOW_SCHEMA => GET workflow_versions::schema;
    paths::SCHEDULES => GET schedules::list, POST schedules::create;
    paths::SCHEDULE => GET schedules::get, PUT schedules::put, DELETE schedules::delete;
    paths::SCHEDULE_PAUSE => POST schedules::pause;
    paths::SCHEDULE_RESUME => POST schedules::resume;
    paths::SCHEDULE_TRIGGER => POST schedules::trigger;
    paths::SCHEDULE_NEXT => GET schedules::next;
    paths::HOOK => POST hooks::receive;
    paths::STATUS => GET system::status;
    INFO => GET system::info;
    paths::HEALTHZ => GET system::healthz;
    paths::READYZ => GET system::readyz;
    paths::METRICS => GET system::metrics;
};

/// Where a path and a method lead.
pub enum Found {
    /// To a handler, with the values of the placeholders.
    Handler {
        /// The route.
        route: &'static Route,
        /// What answers.
        handler: Handler,
        /// Placeholders with their values, still percent-encoded.
        params: Vec<(String, String)>,
    },
    /// The path exists, for other methods.
    WrongMethod {
        /// The route.
        route: &'static Route,
        /// Its methods, as the header `Allow` has them.
        allow: String,
    },
    /// There is no such path.
    Nothing,
}

/// The table, ready to look things up in.
pub struct Router(matchit::Router<&'static Route>);

impl Router {
    /// The router over [`ROUTES`].
    pub fn new() -> Self {
        let mut router = matchit::Router::new();
        for route in ROUTES {
            router.insert(route.template, route).expect("no two templates of the table exclude each other");
        }
        Router(router)
    }

    /// Looks a path up, still percent-encoded; `HEAD` is answered like `GET`.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(found) = self.0.at(path) else { return Found::Nothing };
        let route = *found.value;
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        match route.methods.iter().find(|(known, _)| known == wanted) {
            Some((_, handler)) => {
                let params = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                Found::Handler { route, handler: *handler, params: params.collect() }
            }
            None => {
                let names: Vec<&str> = route.methods.iter().map(|(method, _)| method.as_str()).collect();
                Found::WrongMethod { route, allow: names.join(", ") }
            }
        }
    }
}

impl Default for Router {
    fn default() -> Self {
        Router::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, expected: Result<&str, &str>) {
        match (Router::new().find(&method, path), expected) {
            (Found::Handler { route, .. }, Ok(template)) => assert_eq!(route.template, template),
            (Found::WrongMethod { allow, .. }, Err(methods)) => assert_eq!(allow, methods),
            (Found::Nothing, Err("")) => {}
            (_, expected) => panic!("{method} {path} is not {expected:?}"),
        }
    }

    #[test]
    fn paths_lead_to_their_route_and_nowhere_else() {
        check(Method::GET, "/api/v1/runs/run_1/wait", Ok(paths::RUN_WAIT));
        check(Method::POST, "/api/v1/components/broadcast", Ok(paths::COMPONENTS_BROADCAST));
        check(Method::POST, "/api/v1/tasks/dead/requeue", Ok(paths::TASKS_DEAD_REQUEUE));
        check(Method::GET, "/api/v1/tasks/dead", Ok(paths::TASKS_DEAD));
        check(Method::POST, "/api/v1/tasks/dead", Err("GET"));
        check(Method::POST, "/api/v1/tasks/task_1/retry", Ok(paths::TASK_RETRY));
        check(Method::GET, "/api/v1/state/keys/a%2Fb", Ok(paths::STATE_KEY));
        check(Method::HEAD, "/healthz", Ok(paths::HEALTHZ));
        check(Method::DELETE, "/api/v1/runs", Err("GET, POST"));
        check(Method::GET, "/api/v1/runs/", Err(""));
        check(Method::GET, "/api/v1//runs", Err(""));
        check(Method::GET, "/API/v1/runs", Err(""));
        check(Method::GET, "/api/v1/workflows/a/versions/1/diff/2", Ok(paths::WORKFLOW_DIFF));
        check(Method::POST, "/api/v1/workflows/validate", Ok(WORKFLOWS_VALIDATE));
        check(Method::GET, "/", Err(""));
    }
}
