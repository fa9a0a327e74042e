//! Texts as expressions: named, checked and evaluated over a small event.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orc_actors::expression;
use serde_json::{Map, json};

fuzz_target!(|text: &str| {
    let _ = expression::names(text);
    if expression::check(text).is_ok() {
        let event = json!({"type": "a.b", "n": 3, "list": [1, "x", null], "map": {"k": true}});
        let _ = expression::filter(text, event.as_object().unwrap_or(&Map::new()));
    }
});
