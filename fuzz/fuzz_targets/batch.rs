//! Bytes as what a log record carries.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orc_raft::codec::parsers;

fuzz_target!(|bytes: &[u8]| parsers::batch(bytes));
