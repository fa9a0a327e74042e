//! Bytes as the body of a frame between nodes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orc_raft::codec::parsers;

fuzz_target!(|bytes: &[u8]| parsers::message(bytes));
