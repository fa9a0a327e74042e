//! Compiled expressions by their text, so that a workflow's expressions are compiled once and not per run.
//! Bounded: when it is full it starts again, which costs a millisecond per expression in use.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;

use super::{error::ExpressionError, program::Program};

const PROGRAMS_MAX: usize = 1024;

static PROGRAMS: LazyLock<Mutex<HashMap<Box<str>, Arc<Program>>>> = LazyLock::new(Mutex::default);

pub(super) fn program(source: &str) -> Result<Arc<Program>, ExpressionError> {
    if let Some(known) = PROGRAMS.lock().get(source) {
        return Ok(known.clone());
    }
    let program = Arc::new(Program::compile(source)?);
    let mut programs = PROGRAMS.lock();
    if programs.len() >= PROGRAMS_MAX {
        programs.clear();
    }
    programs.insert(source.into(), program.clone());
    Ok(program)
}
