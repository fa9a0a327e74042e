//! Texts as workflow files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| orc_node::fuzzing::workflow(text));
