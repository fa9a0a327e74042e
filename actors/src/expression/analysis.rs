//! What an expression names: data, status functions, functions. Found before it runs, so that a name that does not
//! exist is an error even where an operator would swallow it (`accurcy > 1 || true`).

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue};

use super::functions::KNOWN;

/// Functions that ask how the steps before ended; each is bound as a variable of this name.
pub(super) const STATUS: [(&str, &str); 3] =
    [("success", "success()"), ("failure", "failure()"), ("always", "always()")];

/// Deeper expressions are refused.
const DEPTH_MAX: usize = 128;

/// Names of types, which an expression may compare with `type(x)`.
const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];

/// A piece of data as an expression names it: `steps.train.outputs` or `accuracy`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    /// The name and the fields selected on it.
    pub(super) names: Vec<String>,
    /// `has(…)` asks whether the last one is there.
    pub(super) asked: bool,
}

impl Path {
    pub(super) fn root(&self) -> &str {
        &self.names[0]
    }

    /// Whether it is the name of a type if it is not data.
    pub(super) fn may_be_type(&self) -> bool {
        self.names.len() == 1 && TYPES.contains(&self.root())
    }
}

/// What is wrong with an expression that parses.
#[derive(Debug)]
pub(super) enum Fault {
    Deep,
    UnknownFunction {
        name: String,
        id: u64,
    },
    UnknownType {
        name: String,
        id: u64,
    },
    /// `state(…)` of something else than one key in quotes.
    StateKey {
        id: u64,
    },
}

/// What an expression names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) paths: BTreeSet<Path>,
    pub(super) status: BTreeSet<&'static str>,
    /// State keys, by `state('key')`.
    pub(super) keys: BTreeSet<String>,
    bound: Vec<String>,
}

impl Names {
    pub(super) fn of(expression: &IdedExpr) -> Result<Names, Fault> {
        let mut names = Names::default();
        names.visit(expression, 0)?;
        Ok(names)
    }

    fn visit(&mut self, expression: &IdedExpr, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Deep);
        }
        let depth = depth + 1;
        if let Some(path) = path_of(expression) {
            if !self.bound.iter().any(|name| name == path.root()) && !path.root().starts_with('@') {
                self.paths.insert(path);
            }
            return self.visit_indexes(expression, depth);
        }
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => Ok(()),
            Expr::Select(select) => self.visit(&select.operand, depth),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.visit(element, depth)),
            Expr::Map(map) => self.visit_entries(&map.entries, depth),
            Expr::Struct(of) => Err(Fault::UnknownType { name: of.type_name.clone(), id: expression.id }),
            Expr::Call(call) => self.visit_call(call, expression.id, depth),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range, depth)?;
                self.visit(&comprehension.accu_init, depth)?;
                let outer = self.bound.len();
                self.bound.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
                self.bound.extend(comprehension.iter_var2.clone());
                for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                    self.visit(part, depth)?;
                }
                self.bound.truncate(outer);
                Ok(())
            }
        }
    }

    /// Below a path there are only more of its own parts; how deep they go still counts.
    fn visit_indexes(&self, expression: &IdedExpr, depth: usize) -> Result<(), Fault> {
        let (mut at, mut depth) = (expression, depth);
        loop {
            at = match &at.expr {
                Expr::Select(select) => &select.operand,
                Expr::Call(call) => &call.args[0],
                _ => return Ok(()),
            };
            depth += 1;
            if depth > DEPTH_MAX {
                return Err(Fault::Deep);
            }
        }
    }

    fn visit_entries(&mut self, entries: &[IdedEntryExpr], depth: usize) -> Result<(), Fault> {
        for entry in entries {
            match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, depth)?;
                    self.visit(&entry.value, depth)?;
                }
                EntryExpr::StructField(field) => self.visit(&field.value, depth)?,
            }
        }
        Ok(())
    }

    fn visit_call(&mut self, call: &CallExpr, id: u64, depth: usize) -> Result<(), Fault> {
        if let Some(status) = status_of(call) {
            self.status.insert(status);
            return Ok(());
        }
        if call.func_name == STATE && call.target.is_none() {
            let key = key_of(call).ok_or(Fault::StateKey { id })?;
            self.keys.insert(key.to_owned());
            return Ok(());
        }
        let is_word = call.func_name.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_word && !KNOWN.contains(&call.func_name.as_str()) {
            return Err(Fault::UnknownFunction { name: call.func_name.clone(), id });
        }
        if let Some(target) = call.target.as_deref().filter(|_| !is_of_optional(call)) {
            self.visit(target, depth)?;
        }
        call.args.iter().try_for_each(|argument| self.visit(argument, depth))
    }
}

/// The function that reads a state key.
const STATE: &str = "state";

/// The variable that stands for `state('key')`; none for other calls.
pub(super) fn state_of(call: &CallExpr) -> Option<String> {
    let plain = call.func_name == STATE && call.target.is_none();
    key_of(call).filter(|_| plain).map(state_variable)
}

/// The name of the variable; no source can spell it.
pub(super) fn state_variable(key: &str) -> String {
    format!("state({key})")
}

fn key_of(call: &CallExpr) -> Option<&str> {
    match call.args.as_slice() {
        [IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] => Some(key.inner()),
        _ => None,
    }
}

/// The variable that stands for `success()`, `failure()` or `always()`.
pub(super) fn status_of(call: &CallExpr) -> Option<&'static str> {
    let plain = call.target.is_none() && call.args.is_empty();
    let known = STATUS.iter().find(|(name, _)| *name == call.func_name);
    known.filter(|_| plain).map(|(_, variable)| *variable)
}

/// `optional.of(…)` and its like, where `optional` is no data.
pub(super) fn is_of_optional(call: &CallExpr) -> bool {
    let target = call.target.as_deref().map(|target| &target.expr);
    matches!(target, Some(Expr::Ident(name)) if name == "optional")
        && ["of", "none", "ofNonZeroValue"].contains(&call.func_name.as_str())
}

/// The path that an expression spells, if it is nothing else: `a`, `a.b`, `a['b'].c`, `has(a.b)`.
fn path_of(expression: &IdedExpr) -> Option<Path> {
    let mut names = Vec::new();
    let asked = matches!(&expression.expr, Expr::Select(select) if select.test);
    let mut at = expression;
    loop {
        match &at.expr {
            Expr::Ident(name) => {
                names.push(name.clone());
                names.reverse();
                return Some(Path { names, asked });
            }
            Expr::Select(select) if !select.test || std::ptr::eq(at, expression) => {
                names.push(select.field.clone());
                at = &select.operand;
            }
            Expr::Call(call) if call.func_name == "_[_]" && call.args.len() == 2 => {
                let Expr::Literal(LiteralValue::String(field)) = &call.args[1].expr else { return None };
                names.push(field.inner().to_owned());
                at = &call.args[0];
            }
            _ => return None,
        }
    }
}
