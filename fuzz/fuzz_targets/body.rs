//! Bytes as the body of a request.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| orc_node::fuzzing::body(bytes));
