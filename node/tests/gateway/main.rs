//! The gateway as its callers meet it: one real node on loopback, asked over HTTP and WebSocket.
//! Knows nothing of what is inside the node; every wait has a condition and a bound.

mod backups;
mod bodies;
mod calls;
mod caps;
mod choices;
mod commands;
mod ends;
mod examples;
mod exposition;
mod fans;
mod follows;
mod hands;
mod health;
mod hooks;
mod kept;
mod lists;
mod logs;
mod metrics;
mod node;
mod parts;
mod people;
mod queue;
mod repeats;
mod schedules;
mod steps;
mod streams;
mod work;
mod workflows;
mod writes;
