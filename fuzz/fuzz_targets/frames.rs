//! Bytes as what a peer sends over a connection.

#![no_main]

use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use orc_raft::codec::parsers;

fuzz_target!(|bytes: &[u8]| block_on(parsers::frames(bytes)));
