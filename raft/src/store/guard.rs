//! Reports a thread that ends by a panic.
//! Knows nothing of what the thread does.

use crate::error::{Fatal, FatalHandler};

/// Lives as long as its thread works.
pub struct PanicGuard {
    name: &'static str,
    fatal: FatalHandler,
}

impl PanicGuard {
    /// For a thread of this name.
    pub fn new(name: &'static str, fatal: FatalHandler) -> Self {
        PanicGuard { name, fatal }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.fatal)(&Fatal::Panic(self.name));
        }
    }
}
