//! Places where a node is made to end at once, as `FAILPOINTS` says (`log.written=5*off->return`: the sixth time it passes
//! there), in programs built with the feature `fail-points`. No other program has any of it.
//! Knows nothing of what happens at them.

/// Reads `FAILPOINTS`; says which points are set.
pub fn begin() -> Vec<(String, String)> {
    #[cfg(feature = "fail-points")]
    {
        // It takes the points back when it is dropped.
        std::mem::forget(fail::FailScenario::setup());
        fail::list()
    }
    #[cfg(not(feature = "fail-points"))]
    Vec::new()
}

/// A place of this name: the process may end here as if it was killed.
#[inline(always)]
pub fn fail_point(name: &str) {
    #[cfg(feature = "fail-points")]
    fail::fail_point!(name, |_| {
        eprintln!("ended at the fail point {name}");
        std::process::abort()
    });
    #[cfg(not(feature = "fail-points"))]
    let _ = name;
}
