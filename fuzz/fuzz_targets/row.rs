//! Bytes as a row of the log or the state.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orc_raft::codec::parsers;

fuzz_target!(|bytes: &[u8]| parsers::row(bytes));
