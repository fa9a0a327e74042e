//! Chaos: real nodes on machines of their own under load, faults that really happen to them, and a recorded folder that
//! `orc-check` judges. See [`round::run`].

mod asker;
mod behind;
mod clocks;
mod damage;
mod disks;
mod export;
mod faults;
pub mod figures;
mod inbox;
mod links;
mod load;
mod membership;
pub mod outages;
pub mod patient;
mod points;
mod processes;
mod registers;
pub mod round;
mod scene;
mod stage;
mod starts;
mod starved;
pub mod timers;
mod upgrade;
mod watchers;
mod workers;
mod workless;

pub use faults::{FAULTS, Fault, fault};
