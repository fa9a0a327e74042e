//! What a simulation did, line by line: every line goes into a hash, and into a file for whoever wants to read it.
//! Knows nothing of what the lines say.

use std::{
    fs::File,
    hash::Hasher as _,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::system;
use siphasher::sip::SipHasher13;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, fmt::format::Writer, fmt::time::FormatTime};

/// What is told in the trace unless ORC_SIM_LOG says otherwise.
const TOLD: &str = "info,orc_raft=debug,orc_actors=debug,orc_node=debug,openraft=info";

/// The trace of this process.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    hash: SipHasher13,
    lines: u64,
    file: BufWriter<File>,
}

impl Trace {
    /// Takes everything that is logged from now on.
    pub fn begin(path: &Path) -> io::Result<Trace> {
        let inner = Inner { hash: SipHasher13::new(), lines: 0, file: BufWriter::new(File::create(path)?) };
        let trace = Trace(Arc::new(Mutex::new(inner)));
        let told = EnvFilter::try_from_env("ORC_SIM_LOG").unwrap_or_else(|_| EnvFilter::new(TOLD));
        tracing_subscriber::fmt()
            .with_env_filter(told)
            .with_ansi(false)
            .with_timer(Simulated)
            .with_writer(trace.clone())
            .init();
        Ok(trace)
    }

    /// The hash of all lines, and how many there are.
    pub fn end(&self) -> io::Result<(u64, u64)> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.flush()?;
        Ok((inner.hash.finish(), inner.lines))
    }
}

struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, to: &mut Writer<'_>) -> std::fmt::Result {
        let elapsed = system::elapsed();
        write!(to, "{:>9.3}", elapsed.as_secs_f64())
    }
}

impl<'a> MakeWriter<'a> for Trace {
    type Writer = Trace;

    fn make_writer(&'a self) -> Trace {
        self.clone()
    }
}

impl Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.hash.write(bytes);
        inner.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        inner.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
