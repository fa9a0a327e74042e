//! Texts as cron patterns, with a next instant where they are some.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orc_actors::calendar::Calendar;
use orc_domain::Timestamp;

fuzz_target!(|text: &str| {
    if let Ok(calendar) = Calendar::new(text, "Europe/Berlin") {
        let _ = calendar.after(Timestamp(1_774_747_800_000));
        let _ = calendar.after(Timestamp(u64::MAX));
    }
});
